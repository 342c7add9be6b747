// A mount that is mounted elsewhere with other ids.
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <functional>
#include <string>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/process.h"

using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

namespace barefuse {
namespace {

// What `body` gives, run in a child as a user without further groups.
int AsUser(uid_t user, const std::function<int()>& body) {
  return Process([&] {
           if (setgroups(0, nullptr) != 0 || setgid(user) != 0 ||
               setuid(user) != 0) {
             return 99;
           }
           return body();
         })
      .Wait();
}

class PassthroughIdmapTest : public PassthroughTest {
 protected:
  // Mounts the mount at MAPPED, where those whom it knows as `inner` are
  // `outer`.
  void MountMapped(uint32_t inner, uint32_t outer) {
    // A user namespace says which; it needs a process that makes it.
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    UniqueFd ready(ends[0]), tell(ends[1]);
    Process holder([&] {
      if (unshare(CLONE_NEWUSER) != 0 || write(tell.get(), "r", 1) != 1) {
        return 1;
      }
      pause();
      return 0;
    });
    tell.reset();
    char word;
    ASSERT_EQ(read(ready.get(), &word, 1), 1);
    const std::string proc = "/proc/" + std::to_string(holder.pid());
    const std::string map =
        std::to_string(inner) + " " + std::to_string(outer) + " 1";
    WriteFile(proc + "/uid_map", map);
    WriteFile(proc + "/gid_map", map);
    UniqueFd space(open((proc + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(space) << strerror(errno);
    UniqueFd tree(
        static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, mnt_.c_str(),
                                 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
    ASSERT_TRUE(tree) << strerror(errno);
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<uint64_t>(space.get());
    ASSERT_EQ(syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH,
                      &attributes, sizeof attributes),
              0)
        << strerror(errno);
    ASSERT_EQ(syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, mapped_.c_str(),
                      MOVE_MOUNT_F_EMPTY_PATH),
              0)
        << strerror(errno);
    holder.Signal(SIGKILL);
    holder.Wait();
  }
  void TearDown() override { umount2(mapped_.c_str(), MNT_DETACH); }

  static constexpr uint32_t kInner = 1234;
  static constexpr uint32_t kOuter = 4321;
  std::string mapped_ = dir_.MakeDir("mapped");
};

TEST_F(PassthroughIdmapTest, OwnersAreMappedBothWays) {
  // Of unknown owners nobody may change anything.
  ASSERT_EQ(chown(source_.c_str(), kInner, kInner), 0);
  WriteFile(source_ + "/file", "content");
  ASSERT_EQ(chown((source_ + "/file").c_str(), kInner, kInner), 0);
  ASSERT_EQ(chmod((source_ + "/file").c_str(), 0600), 0);
  Mount({.idmap = true});
  ASSERT_TRUE(session_->terms().Has(abi::FUSE_ALLOW_IDMAP));
  MountMapped(kInner, kOuter);
  if (HasFatalFailure()) return;

  EXPECT_EQ(Stat(mapped_ + "/file").st_uid, kOuter);
  EXPECT_EQ(Stat(mnt_ + "/file").st_uid, kInner);
  const int failed = AsUser(kOuter, [&] {
    // What is theirs they read, write and make, also where it is passed
    // through.
    UniqueFd fd(open((mapped_ + "/file").c_str(), O_RDWR | O_CLOEXEC));
    if (!fd || pwrite(fd.get(), "C", 1, 0) != 1) return 1;
    UniqueFd made(open((mapped_ + "/made").c_str(),
                       O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    if (!made || write(made.get(), "mine", 4) != 4) return 2;
    if (mkdir((mapped_ + "/dir").c_str(), 0700) != 0) return 3;
    if (symlink("x", (mapped_ + "/link").c_str()) != 0) return 4;
    return chmod((mapped_ + "/made").c_str(), 0640) == 0 ? 0 : 5;
  });
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(ReadFile(source_ + "/file"), "Content");
  EXPECT_EQ(ReadFile(source_ + "/made"), "mine");
  EXPECT_EQ(Stat(source_ + "/made").st_mode & 0777, 0640u);
  for (const char* name : {"/made", "/dir", "/link"}) {
    EXPECT_EQ(Stat(source_ + name).st_uid, kInner) << name;
    EXPECT_EQ(Stat(source_ + name).st_gid, kInner) << name;
  }
}

// Who asks is not told then; bits must not stay for want of knowing.
TEST_F(PassthroughIdmapTest, WritesTakeSetUserIdAway) {
  for (const bool passthrough : {true, false}) {
    const std::string file = source_ + "/file";
    WriteFile(file, "content");
    ASSERT_EQ(chown(file.c_str(), kInner, kInner), 0);
    ASSERT_EQ(chmod(file.c_str(), 06777), 0);
    Mount({.passthrough = passthrough, .idmap = true});
    MountMapped(kInner, kOuter);
    if (HasFatalFailure()) return;
    const int failed = AsUser(kOuter + 1, [&] {
      UniqueFd fd(open((mapped_ + "/file").c_str(), O_RDWR | O_CLOEXEC));
      return fd && pwrite(fd.get(), "C", 1, 0) == 1 ? 0 : 1;
    });
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(Stat(file).st_mode & 07777, 0777u) << passthrough;
    ASSERT_EQ(umount(mapped_.c_str()), 0) << strerror(errno);
    End();
  }
}

}  // namespace
}  // namespace barefuse
