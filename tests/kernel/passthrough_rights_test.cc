// The server's rights are root's. What callers may do is less, and is not more
// through the mount than in the source.
#include <linux/capability.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <thread>
#include <vector>

#include "tests/kernel/other_user.h"
#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/canary.h"
#include "tests/testing/process.h"
#include "tests/testing/source_file_system.h"

namespace barefuse {
namespace {

using barefuse::testing::BecomeNobody;
using barefuse::testing::Canary;
using barefuse::testing::Check;
using barefuse::testing::kNobody;
using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

class PassthroughRightsTest : public PassthroughTest {
 protected:
  ~PassthroughRightsTest() override { session_.reset(); }

  // The source becomes a filesystem of its own.
  void MountSource(const char* type, const char* options = "") {
    ASSERT_EQ(mount(type, source_.c_str(), type, 0, options), 0);
    Check(chmod(source_.c_str(), 0777) == 0, source_);
  }
  // A file of the source that anybody may write.
  std::string Make(std::string_view name, mode_t mode = 0666) {
    const std::string path = source_ + "/" + std::string(name);
    WriteFile(path, "content");
    Check(chmod(path.c_str(), mode) == 0, path);
    return path;
  }
  // What `body` gives, an errno, for an ordinary user.
  static int AsNobody(const std::function<int()>& body) {
    return Process([&] {
             BecomeNobody();
             return body();
           })
        .Wait();
  }
};

// Waits until a child that calls itself "opening" sleeps, or has ended.
void AwaitSleep(pid_t child) {
  for (;;) {
    const std::string stat =
        ReadFile("/proc/" + std::to_string(child) + "/stat");
    const size_t name = stat.find("(opening) ");
    const char state = name == stat.npos ? 'R' : stat[name + 10];
    if (state == 'S' || state == 'D' || state == 'Z') return;
    std::this_thread::yield();
  }
}

int Errno(long result) { return result < 0 ? errno : 0; }

// --- Paths of the server's own ---

// The server goes by /proc/self/fd to what it has open. Whoever may mount
// something there must not change what that means.
TEST_F(PassthroughRightsTest, WhatIsMountedOverProcLeadsNowhere) {
  Canary canary(dir_ / "outside");
  Make("file", 0600);
  Make("xattrs");
  Mount({.cache = CacheMode::kNever});
  // Every descriptor is a link to the canary's secret.
  const std::string fake = dir_.MakeDir("fake");
  Check(mkdir((fake + "/self").c_str(), 0755) == 0, "self");
  Check(mkdir((fake + "/self/fd").c_str(), 0755) == 0, "fd");
  for (int i = 0; i < 200; ++i) {
    const std::string link = fake + "/self/fd/" + std::to_string(i);
    Check(symlink((canary.path() + "/secret").c_str(), link.c_str()) == 0,
          link);
  }
  ASSERT_EQ(mount(fake.c_str(), "/proc", nullptr, MS_BIND, nullptr), 0);
  const int mode = Errno(chmod((mnt_ + "/file").c_str(), 0777));
  const int set =
      Errno(setxattr((mnt_ + "/xattrs").c_str(), "user.canary", "dies", 4, 0));
  const int removed =
      Errno(removexattr((mnt_ + "/xattrs").c_str(), "user.canary"));
  ASSERT_EQ(umount2("/proc", MNT_DETACH), 0);
  EXPECT_EQ(canary.Touched(), std::vector<std::string>());
  // Done rightly, or not done and said so.
  EXPECT_EQ(Stat(source_ + "/file").st_mode & 0777, mode == 0 ? 0777u : 0600u);
  EXPECT_TRUE(set != 0 || removed == 0);
}

// --- What sources may lack ---

TEST_F(PassthroughRightsTest, SourcesWithoutAclsAreForEverybody) {
  MountSource("ramfs");
  Make("file", 0644);
  Check(mkdir((source_ + "/dir").c_str(), 0755) == 0, "dir");
  Make("dir/file", 0644);
  Mount();
  for (const char* name : {"/file", "/dir/file"}) {
    const std::string path = mnt_ + name;
    EXPECT_EQ(AsNobody([&] {
                return Errno(open(path.c_str(), O_RDONLY | O_CLOEXEC));
              }),
              0)
        << name;
    EXPECT_EQ(AsNobody([&] {
                return Errno(open(path.c_str(), O_WRONLY | O_CLOEXEC));
              }),
              EACCES)
        << name;
  }
}

// procfs asks who opens and reads, not what the mode says.
TEST_F(PassthroughRightsTest, ProcessesAreNotShownToWhoMayNotSeeThem) {
  Check(mkdir((source_ + "/proc").c_str(), 0755) == 0, "proc");
  ASSERT_EQ(
      mount("/proc", (source_ + "/proc").c_str(), nullptr, MS_BIND, nullptr),
      0);
  Process roots({"sleep", "1000"});
  const std::string maps = "/proc/" + std::to_string(roots.pid()) + "/maps";
  auto read_maps = [](const std::string& path) {
    // Directly: a file of procfs has no size for the page cache to go by.
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    if (!fd) fd.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    alignas(4096) char buffer[4096];
    const ssize_t n = fd ? read(fd.get(), buffer, sizeof buffer) : -1;
    return n > 0 ? 1 : 0;
  };
  Mount();
  ASSERT_EQ(AsNobody([&] { return read_maps(maps); }), 0);
  EXPECT_EQ(AsNobody([&] { return read_maps(mnt_ + maps); }), 0);
}

// --- Attributes that take a right ---

TEST_F(PassthroughRightsTest, NamespacesOfAttributesKeepTheirRights) {
  MountSource("tmpfs", "size=1m");
  const std::string below = Make("file", 0666);
  Check(chown(below.c_str(), kNobody, kNobody) == 0, "chown");
  Check(setxattr(below.c_str(), "trusted.x", "secret", 6, 0) == 0, "trusted");
  Check(setxattr(below.c_str(), "security.x", "label", 5, 0) == 0, "security");
  Mount();
  const std::string path = mnt_ + "/file";
  vfs_cap_data capability{};
  capability.magic_etc = VFS_CAP_REVISION_2;
  for (const char* name :
       {"trusted.x", "trusted.new", "security.x", "security.new",
        "security.capability", "system.x", "system.data"}) {
    EXPECT_NE(AsNobody([&] {
                return Errno(setxattr(path.c_str(), name, &capability,
                                      XATTR_CAPS_SZ_2, 0));
              }),
              0)
        << name;
    EXPECT_NE(AsNobody([&] { return Errno(removexattr(path.c_str(), name)); }),
              0)
        << name;
  }
  char buffer[100];
  EXPECT_NE(AsNobody([&] {
              return Errno(
                  getxattr(path.c_str(), "trusted.x", buffer, sizeof buffer));
            }),
            0);
  EXPECT_EQ(AsNobody([&] {
              const ssize_t n = listxattr(path.c_str(), buffer, sizeof buffer);
              const std::string_view names(buffer,
                                           n < 0 ? 0 : static_cast<size_t>(n));
              return names.find("trusted") == names.npos ? 0 : 1;
            }),
            0);
  EXPECT_EQ(getxattr(below.c_str(), "trusted.x", buffer, sizeof buffer), 6);
  EXPECT_EQ(getxattr(below.c_str(), "security.x", buffer, sizeof buffer), 5);
  EXPECT_EQ(getxattr(below.c_str(), "security.new", buffer, 100), -1);
}

TEST_F(PassthroughRightsTest, FlagsThatTakeARightAreRootsAlone) {
  MountSource("tmpfs", "size=1m");
  const std::string below = Make("file");
  Check(chown(below.c_str(), kNobody, kNobody) == 0, "chown");
  UniqueFd fd(open(below.c_str(), O_RDONLY | O_CLOEXEC));
  int flags = 0;
  if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) {
    GTEST_SKIP() << "tmpfs has no flags";
  }
  Mount();
  for (int flag : {FS_IMMUTABLE_FL, FS_APPEND_FL}) {
    EXPECT_EQ(
        AsNobody([&] {
          UniqueFd file(open((mnt_ + "/file").c_str(), O_RDONLY | O_CLOEXEC));
          int set = flag;
          return Errno(ioctl(file.get(), FS_IOC_SETFLAGS, &set));
        }),
        EPERM);
  }
  EXPECT_EQ(ioctl(fd.get(), FS_IOC_GETFLAGS, &flags), 0);
  EXPECT_EQ(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL), 0);
}

