// Mounting without being root: through fusermount3, and in a user namespace.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "server/mount_table.h"
#include "server/session.h"
#include "tests/kernel/other_user.h"
#include "tests/kernel/small_file_system.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::BecomeNobody;
using barefuse::testing::Check;
using barefuse::testing::DeviceForAll;
using barefuse::testing::EnterUserNamespace;
using barefuse::testing::InChild;
using barefuse::testing::kNobody;
using barefuse::testing::MountsBelow;
using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::SmallFileSystem;
using barefuse::testing::TempDir;

bool HasChildren() { return waitpid(-1, nullptr, WNOHANG) >= 0; }

// The entry of /proc/mounts at `path`, its names without escapes.
struct Entry {
  std::string fsname, type, options;
};
Entry EntryAt(const std::string& path) {
  Entry entry;
  std::unique_ptr<FILE, int (*)(FILE*)> table(setmntent("/proc/mounts", "r"),
                                              endmntent);
  while (const mntent* line = getmntent(table.get())) {
    if (path == line->mnt_dir) {
      entry = {line->mnt_fsname, line->mnt_type, line->mnt_opts};
    }
  }
  return entry;
}

class MountWaysTest : public ::testing::Test {
 protected:
  MountWaysTest() {
    Check(chown(mountpoint_.c_str(), kNobody, kNobody) == 0, mountpoint_);
  }
  ~MountWaysTest() override {
    // Whatever a child has left.
    for (pid_t child : testing::Children()) {
      kill(child, SIGKILL);
      testing::WaitFor(child);
    }
  }

  absl::StatusOr<std::unique_ptr<Session>> Mount(SessionOptions options) {
    options.log = [this](LogLevel, std::string_view line) {
      std::lock_guard<std::mutex> lock(mutex_);
      log_.emplace_back(line);
    };
    return Session::Mount(fs_, mountpoint_, std::move(options));
  }
  // Mounts, uses the mount from several threads, and stops.
  void UseOnce(SessionOptions options) {
    auto session = Mount(std::move(options));
    ASSERT_TRUE(session.ok()) << session.status();
    Read();
    (*session)->Stop();
    EXPECT_EQ((*session)->Wait().kind, StopReason::Kind::kStopped);
    EXPECT_TRUE(MountsBelow(mountpoint_).empty());
  }
  void Read() {
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([this] {
        for (int n = 0; n < 50; ++n) {
          EXPECT_EQ(ReadFile(mountpoint_ + "/file"), SmallFileSystem::kContent);
        }
      });
    }
    for (std::thread& client : clients) client.join();
  }
  std::string Complaint(SessionOptions options) {
    auto session = Mount(std::move(options));
    EXPECT_FALSE(session.ok());
    EXPECT_TRUE(MountsBelow(mountpoint_).empty());
    return std::string(session.status().message());
  }
  bool Logged(std::string_view text) {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::any_of(log_.begin(), log_.end(), [&](const std::string& line) {
      return line.find(text) != line.npos;
    });
  }
  // Leaves a mount behind whose server has been killed; `prepare` makes the
  // server's user.
  void LeaveDeadMount(const std::function<void()>& prepare) {
    const int status = Process([&] {
                         prepare();
                         auto session = Mount({.workers = 1});
                         Check(session.ok(), "mount");
                         return raise(SIGKILL);
                       }).Wait();
    ASSERT_EQ(status, 128 + SIGKILL);
    ASSERT_EQ(MountsBelow(mountpoint_).size(), 1u);
  }

  TempDir dir_;
  DeviceForAll device_{dir_ / "fuse"};
  std::string mountpoint_ = dir_.MakeDir("mnt");
  std::shared_ptr<SmallFileSystem> fs_ = std::make_shared<SmallFileSystem>();
  std::mutex mutex_;
  std::vector<std::string> log_;
};

// --- Root ---

TEST_F(MountWaysTest, AFileIsNoMountpoint) {
  testing::WriteFile(dir_ / "plain", "");
  auto session = Session::Mount(fs_, dir_ / "plain", {});
  EXPECT_EQ(session.status().message(), dir_ / "plain" + ": not a directory");
}

TEST_F(MountWaysTest, RootsDeadMountIsReplaced) {
  LeaveDeadMount([] {});
  UseOnce({.workers = 2});
  EXPECT_TRUE(Logged("detached a dead mount"));
}

// --- An ordinary user ---

TEST_F(MountWaysTest, AUserMountsThroughFusermount) {
  EXPECT_EQ(InChild([this] {
              BecomeNobody();
              auto session = Mount({.workers = 4});
              ASSERT_TRUE(session.ok()) << session.status();
              const Entry entry = EntryAt(mountpoint_);
              EXPECT_EQ(entry.fsname, "barefuse");
              EXPECT_EQ(entry.type, "fuse.barefuse");
              EXPECT_NE(entry.options.find("user_id=65534"), entry.options.npos)
                  << entry.options;
              EXPECT_EQ((*session)->workers(), 4u);
              EXPECT_TRUE((*session)->cloned());
              Read();
              (*session)->Stop();
              EXPECT_EQ((*session)->Wait().kind, StopReason::Kind::kStopped);
              EXPECT_TRUE(MountsBelow(mountpoint_).empty());
              EXPECT_FALSE(HasChildren());
            }),
            0);
}

