// The passthrough filesystem on each filesystem that it may meet as a source,
// with file handles and without: what depends on how inodes are told apart, and
// on what the source makes of a passed-through file.
#include <dirent.h>
#include <linux/btrfs.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <ostream>
#include <set>
#include <utility>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/source_file_system.h"

namespace barefuse {
namespace {

using barefuse::testing::OpenDescriptors;
using barefuse::testing::ReadFile;
using barefuse::testing::SourceFileSystem;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

constexpr off_t kMiB = 1 << 20;

// While this lives, the thread and those that it starts may not open file
// handles.
class WithoutHandles {
 public:
  WithoutHandles() {
    Call(SYS_capget, before_);
    __user_cap_data_struct less[2] = {before_[0], before_[1]};
    less[0].effective &= ~(1u << CAP_DAC_READ_SEARCH);
    Call(SYS_capset, less);
  }
  ~WithoutHandles() { Call(SYS_capset, before_); }

 private:
  static void Call(long number, __user_cap_data_struct* data) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    testing::Check(syscall(number, &header, data) == 0, "capabilities");
  }
  __user_cap_data_struct before_[2];
};

struct Source {
  std::string_view type;
  bool handles;

  friend std::ostream& operator<<(std::ostream& out, const Source& source) {
    return out << source.type << (source.handles ? "" : "_without_handles");
  }
};

class PassthroughSourcesTest : public PassthroughTest,
                               public ::testing::WithParamInterface<Source> {
 protected:
  void SetUp() override {
    auto made = SourceFileSystem::Mount(GetParam().type, source_);
    if (absl::IsUnavailable(made.status())) {
      GTEST_SKIP() << made.status().message();
    }
    ASSERT_TRUE(made.ok()) << made.status();
    made_ = *std::move(made);
  }
  void TearDown() override {
    session_.reset();
    file_system_.reset();
    if (made_ == nullptr) return;
    const absl::Status unmounted = made_->Unmount();
    EXPECT_TRUE(unmounted.ok()) << unmounted;
  }
  void MountSource(absl::Duration timeout = absl::Seconds(1)) {
    const PassthroughOptions options{.timeout = timeout};
    const SessionOptions session{.backing_depth =
                                     GetParam().type == "overlay" ? 1u : 0u};
    if (GetParam().handles) {
      Mount(options, session);
    } else {
      WithoutHandles without;
      Mount(options, session);
    }
  }
  // No request has read or written a file, and nothing has gone wrong.
  void ExpectAllPassedThrough() {
    EXPECT_EQ(Requests(abi::FUSE_READ) + Requests(abi::FUSE_WRITE), 0u);
    EXPECT_EQ(log(), "");
  }
  std::string InSource(std::string_view name) const {
    return source_ + "/" + std::string(name);
  }
  std::string InMount(std::string_view name) const {
    return mnt_ + "/" + std::string(name);
  }

  // Of FS_IMMUTABLE_FL and FS_APPEND_FL, these.
  static void SetFlags(const UniqueFd& fd, int set) {
    int flags = 0;
    ASSERT_EQ(ioctl(fd.get(), FS_IOC_GETFLAGS, &flags), 0) << strerror(errno);
    flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    flags |= set;
    ASSERT_EQ(ioctl(fd.get(), FS_IOC_SETFLAGS, &flags), 0) << strerror(errno);
  }

  std::unique_ptr<SourceFileSystem> made_;
};

INSTANTIATE_TEST_SUITE_P(
    Sources, PassthroughSourcesTest,
    ::testing::Values(Source{"tmpfs", true}, Source{"tmpfs", false},
                      Source{"ext4", true}, Source{"ext4", false},
                      Source{"xfs", true}, Source{"xfs", false},
                      Source{"btrfs", true}, Source{"btrfs", false},
                      Source{"overlay", false}),
    ::testing::PrintToStringParamName());

TEST_P(PassthroughSourcesTest, HoldsOpenWhatHasNoHandle) {
  constexpr int kFiles = 600;
  for (int i = 0; i < kFiles; ++i) WriteFile(InSource(std::to_string(i)), "");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // The cache of descriptors takes a part of this.
  rlimit low = before;
  low.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  MountSource(absl::Hours(1));
  const size_t descriptors = OpenDescriptors();
  int failed = 0;
  for (int i = 0; i < kFiles; ++i) {
    struct stat info;
    if (lstat(InMount(std::to_string(i)).c_str(), &info) != 0) ++failed;
  }
  EXPECT_EQ(failed, 0);
  if (GetParam().handles) {
    EXPECT_LT(OpenDescriptors(), descriptors + 300);
  } else {
    EXPECT_GE(OpenDescriptors(), descriptors + kFiles);
  }
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  session_.reset();
  file_system_.reset();
  EXPECT_LT(OpenDescriptors(), descriptors);
}

TEST_P(PassthroughSourcesTest, NamesOfAnInodeShareItsBackingFile) {
  WriteFile(InSource("file"), "content");
  ASSERT_EQ(link(InSource("file").c_str(), InSource("other").c_str()), 0);
  MountSource();
  UniqueFd reader = Open("file", O_RDONLY);
  UniqueFd writer = Open("other", O_WRONLY);
  UniqueFd appender = Open("file", O_RDWR | O_APPEND);
  WriteAt(writer, 0, "CON");
  EXPECT_EQ(write(appender.get(), "!", 1), 1);
  EXPECT_EQ(ReadAt(reader, 0, 10), "CONtent!");
  EXPECT_EQ(BackingOpens(), 1u);
  reader.reset();
  writer.reset();
  AwaitOpenFiles(1);
  EXPECT_EQ(BackingCloses(), 0u);
  appender.reset();
  AwaitBackingCloses(1);
  EXPECT_EQ(ReadFile(InMount("other")), "CONtent!");
  EXPECT_EQ(BackingOpens(), 2u);
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, NamesOfAnInodeAreOneInode) {
  WriteFile(InSource("file"), "content");
  ASSERT_EQ(link(InSource("file").c_str(), InSource("other").c_str()), 0);
  MountSource(absl::Hours(1));
  EXPECT_EQ(Stat(InMount("file")).st_ino, Stat(InSource("file")).st_ino);
  EXPECT_EQ(Stat(InMount("other")).st_ino, Stat(InMount("file")).st_ino);
  EXPECT_EQ(file_system_->inodes(), 2u);  // with the root
  // What is changed by one name shows by the other, though the kernel has
  // leave to believe what it knows.
  ASSERT_EQ(chmod(InMount("file").c_str(), 0600), 0);
  EXPECT_EQ(Stat(InMount("other")).st_mode & 0777, 0600u);
  ASSERT_EQ(link(InMount("other").c_str(), InMount("third").c_str()), 0);
  EXPECT_EQ(Stat(InMount("file")).st_nlink, 3u);
  EXPECT_EQ(Stat(InMount("third")).st_ino, Stat(InMount("file")).st_ino);
  ASSERT_EQ(unlink(InMount("file").c_str()), 0);
  EXPECT_EQ(Stat(InMount("third")).st_nlink, 2u);
  EXPECT_EQ(ReadFile(InMount("third")), "content");
}

TEST_P(PassthroughSourcesTest, ANumberThatIsUsedAgainIsAnotherInode) {
  MountSource(absl::ZeroDuration());
  WriteFile(InSource("file"), "old");
  UniqueFd old = Open("file", O_RDONLY);
  UniqueFd known;  // not open, but known
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(unlink(InSource("file").c_str()), 0);
    const std::string content = "new " + std::to_string(i);
    WriteFile(InSource("file"), content);
    EXPECT_EQ(ReadFile(InMount("file")), content);
    UniqueFd writer = Open("file", O_RDWR);
    WriteAt(writer, 0, "NEW");
    EXPECT_EQ(ReadFile(InSource("file")), "NEW" + content.substr(3));
    EXPECT_EQ(Stat(InMount("file")).st_ino, Stat(InSource("file")).st_ino);
    known.reset(open(InMount("file").c_str(), O_PATH | O_CLOEXEC));
  }
  EXPECT_EQ(ReadAt(old, 0, 10), "old");
  struct stat info {};
  ASSERT_EQ(fstat(old.get(), &info), 0) << strerror(errno);
  EXPECT_EQ(info.st_nlink, 0u);
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, ADirectoryIsReplacedByAFileOfItsNumber) {
  MountSource(absl::ZeroDuration());
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(mkdir(InSource("name").c_str(), 0755), 0);
    WriteFile(InSource("name/file"), "below");
    EXPECT_EQ(ReadFile(InMount("name/file")), "below");
    ASSERT_EQ(unlink(InSource("name/file").c_str()), 0);
    ASSERT_EQ(rmdir(InSource("name").c_str()), 0);
    WriteFile(InSource("name"), "a file");
    EXPECT_EQ(ReadFile(InMount("name")), "a file");
    ASSERT_EQ(unlink(InSource("name").c_str()), 0);
    struct stat info;
    EXPECT_EQ(lstat(InMount("name").c_str(), &info), -1);
    EXPECT_EQ(errno, ENOENT);
  }
}