TEST_F(PassthroughRightsTest, AppendOnlyFilesAreAppendedToAndNotMore) {
  MountSource("tmpfs", "size=1m");
  UniqueFd fd(open(Make("log").c_str(), O_RDONLY | O_CLOEXEC));
  int flags = FS_APPEND_FL;
  if (ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) != 0) {
    GTEST_SKIP() << "tmpfs has no flags";
  }
  Mount();
  const std::string path = mnt_ + "/log";
  EXPECT_LT(open(path.c_str(), O_WRONLY | O_CLOEXEC), 0);
  EXPECT_EQ(truncate(path.c_str(), 0), -1);
  UniqueFd log(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  EXPECT_TRUE(log) << strerror(errno);
  if (log) {
    EXPECT_EQ(write(log.get(), " more", 5), 5) << strerror(errno);
    EXPECT_EQ(ReadFile(source_ + "/log"), "content more");
  }
  flags = 0;
  EXPECT_EQ(ioctl(fd.get(), FS_IOC_SETFLAGS, &flags), 0);
}

// O_NOATIME is the owner's.
TEST_F(PassthroughRightsTest, OthersReadNothingUnseen) {
  Make("file", 0644);
  Mount();
  EXPECT_EQ(AsNobody([&] {
              return Errno(open((mnt_ + "/file").c_str(),
                                O_RDONLY | O_NOATIME | O_CLOEXEC));
            }),
            EPERM);
}

