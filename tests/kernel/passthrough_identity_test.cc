// Which inode is which: in the source, in the mount, and after names are gone.
#include <dirent.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <set>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::MountsBelow;
using barefuse::testing::OpenDescriptors;
using barefuse::testing::ReadFile;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

class PassthroughIdentityTest : public PassthroughTest {
 protected:
  ~PassthroughIdentityTest() override {
    session_.reset();
    for (const std::string& path : mounted_) {
      umount2(path.c_str(), MNT_DETACH);
    }
  }
  // A filesystem of its own in the source.
  void MountInSource(const std::string& name) {
    const std::string path = source_ + "/" + name;
    ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
    ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", 0, "size=1m"), 0);
    mounted_.push_back(path);
  }

  std::vector<std::string> mounted_;
};

TEST_F(PassthroughIdentityTest, FilesystemsBelowTheSourceAreNotMixedUp) {
  MountInSource("one");
  MountInSource("two");
  // Each is the first file of a tmpfs.
  for (const char* name : {"/one/file", "/two/file", "/file"}) {
    WriteFile(source_ + name, name);
  }
  ASSERT_EQ(Stat(source_ + "/one/file").st_ino,
            Stat(source_ + "/two/file").st_ino);
  Mount();
  std::set<ino_t> numbers;
  for (const char* name : {"/one/file", "/two/file", "/file", "/one", "/two"}) {
    numbers.insert(Stat(mnt_ + name).st_ino);
  }
  EXPECT_EQ(numbers.size(), 5u);
  EXPECT_EQ(Stat(mnt_ + "/file").st_ino, Stat(source_ + "/file").st_ino);
  for (const char* name : {"/one/file", "/two/file", "/file"}) {
    EXPECT_EQ(ReadFile(mnt_ + name), name);
  }
  // What a directory says of its entries is the same.
  DIR* one = opendir((mnt_ + "/one").c_str());
  ASSERT_NE(one, nullptr);
  while (dirent* entry = readdir(one)) {
    if (std::string_view(entry->d_name) != "file") continue;
    EXPECT_EQ(entry->d_ino, Stat(mnt_ + "/one/file").st_ino);
  }
  closedir(one);
}

TEST_F(PassthroughIdentityTest, AFileThatIsMountedIsNotMixedUpWithAnother) {
  MountInSource("other");
  WriteFile(source_ + "/other/file", "elsewhere");
  WriteFile(source_ + "/bound", "covered");
  const std::string bound = source_ + "/bound";
  ASSERT_EQ(mount((source_ + "/other/file").c_str(), bound.c_str(), nullptr,
                  MS_BIND, nullptr),
            0);
  mounted_.insert(mounted_.begin(), bound);
  // A file of the source's own filesystem with the same number, or nearly.
  WriteFile(source_ + "/file", "here");
  Mount();
  EXPECT_EQ(ReadFile(mnt_ + "/bound"), "elsewhere");
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "here");
  EXPECT_NE(Stat(mnt_ + "/bound").st_ino, Stat(source_ + "/bound").st_ino);
}

TEST_F(PassthroughIdentityTest, KnowsMoreFilesThanItHasDescriptors) {
  constexpr int kFiles = 3000;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (int i = 0; i < kFiles; ++i) {
    WriteFile(source_ + "/" + std::to_string(i), "");
  }
  // The cache of descriptors takes a part of this.
  rlimit low = before;
  low.rlim_cur = OpenDescriptors() + 200;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  Mount({.timeout = absl::Hours(1)});
  int failed = 0;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kFiles; ++i) {
      struct stat info;
      const std::string path = mnt_ + "/" + std::to_string(i);
      if (lstat(path.c_str(), &info) != 0) ++failed;
      if (chmod(path.c_str(), round == 0 ? 0600 : 0640) != 0) ++failed;
    }
  }
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(failed, 0);
  EXPECT_GE(file_system_->inodes(), static_cast<size_t>(kFiles));
  EXPECT_EQ(Stat(source_ + "/17").st_mode & 0777, 0640u);
}