TEST_P(PassthroughSourcesTest, WhatHasNoNameAnyMoreGoesOnWhileItIsOpen) {
  for (const char* name : {"here", "behind"}) WriteFile(InSource(name), "text");
  MountSource(absl::ZeroDuration());
  for (const char* name : {"here", "behind"}) {
    UniqueFd fd = Open(name, O_RDWR);
    const bool here = std::string_view(name) == "here";
    ASSERT_EQ(unlink((here ? InMount(name) : InSource(name)).c_str()), 0);
    WriteAt(fd, 0, "T");
    EXPECT_EQ(ReadAt(fd, 0, 10), "Text");
    EXPECT_EQ(fallocate(fd.get(), 0, 0, 10), 0) << strerror(errno);
    EXPECT_EQ(ftruncate(fd.get(), 3), 0) << strerror(errno);
    EXPECT_EQ(fsync(fd.get()), 0);
    struct stat info {};
    ASSERT_EQ(fstat(fd.get(), &info), 0) << strerror(errno);
    EXPECT_EQ(info.st_size, 3);
    EXPECT_EQ(info.st_nlink, 0u);
    EXPECT_EQ(fchmod(fd.get(), 0600), 0) << name << ": " << strerror(errno);
  }
  AwaitOpenFiles(0);
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, AFileThatGetsItsNameLate) {
  MountSource();
  UniqueFd fd(open(mnt_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(fd) << strerror(errno);
  WriteAt(fd, 0, "content");
  ASSERT_EQ(
      linkat(fd.get(), "", AT_FDCWD, InMount("name").c_str(), AT_EMPTY_PATH), 0)
      << strerror(errno);
  UniqueFd again = Open("name", O_RDWR);
  WriteAt(again, 0, "CON");
  EXPECT_EQ(ReadAt(fd, 0, 10), "CONtent");
  EXPECT_EQ(ReadFile(InSource("name")), "CONtent");
  EXPECT_EQ(BackingOpens(), 1u);
  struct stat info {};
  ASSERT_EQ(fstat(fd.get(), &info), 0);
  EXPECT_EQ(info.st_nlink, 1u);
  EXPECT_EQ(info.st_ino, Stat(InMount("name")).st_ino);
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, HolesCopiesAndSpaceOfPassedThroughFiles) {
  MountSource();
  UniqueFd fd = Open("sparse", O_RDWR | O_CREAT);
  WriteAt(fd, 4 * kMiB, std::string(kMiB, 'd'));
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_DATA), 4 * kMiB);
  EXPECT_EQ(lseek(fd.get(), 4 * kMiB, SEEK_HOLE), 5 * kMiB);
  EXPECT_EQ(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      4 * kMiB, kMiB / 2),
            0)
      << strerror(errno);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_DATA), 4 * kMiB + kMiB / 2);
  EXPECT_EQ(ReadAt(fd, 4 * kMiB + kMiB / 2 - 1, 2), std::string("\0d", 2));
  EXPECT_EQ(fallocate(fd.get(), 0, 5 * kMiB, kMiB), 0) << strerror(errno);
  EXPECT_EQ(Stat(InMount("sparse")).st_size, 6 * kMiB);
  EXPECT_EQ(Stat(InSource("sparse")).st_size, 6 * kMiB);
  WriteAt(fd, 0, "to be copied");
  UniqueFd copy = Open("copy", O_RDWR | O_CREAT);
  off_t in = 3, out = 1;
  EXPECT_EQ(copy_file_range(fd.get(), &in, copy.get(), &out, 2, 0), 2);
  EXPECT_EQ(ReadAt(copy, 0, 10), std::string_view("\0be", 3));
  // All of it, of which a part may be shared instead of copied.
  in = out = 0;
  while (in < 6 * kMiB) {
    ASSERT_GT(copy_file_range(fd.get(), &in, copy.get(), &out,
                              static_cast<size_t>(6 * kMiB - in), 0),
              0)
        << strerror(errno);
  }
  EXPECT_EQ(fsync(copy.get()), 0);
  EXPECT_EQ(fdatasync(fd.get()), 0);
  EXPECT_TRUE(ReadFile(InMount("copy")) == ReadFile(InSource("sparse")));
  // A change of the one does not show in the other.
  WriteAt(copy, 4 * kMiB + kMiB / 2, "changed");
  EXPECT_EQ(ReadAt(fd, 4 * kMiB + kMiB / 2, 7), "ddddddd");
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, SizesAndTimesFollowPassedThroughWrites) {
  WriteFile(InSource("file"), "x");
  MountSource(absl::Hours(1));
  UniqueFd fd = Open("file", O_RDWR);
  const timespec old[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(futimens(fd.get(), old), 0);
  EXPECT_EQ(Stat(InMount("file")).st_size, 1);
  WriteAt(fd, 0, std::string(2 * kMiB, 'y'));
  const struct stat above = Stat(InMount("file"));
  const struct stat below = Stat(InSource("file"));
  EXPECT_EQ(above.st_size, 2 * kMiB);
  EXPECT_GT(above.st_mtim.tv_sec, 1);
  EXPECT_EQ(above.st_mtim.tv_sec, below.st_mtim.tv_sec);
  EXPECT_EQ(above.st_mtim.tv_nsec, below.st_mtim.tv_nsec);
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, DirectOpensAreDirectInTheSource) {
  WriteFile(InSource("file"), std::string(8192, 'o'));
  MountSource();
  UniqueFd fd = Open("file", O_RDWR | O_DIRECT);
  alignas(4096) static char buffer[4096];
  EXPECT_EQ(pread(fd.get(), buffer, 4096, 4096), 4096) << strerror(errno);
  EXPECT_EQ(buffer[0], 'o');
  std::memset(buffer, 'n', 4096);
  EXPECT_EQ(pwrite(fd.get(), buffer, 4096, 0), 4096) << strerror(errno);
  // What the source makes of an odd one is its own affair, and the same here.
  UniqueFd below(open(InSource("file").c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  EXPECT_EQ(pread(fd.get(), buffer + 1, 100, 1),
            pread(below.get(), buffer + 1, 100, 1));
  EXPECT_EQ(ReadFile(InMount("file")),
            std::string(4096, 'n') + std::string(4096, 'o'));
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, FlagsOfFilesHold) {
  WriteFile(InSource("file"), "content");
  UniqueFd below(open(InSource("file").c_str(), O_RDONLY | O_CLOEXEC));
  MountSource();
  UniqueFd above = Open("file", O_RDONLY);
  UniqueFd writer = Open("file", O_WRONLY);
  SetFlags(above, FS_IMMUTABLE_FL);
  int flags = 0;
  ASSERT_EQ(ioctl(below.get(), FS_IOC_GETFLAGS, &flags), 0) << strerror(errno);
  EXPECT_NE(flags & FS_IMMUTABLE_FL, 0);
  EXPECT_EQ(open(InMount("file").c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(chmod(InMount("file").c_str(), 0600), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(unlink(InMount("file").c_str()), -1);
  EXPECT_EQ(errno, EPERM);
  SetFlags(above, 0);
  WriteAt(writer, 0, "CON");
  EXPECT_EQ(ReadAt(above, 0, 10), "CONtent");
  EXPECT_EQ(unlink(InMount("file").c_str()), 0);
  ExpectAllPassedThrough();
}

TEST_P(PassthroughSourcesTest, AnAppendOnlyFileIsAppendedTo) {
  WriteFile(InSource("file"), "content");
  MountSource();
  UniqueFd above = Open("file", O_RDONLY);
  SetFlags(above, FS_APPEND_FL);
  EXPECT_EQ(open(InMount("file").c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EPERM);
  {
    UniqueFd fd = Open("file", O_WRONLY | O_APPEND);
    EXPECT_EQ(write(fd.get(), "!", 1), 1);
  }
  SetFlags(above, 0);
  EXPECT_EQ(ReadFile(InMount("file")), "content!");
  ExpectAllPassedThrough();
}

// A btrfs is many filesystems in one mount, each with a device number of its
// own, and a snapshot's files have the numbers of those they were.
TEST_P(PassthroughSourcesTest, SubvolumesAreNotMixedUp) {
  if (GetParam().type != "btrfs") GTEST_SKIP() << "a test of btrfs";
  UniqueFd root(open(source_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  btrfs_ioctl_vol_args args{};
  std::strncpy(args.name, "one", sizeof args.name - 1);
  ASSERT_EQ(ioctl(root.get(), BTRFS_IOC_SUBVOL_CREATE, &args), 0)
      << strerror(errno);
  WriteFile(InSource("one/file"), "before the snapshot");
  UniqueFd one(open(InSource("one").c_str(), O_RDONLY | O_CLOEXEC));
  std::strncpy(args.name, "two", sizeof args.name - 1);
  args.fd = one.get();
  ASSERT_EQ(ioctl(root.get(), BTRFS_IOC_SNAP_CREATE, &args), 0)
      << strerror(errno);
  one.reset();
  root.reset();
  ASSERT_EQ(Stat(InSource("one/file")).st_ino,
            Stat(InSource("two/file")).st_ino);
  WriteFile(InSource("file"), "of the root");
  MountSource(absl::ZeroDuration());
  {
    UniqueFd reader = Open("two/file", O_RDONLY);
    UniqueFd writer = Open("one/file", O_RDWR);
    WriteAt(writer, 0, "BEFORE");
    EXPECT_EQ(ReadAt(reader, 0, 6), "before");
    EXPECT_EQ(ReadAt(writer, 0, 6), "BEFORE");
    EXPECT_EQ(BackingOpens(), 2u);
  }
  EXPECT_EQ(ReadFile(InSource("one/file")), "BEFORE the snapshot");
  EXPECT_EQ(ReadFile(InSource("two/file")), "before the snapshot");
  std::set<ino_t> numbers;
  for (const char* name : {"", "file", "one", "one/file", "two", "two/file"}) {
    numbers.insert(Stat(InMount(name)).st_ino);
  }
  EXPECT_EQ(numbers.size(), 6u);
  // What a directory says of its entries is the same.
  DIR* two = opendir(InMount("two").c_str());
  ASSERT_NE(two, nullptr);
  while (dirent* entry = readdir(two)) {
    if (std::string_view(entry->d_name) != "file") continue;
    EXPECT_EQ(entry->d_ino, Stat(InMount("two/file")).st_ino);
  }
  closedir(two);
  EXPECT_EQ(link(InMount("one/file").c_str(), InMount("two/linked").c_str()),
            -1);
  EXPECT_EQ(errno, EXDEV);
  EXPECT_EQ(rename(InMount("file").c_str(), InMount("two/moved").c_str()), -1);
  EXPECT_EQ(errno, EXDEV);
  // To the kernel it is one filesystem, so that it can be asked for a copy.
  UniqueFd from = Open("file", O_RDONLY);
  UniqueFd to = Open("two/copy", O_RDWR | O_CREAT);
  EXPECT_EQ(copy_file_range(from.get(), nullptr, to.get(), nullptr, 100, 0), 11)
      << strerror(errno);
  EXPECT_EQ(ReadFile(InSource("two/copy")), "of the root");
  ExpectAllPassedThrough();
}

}  // namespace
}  // namespace barefuse