TEST_F(MountWaysTest, AUsersMountWorksWithEveryTransport) {
  EXPECT_EQ(
      InChild([this] {
        BecomeNobody();
        for (TransportKind kind :
             {TransportKind::kDevUring, TransportKind::kDev}) {
          for (bool clone : {true, false}) {
            UseOnce({.workers = 3, .transport = kind, .clone_device = clone});
          }
        }
      }),
      0);
}

TEST_F(MountWaysTest, AUserNeedsTheDevice) {
  Check(chmod((dir_ / "fuse").c_str(), 0600) == 0, "chmod");
  EXPECT_EQ(InChild([this] {
              BecomeNobody();
              EXPECT_EQ(Complaint({}),
                        "cannot mount at " + mountpoint_ +
                            ": fusermount3: failed to open /dev/fuse: "
                            "Permission denied");
            }),
            0);
}

// The mount goes with the session, and so does the helper. (That it goes when
// the session's process is killed takes allow_other with fusermount3 3.14.)
TEST_F(MountWaysTest, AUserMayWantAutoUnmount) {
  EXPECT_EQ(InChild([this] {
              BecomeNobody();
              UseOnce({.mount = {.auto_unmount = true}, .workers = 2});
              EXPECT_FALSE(HasChildren());
            }),
            0);
}

// Also where 0, 1 and 2 are closed here: those numbers are the program's.
TEST_F(MountWaysTest, FusermountNeedsNoneOfOurDescriptors) {
  EXPECT_EQ(InChild([this] {
              BecomeNobody();
              UniqueFd out(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 20));
              UniqueFd err(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 20));
              for (int fd : {0, 1, 2}) close(fd);
              UseOnce({.workers = 1});
              open("/dev/null", O_RDONLY);
              dup2(out.get(), STDOUT_FILENO);
              dup2(err.get(), STDERR_FILENO);
            }),
            0);
}

TEST_F(MountWaysTest, OptionsArriveAsTheyWereSaid) {
  MountOptions mount;
  mount.fsname = R"(a,b\c d,ro)";
  mount.subtype = R"(s,t\u)";
  mount.flags |= MS_NOEXEC | MS_NOATIME;
  mount.default_permissions = true;
  mount.max_read = 65536;
  Entry direct;
  {
    auto session = Mount({.mount = mount, .workers = 1});
    ASSERT_TRUE(session.ok()) << session.status();
    direct = EntryAt(mountpoint_);
  }
  EXPECT_EQ(direct.fsname, mount.fsname);
  EXPECT_EQ(direct.type, "fuse." + mount.subtype);
  EXPECT_EQ(InChild([&] {
              BecomeNobody();
              auto session = Mount({.mount = mount, .workers = 1});
              ASSERT_TRUE(session.ok()) << session.status();
              const Entry entry = EntryAt(mountpoint_);
              EXPECT_EQ(entry.fsname, direct.fsname);
              EXPECT_EQ(entry.type, direct.type);
              std::string expected = direct.options;
              for (size_t at; (at = expected.find("_id=0")) != expected.npos;) {
                expected.replace(at, 5, "_id=65534");
              }
              EXPECT_EQ(entry.options, expected);
            }),
            0);
}

TEST_F(MountWaysTest, ARefusalIsAStatusAndNotPrinted) {
  Check(chown(mountpoint_.c_str(), 0, 0) == 0, mountpoint_);
  EXPECT_EQ(InChild([this] {
              BecomeNobody();
              UniqueFd seen(memfd_create("stderr", MFD_CLOEXEC));
              UniqueFd err(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 20));
              dup2(seen.get(), STDERR_FILENO);
              EXPECT_EQ(Complaint({}),
                        "cannot mount at " + mountpoint_ +
                            ": fusermount3: user has no write access to "
                            "mountpoint " +
                            mountpoint_);
              dup2(err.get(), STDERR_FILENO);
              EXPECT_EQ(lseek(seen.get(), 0, SEEK_END), 0);
              EXPECT_FALSE(HasChildren());
            }),
            0);
}

TEST_F(MountWaysTest, WithoutFusermountAUserIsToldWhatIsMissing) {
  const std::string what =
      "mounting needs root, or fusermount3 (Debian's package fuse3)";
  EXPECT_EQ(InChild([&] {
              Check(unshare(CLONE_NEWNS) == 0, "unshare");
              for (const char* place : {"/usr/bin", "/usr/local/bin"}) {
                Check(mount("none", place, "tmpfs", 0, nullptr) == 0, place);
              }
              setenv("PATH", "/nowhere:", 1);
              BecomeNobody();
              EXPECT_EQ(Complaint({}), "cannot mount at " + mountpoint_ +
                                           ": there is no fusermount3; " +
                                           what);
              EXPECT_EQ(Complaint({.mount = {.fusermount = "/nowhere/fm"}}),
                        "cannot mount at " + mountpoint_ +
                            ": /nowhere/fm: no such program; " + what);
            }),
            0);
  EXPECT_EQ(
      Complaint({.mount = {.auto_unmount = true, .fusermount = "/nowhere/fm"}}),
      "cannot mount at " + mountpoint_ +
          ": /nowhere/fm: no such program; auto_unmount needs "
          "fusermount3 (Debian's package fuse3)");
}

