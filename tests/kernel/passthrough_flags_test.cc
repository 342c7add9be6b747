// The flags of a passthrough mount: what a read-only one refuses, and what the
// program sets unless it is told otherwise.
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/kernel/other_user.h"
#include "tests/kernel/passthrough_twins.h"
#include "tests/kernel/program_fixture.h"

namespace barefuse {
namespace {

using testing::Ended;
using testing::ReadFile;
using testing::RunToEnd;
using testing::WriteFile;

class PassthroughReadOnlyTest : public TwinTest {};
INSTANTIATE_SETTINGS(PassthroughReadOnlyTest, {"tmpfs", "ext4"});

// Compared with the source's filesystem, mounted read-only.
TEST_P(PassthroughReadOnlyTest, RefusesWhatAReadOnlySourceRefuses) {
  for (const std::string& root : {plain(), source_}) {
    WriteFile(root + "/file", "content");
    testing::Check(setxattr((root + "/file").c_str(), "user.x", "x", 1, 0) == 0,
                   root);
    testing::Check(mkdir((root + "/dir").c_str(), 0755) == 0 &&
                       symlink("file", (root + "/link").c_str()) == 0 &&
                       mkfifo((root + "/fifo").c_str(), 0644) == 0,
                   root);
  }
  Mount(absl::Hours(1), MS_RDONLY);
  const std::map<std::string, std::string> before = testing::Snapshot(source_);
  const std::string view = dir_.MakeDir("read-only");
  testing::Check(
      mount(plain().c_str(), view.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
          mount(nullptr, view.c_str(), nullptr,
                MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0,
      view);
  const auto steps = [](const std::string& root) {
    Findings found;
    const std::string file = root + "/file", dir = root + "/dir",
                      link_ = root + "/link", none = root + "/none";
    const auto open_with = [&](const std::string& name, int flags) {
      found["open " + name.substr(root.size()) + std::to_string(flags)] =
          strerrorname_np(TryOpen(name, flags).value);
    };
    for (const int flags :
         {O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDWR | O_TRUNC,
          O_WRONLY | O_APPEND, O_RDONLY | O_CREAT, O_RDWR | O_CREAT,
          O_RDONLY | O_DIRECT, O_RDONLY | O_NOATIME,
          O_RDONLY | O_CREAT | O_EXCL}) {
      for (const std::string& name : {file, link_, none}) {
        open_with(name, flags);
      }
    }
    open_with(root, O_TMPFILE | O_RDWR);
    open_with(root + "/fifo", O_RDWR | O_NONBLOCK);
    const auto note = [&](const char* step, long result) {
      found[step] = Said(result);
    };
    note("unlink", unlink(file.c_str()));
    note("unlink none", unlink(none.c_str()));
    note("rmdir", rmdir(dir.c_str()));
    note("mkdir", mkdir(none.c_str(), 0755));
    note("mkdir again", mkdir(dir.c_str(), 0755));
    note("mknod", mknod(none.c_str(), S_IFIFO | 0644, 0));
    note("symlink", symlink("x", none.c_str()));
    note("link", link(file.c_str(), none.c_str()));
    note("rename", rename(file.c_str(), none.c_str()));
    note("chmod", chmod(file.c_str(), 0600));
    note("chown", lchown(link_.c_str(), 1, 1));
    note("chown of nothing",
         chown(file.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(-1)));
    note("truncate", truncate(file.c_str(), 0));
    note("utimes", utimensat(AT_FDCWD, file.c_str(), nullptr, 0));
    note("setxattr", setxattr(file.c_str(), "user.y", "y", 1, 0));
    note("removexattr", removexattr(file.c_str(), "user.x"));
    note("access", access(file.c_str(), W_OK));
    note("access to a directory", access(dir.c_str(), W_OK));
    note("access to a fifo", access((root + "/fifo").c_str(), W_OK));
    UniqueFd fd = Open(file, O_RDONLY);
    note("fchmod", fchmod(fd.get(), 0600));
    note("futimens", futimens(fd.get(), nullptr));
    note("fsetxattr", fsetxattr(fd.get(), "user.y", "y", 1, 0));
    note("fsync", fsync(fd.get()));
    note("fallocate", fallocate(fd.get(), 0, 0, 10000));
    found["content"] = ReadAt(fd, 0, 100);
    return found;
  };
  ExpectSame(steps(mnt_), steps(view));
  EXPECT_EQ(testing::Snapshot(source_), before);
  EXPECT_EQ(session_->statistics().passthrough_opens > 0, backed());
}

TEST_P(PassthroughReadOnlyTest, ReadsPassThrough) {
  WriteFile(source_ + "/file", std::string(100'000, 'f'));
  Mount(absl::Hours(1), MS_RDONLY);
  EXPECT_EQ(ReadFile(mnt_ + "/file"), std::string(100'000, 'f'));
  EXPECT_EQ(BackingOpens(), backed() ? 1u : 0u);
  EXPECT_EQ(Requests(abi::FUSE_READ) == 0, GetParam().way == "passthrough");
}

class PassthroughFlagsTest : public testing::ProgramFixture {
 protected:
  // Ends with the test's namespace, if not before.
  void Start(const std::string& options) {
    daemon_ = Daemon({program_, "passthrough", "-o", options, source_, mnt_});
  }
  void TearDown() override {
    if (daemon_ <= 0) return;
    EXPECT_EQ(umount2(mnt_.c_str(), 0), 0);
    EXPECT_EQ(testing::WaitFor(daemon_), 0);
  }
  unsigned long Flags() {
    struct statvfs info {};
    testing::Check(statvfs(mnt_.c_str(), &info) == 0, "statvfs");
    return info.f_flag;
  }
  // Who a set-user-id program of root's runs as, started by another user.
  std::string RunsAs() {
    Ended ended = RunToEnd({mnt_ + "/id", "-u"}, testing::BecomeNobody);
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.out;
  }

  // On a filesystem without flags of its own, whatever /tmp has.
  std::string source_ = dir_.MakeDir("source");
  pid_t daemon_ = -1;

  PassthroughFlagsTest() {
    testing::Check(mount("none", source_.c_str(), "tmpfs", 0, "mode=755") == 0,
                   source_);
    testing::Check(RunToEnd({"cp", "/usr/bin/id", source_ + "/id"}).status == 0,
                   "cp");
    testing::Check(chmod((source_ + "/id").c_str(), 04755) == 0 &&
                       mknod((source_ + "/null").c_str(), S_IFCHR | 0666,
                             makedev(1, 3)) == 0,
                   "chmod, mknod");
  }
};

TEST_F(PassthroughFlagsTest, WithoutSetuidAndDevicesByDefault) {
  Start("allow_other");
  EXPECT_EQ(Flags() & (ST_NOSUID | ST_NODEV | ST_RDONLY | ST_NOEXEC),
            static_cast<unsigned long>(ST_NOSUID | ST_NODEV));
  EXPECT_EQ(RunsAs(), std::to_string(testing::kNobody) + "\n");
  EXPECT_EQ(TryOpen(mnt_ + "/null", O_RDWR), EACCES);
}

TEST_F(PassthroughFlagsTest, WithBothWhereItIsToldTo) {
  Start("allow_other,suid,dev");
  EXPECT_EQ(Flags() & (ST_NOSUID | ST_NODEV), 0u);
  EXPECT_EQ(RunsAs(), "0\n");
  EXPECT_EQ(TryOpen(mnt_ + "/null", O_RDWR), 0);
}

TEST_F(PassthroughFlagsTest, ReadOnlyWhereItIsToldTo) {
  Start("allow_other,ro");
  EXPECT_NE(Flags() & ST_RDONLY, 0u);
  EXPECT_EQ(TryOpen(mnt_ + "/id", O_RDWR), EROFS);
  EXPECT_EQ(TryOpen(mnt_ + "/new", O_RDWR | O_CREAT), EROFS);
  EXPECT_EQ(TryOpen(mnt_ + "/id", O_RDONLY), 0);
}

TEST_F(PassthroughFlagsTest, NothingRunsWhereItIsToldSo) {
  Start("allow_other,noexec");
  EXPECT_NE(Flags() & ST_NOEXEC, 0u);
  EXPECT_EQ(execl((mnt_ + "/id").c_str(), "id", nullptr), -1);
  EXPECT_EQ(errno, EACCES);
}

}  // namespace
}  // namespace barefuse