TEST_F(PassthroughIdentityTest, WhatHasNoNameAnyMoreIsStillThere) {
  Mount({.timeout = absl::ZeroDuration()});
  WriteFile(mnt_ + "/file", "content");
  ASSERT_EQ(mkdir((mnt_ + "/dir").c_str(), 0755), 0);
  UniqueFd file(open((mnt_ + "/file").c_str(), O_PATH | O_CLOEXEC));
  UniqueFd directory(
      open((mnt_ + "/dir").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const ino_t ino = Stat(mnt_ + "/file").st_ino;
  ASSERT_EQ(unlink((mnt_ + "/file").c_str()), 0);
  ASSERT_EQ(rmdir((mnt_ + "/dir").c_str()), 0);
  // Others push it out of every cache.
  for (int i = 0; i < 5000; ++i) {
    struct stat info;
    WriteFile(source_ + "/other", "");
    stat((mnt_ + "/other").c_str(), &info);
    unlink((source_ + "/other").c_str());
  }
  struct stat info {};
  ASSERT_EQ(fstat(file.get(), &info), 0) << strerror(errno);
  EXPECT_EQ(info.st_ino, ino);
  EXPECT_EQ(info.st_nlink, 0u);
  ASSERT_EQ(fstat(directory.get(), &info), 0) << strerror(errno);
  EXPECT_TRUE(S_ISDIR(info.st_mode));
}

TEST_F(PassthroughIdentityTest, AFileReplacedInTheSourceIsAnother) {
  Mount({.timeout = absl::ZeroDuration()});
  WriteFile(source_ + "/file", "old");
  UniqueFd old = Open("file", O_RDONLY);
  for (int i = 0; i < 20; ++i) {
    // ext4 gives the number that has become free to the next file.
    ASSERT_EQ(unlink((source_ + "/file").c_str()), 0);
    const std::string content = "new " + std::to_string(i);
    WriteFile(source_ + "/file", content);
    EXPECT_EQ(ReadFile(mnt_ + "/file"), content);
  }
  EXPECT_EQ(ReadAt(old, 0, 10), "old");
}

TEST_F(PassthroughIdentityTest, FlagsOfFilesAreTheSources) {
  WriteFile(source_ + "/file", "");
  UniqueFd below(open((source_ + "/file").c_str(), O_RDONLY | O_CLOEXEC));
  int flags = 0;
  if (ioctl(below.get(), FS_IOC_GETFLAGS, &flags) != 0) {
    GTEST_SKIP() << "the source's filesystem has no flags";
  }
  Mount();
  for (const char* name : {"file", "."}) {
    UniqueFd above = Open(name, O_RDONLY);
    UniqueFd source(open((source_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    int set = 0;
    ASSERT_EQ(ioctl(above.get(), FS_IOC_GETFLAGS, &set), 0) << strerror(errno);
    set |= FS_NODUMP_FL;
    EXPECT_EQ(ioctl(above.get(), FS_IOC_SETFLAGS, &set), 0) << strerror(errno);
    EXPECT_EQ(ioctl(source.get(), FS_IOC_GETFLAGS, &flags), 0);
    EXPECT_NE(flags & FS_NODUMP_FL, 0);
    int seen = 0;
    EXPECT_EQ(ioctl(above.get(), FS_IOC_GETFLAGS, &seen), 0);
    EXPECT_EQ(seen, flags);
  }
  // Others are nobody's business.
  UniqueFd file = Open("file", O_RDONLY);
  int count = 0;
  EXPECT_EQ(ioctl(file.get(), 0x4242, &count), -1);
  EXPECT_EQ(errno, ENOTTY);
}

// It changes nothing, and so must not take away what only the owner may.
TEST_F(PassthroughIdentityTest, NobodyTakesPrivilegesAwayFromAnothersFile) {
  WriteFile(source_ + "/file", "");
  ASSERT_EQ(chmod((source_ + "/file").c_str(), 04755), 0);
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  Mount();
  testing::Process other([this] {
    if (setgid(1000) != 0 || setuid(1000) != 0) return 99;
    return chown((mnt_ + "/file").c_str(), static_cast<uid_t>(-1),
                 static_cast<gid_t>(-1)) == 0
               ? 0
               : errno;
  });
  EXPECT_EQ(other.Wait(), EPERM);
  EXPECT_EQ(Stat(source_ + "/file").st_mode & 07777, 04755u);
}

}  // namespace
}  // namespace barefuse