TEST_F(PassthroughRightsTest, DevicesAreMadeByRootAlone) {
  Check(chmod(source_.c_str(), 0777) == 0, source_);
  Mount();
  for (mode_t type : {S_IFCHR, S_IFBLK}) {
    EXPECT_EQ(AsNobody([&] {
                return Errno(mknod((mnt_ + "/device").c_str(), type | 0666,
                                   makedev(1, 3)));
              }),
              EPERM);
  }
  EXPECT_EQ(AsNobody([&] {
              return Errno(mknod((mnt_ + "/fifo").c_str(), S_IFIFO, 0));
            }),
            0);
}

// --- Privileges that writing takes away ---

struct Way {
  const char* name;
  PassthroughOptions options;
  friend std::ostream& operator<<(std::ostream& out, const Way& way) {
    return out << way.name;
  }
};
class PassthroughPrivilegesTest : public PassthroughRightsTest,
                                  public ::testing::WithParamInterface<Way> {};

TEST_P(PassthroughPrivilegesTest, Cve202120263CapabilitiesGoWithTheFirstWrite) {
  struct Deed {
    const char* what;
    bool by_root;
    std::function<int(const std::string&)> deed;
  };
  auto open_and = [](const std::string& path, int flags, auto use) {
    UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC));
    return fd ? Errno(use(fd.get())) : errno;
  };
  auto write_x = [&](const std::string& path) {
    return open_and(path, O_WRONLY, [](int fd) { return write(fd, "x", 1); });
  };
  auto append_x = [&](const std::string& path) {
    return open_and(path, O_WRONLY | O_APPEND,
                    [](int fd) { return write(fd, "x", 1); });
  };
  auto shorten = [](const std::string& path) {
    return Errno(truncate(path.c_str(), 2));
  };
  auto make_room = [&](const std::string& path) {
    return open_and(path, O_WRONLY,
                    [](int fd) { return fallocate(fd, 0, 0, 10000); });
  };
  auto open_anew = [&](const std::string& path) {
    return open_and(path, O_WRONLY | O_TRUNC, [](int) { return 0; });
  };
  const Deed deeds[] = {
      {"write", false, write_x},           {"write by root", true, write_x},
      {"append", false, append_x},         {"truncate", false, shorten},
      {"truncate by root", true, shorten}, {"fallocate", false, make_room},
      {"O_TRUNC", false, open_anew},
  };
  MountSource("tmpfs", "size=1m");
  Mount(GetParam().options);
  vfs_cap_data capability{};
  capability.magic_etc = VFS_CAP_REVISION_2;
  capability.data[0].permitted = 1;
  int number = 0;
  for (const Deed& it : deeds) {
    SCOPED_TRACE(it.what);
    const std::string name = std::to_string(number++);
    const std::string below = Make(name, 06777);
    const std::string above = mnt_ + "/" + name;
    ASSERT_EQ(setxattr(below.c_str(), "security.capability", &capability,
                       XATTR_CAPS_SZ_2, 0),
              0);
    // The kernel knows of it.
    EXPECT_EQ(getxattr(above.c_str(), "security.capability", nullptr, 0),
              XATTR_CAPS_SZ_2);
    EXPECT_EQ(
        it.by_root ? it.deed(above) : AsNobody([&] { return it.deed(above); }),
        0);
    EXPECT_EQ(getxattr(below.c_str(), "security.capability", nullptr, 0), -1);
    EXPECT_EQ(Stat(below).st_mode & 07777, it.by_root ? 06777u : 0777u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways, PassthroughPrivilegesTest,
    ::testing::Values(Way{"passthrough", {}},
                      Way{"served", {.passthrough = false}},
                      Way{"direct", {.passthrough = false, .direct_io = true}},
                      Way{"writeback",
                          {.passthrough = false, .writeback = true}}),
    [](const auto& row) { return std::string(row.param.name); });

// --- Holding up others ---

// An open for writing waits until the leases of others are given up, which
// takes 45 seconds where they do not answer.
TEST_F(PassthroughRightsTest, LeasesDoNotHoldUpOthers) {
  constexpr int kFiles = 16;
  for (int i = 0; i < kFiles; ++i) {
    const std::string path = Make(std::to_string(i));
    Check(chown(path.c_str(), kNobody, kNobody) == 0, path);
  }
  Mount({.timeout = absl::Hours(1)});
  UniqueFd found[kFiles];
  UniqueFd leases[kFiles];
  signal(SIGIO, SIG_IGN);
  for (int i = 0; i < kFiles; ++i) {
    found[i] = Open(std::to_string(i), O_PATH);
    leases[i].reset(open((source_ + "/" + std::to_string(i)).c_str(),
                         O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(fcntl(leases[i].get(), F_SETLEASE, F_RDLCK), 0);
  }
  std::vector<std::unique_ptr<Process>> writers;
  for (int i = 0; i < kFiles; ++i) {
    writers.push_back(std::make_unique<Process>([&, i] {
      for (UniqueFd& lease : leases) lease.reset();  // the parent's
      BecomeNobody();
      // When it sleeps under its new name, it waits for OPEN and nothing else.
      const std::string path =
          "/proc/self/fd/" + std::to_string(found[i].get());
      prctl(PR_SET_NAME, "opening");
      return Errno(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    }));
  }
  for (const auto& writer : writers) AwaitSleep(writer->pid());
  // Nobody has given up a lease yet. They are after a while, so that a server
  // that waits for it comes back.
  std::atomic<bool> answered{false};
  std::thread other([&] {
    EXPECT_EQ(access((mnt_ + "/absent").c_str(), F_OK), -1);
    answered = true;
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!answered && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(answered) << "a lease has held up somebody else";
  for (UniqueFd& lease : leases) lease.reset();
  other.join();
  for (auto& writer : writers) {
    const int error = writer->Wait();
    EXPECT_TRUE(error == 0 || error == EAGAIN) << strerror(error);
  }
}

}  // namespace
}  // namespace barefuse