// Found in PATH before the usual places.
TEST_F(MountWaysTest, PathSaysWhichFusermount) {
  const std::string bin = dir_.MakeDir("bin");
  testing::WriteFile(bin + "/fusermount3",
                     "#!/bin/sh\necho not today >&2\nexit 3\n");
  Check(chmod((bin + "/fusermount3").c_str(), 0755) == 0, "chmod");
  EXPECT_EQ(InChild([&] {
              setenv("PATH", ("/nowhere:" + bin).c_str(), 1);
              BecomeNobody();
              EXPECT_EQ(Complaint({}),
                        "cannot mount at " + mountpoint_ + ": not today");
            }),
            0);
}

TEST_F(MountWaysTest, AUsersDeadMountIsReplaced) {
  LeaveDeadMount(BecomeNobody);
  EXPECT_EQ(InChild([this] {
              BecomeNobody();
              UseOnce({.workers = 2});
              EXPECT_TRUE(Logged("detached a dead mount"));
            }),
            0);
}

TEST_F(MountWaysTest, AllowOtherIsUpToFuseConf) {
  EXPECT_EQ(InChild([this] {
              BecomeNobody();
              EXPECT_NE(Complaint({.mount = {.allow_other = true}})
                            .find("user_allow_other"),
                        std::string::npos);
            }),
            0);
}

// --- A user namespace ---

TEST_F(MountWaysTest, MountsInAUserNamespace) {
  NEEDS_USER_NAMESPACE();
  EXPECT_EQ(InChild([this] {
              EnterUserNamespace();
              auto session = Mount({.workers = 3});
              ASSERT_TRUE(session.ok()) << session.status();
              EXPECT_TRUE((*session)->cloned());
              EXPECT_NE(EntryAt(mountpoint_).options.find("user_id=0"),
                        std::string::npos);
              Read();
              (*session)->Stop();
              EXPECT_EQ((*session)->Wait().kind, StopReason::Kind::kStopped);
              EXPECT_TRUE(MountsBelow(mountpoint_).empty());
            }),
            0);
}

TEST_F(MountWaysTest, AUserNamespaceWithoutUsersIsNamed) {
  NEEDS_USER_NAMESPACE();
  EXPECT_EQ(InChild([this] {
              Check(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, "unshare");
              EXPECT_EQ(Complaint({}),
                        "cannot mount at " + mountpoint_ +
                            ": Invalid argument; the user namespace maps no "
                            "users (/proc/self/uid_map)");
            }),
            0);
}

TEST_F(MountWaysTest, ADeadMountInAUserNamespaceIsReplaced) {
  NEEDS_USER_NAMESPACE();
  EXPECT_EQ(InChild([this] {
              EnterUserNamespace();
              LeaveDeadMount([] {});
              UseOnce({.workers = 1});
            }),
            0);
}

// allow_other means the users of the namespace; those outside of it, root
// included, have no way in. The kernel asks the server nothing for them.
TEST_F(MountWaysTest, AllowOtherEndsWithTheUserNamespace) {
  NEEDS_USER_NAMESPACE();
  Check(chown(mountpoint_.c_str(), 0, 0) == 0, mountpoint_);
  int ready[2];
  int done[2];
  Check(pipe2(ready, O_CLOEXEC) == 0 && pipe2(done, O_CLOEXEC) == 0, "pipe");
  UniqueFd ready_read(ready[0]), done_write(done[1]);
  UniqueFd ready_write(ready[1]), done_read(done[0]);
  Process server([&] {
    done_write.reset();
    EnterUserNamespace();
    auto session = Mount({.mount = {.allow_other = true}, .workers = 1});
    Check(session.ok(), "mount");
    Check(ReadFile(mountpoint_ + "/file") == SmallFileSystem::kContent, "read");
    char byte = 0;
    Check(write(ready_write.get(), &byte, 1) == 1, "write");
    return static_cast<int>(read(done_read.get(), &byte, 1));
  });
  ready_write.reset();
  char byte;
  ASSERT_EQ(read(ready_read.get(), &byte, 1), 1);
  const std::string outside =
      "/proc/" + std::to_string(server.pid()) + "/root" + mountpoint_ + "/file";
  EXPECT_EQ(open(outside.c_str(), O_RDONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EACCES);
  done_write.reset();
  EXPECT_EQ(server.Wait(), 0);
}

}  // namespace
}  // namespace barefuse
