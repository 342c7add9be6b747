// Nothing outside of the source is reached through a mount, whatever happens in
// the source meanwhile.
//
// A directory that is moved out of the source while the kernel knows it goes on
// being served to those who have it open, and so is what is put into it: it was
// in the source when it was looked up, and is held like an open directory. What
// is above it is not.
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <atomic>
#include <optional>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/kernel/passthrough_attack.h"
#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/canary.h"
#include "tests/testing/process.h"
#include "tests/testing/source_file_system.h"

namespace barefuse {
namespace {

using barefuse::testing::Attacker;
using barefuse::testing::Canary;
using barefuse::testing::Check;
using barefuse::testing::NamesIn;
using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::SourceFileSystem;
using barefuse::testing::Stat;
using barefuse::testing::User;
using barefuse::testing::Watch;
using barefuse::testing::WriteFile;

// On one filesystem: the source, the canary, and a place to move things to.
class PassthroughEscapeTest : public PassthroughTest {
 protected:
  ~PassthroughEscapeTest() override { session_.reset(); }

  // Skips the test where there is no such filesystem.
  void Prepare(std::string_view type = "tmpfs") {
    auto made = SourceFileSystem::Mount(type, dir_.MakeDir("fs"));
    if (!made.ok()) GTEST_SKIP() << made.status();
    fs_ = *std::move(made);
    canary_.emplace(fs_->path() + "/outside");
    for (const char* name : {"/away", "/src"}) {
      Check(mkdir((fs_->path() + name).c_str(), 0777) == 0, name);
    }
    away_ = fs_->path() + "/away";
    source_ = fs_->path() + "/src";
  }
  void ExpectUntouched() {
    for (const std::string& deed : canary_->Touched()) ADD_FAILURE() << deed;
  }

  std::unique_ptr<SourceFileSystem> fs_;
  std::optional<Canary> canary_;
  std::string away_;
};

// --- Races ---

// The source's filesystem, and what the kernel may keep.
using Ground = std::tuple<std::string_view, CacheMode>;
class PassthroughRaceTest : public PassthroughEscapeTest,
                            public ::testing::WithParamInterface<Ground> {};

TEST_P(PassthroughRaceTest, NothingOutsideIsReachedWhileTheSourceChanges) {
  Prepare(std::get<0>(GetParam()));
  if (IsSkipped()) return;
  for (const char* name : {"/swap", "/rel", "/moving"}) {
    Check(mkdir((source_ + name).c_str(), 0777) == 0, name);
    WriteFile(source_ + name + "/secret", "decoy");
  }
  WriteFile(source_ + "/file", "decoy");
  Mount({.cache = std::get<1>(GetParam())});
  std::atomic<bool> stop{false};
  Attacker attackers[] = {{source_, away_, canary_->path(), 1},
                          {source_, away_, canary_->path(), 2}};
  std::vector<std::thread> threads;
  for (Attacker& attacker : attackers) {
    threads.emplace_back([&] { attacker.Run(stop); });
  }
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    Process user([&] {
      if (chroot(mnt_.c_str()) != 0 || chdir("/") != 0) return 1;
      return User(seed).Run(2000);
    });
    EXPECT_EQ(user.Wait(), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (const Attacker& attacker : attackers) {
    EXPECT_GT(attacker.steps(), 1000u);
  }
  ExpectUntouched();
  // It is served as before.
  WriteFile(source_ + "/last", "at last");
  EXPECT_EQ(ReadFile(mnt_ + "/last"), "at last");
}

std::string GroundName(const ::testing::TestParamInfo<Ground>& row) {
  const auto& [type, cache] = row.param;
  return std::string(type) + (cache == CacheMode::kNever ? "Never" : "Auto");
}
// Each inode of overlayfs is held open; of tmpfs there are handles.
INSTANTIATE_TEST_SUITE_P(Grounds, PassthroughRaceTest,
                         ::testing::Values(Ground{"tmpfs", CacheMode::kNever},
                                           Ground{"tmpfs", CacheMode::kAuto},
                                           Ground{"overlay",
                                                  CacheMode::kNever}),
                         GroundName);

// --- What has left the source ---

TEST_F(PassthroughEscapeTest, FromADirectoryMovedOutThereIsNoWayUp) {
  Prepare();
  for (const char* name : {"/dir", "/dir/sub"}) {
    Check(mkdir((source_ + name).c_str(), 0777) == 0, name);
  }
  WriteFile(source_ + "/dir/inner", "inner");
  WriteFile(source_ + "/dir/open", "open");
  Mount({.cache = CacheMode::kNever});
  UniqueFd dir = Open("dir", O_RDONLY | O_DIRECTORY);
  UniqueFd sub = Open("dir/sub", O_PATH);
  UniqueFd file = Open("dir/open", O_RDWR);
  const ino_t root = Stat(mnt_).st_ino;
  ASSERT_EQ(rename((source_ + "/dir").c_str(), (away_ + "/dir").c_str()), 0);
  WriteFile(away_ + "/beside", "not to be seen");

  // What was looked up in the source goes on.
  EXPECT_EQ(ReadAt(file, 0, 10), "open");
  EXPECT_EQ(NamesIn(dir.get()),
            (std::set<std::string>{".", "..", "sub", "inner", "open"}));
  UniqueFd inner(openat(dir.get(), "inner", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(inner) << strerror(errno);
  EXPECT_EQ(ReadAt(inner, 0, 10), "inner");
  // Above it is the mount, as far as there is anything.
  const struct {
    int from;
    const char* up;
  } ways[] = {{dir.get(), ".."}, {sub.get(), "../.."}};
  for (const auto& [from, up] : ways) {
    struct stat above;
    if (fstatat(from, up, &above, 0) == 0) {
      EXPECT_EQ(above.st_ino, root);
      EXPECT_EQ(above.st_dev, Stat(mnt_).st_dev);
    }
    const std::string beside = std::string(up) + "/beside";
    EXPECT_NE(faccessat(from, beside.c_str(), F_OK, 0), 0);
    // What is made there is in the source.
    const std::string made = std::string(up) + "/made";
    UniqueFd fd(openat(from, made.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    EXPECT_EQ(static_cast<bool>(fd),
              access((source_ + "/made").c_str(), 0) == 0);
    EXPECT_NE(access((away_ + "/made").c_str(), F_OK), 0);
  }
  EXPECT_EQ(ReadFile(away_ + "/beside"), "not to be seen");
  // The same from a working directory.
  Process inside([&] {
    if (fchdir(sub.get()) != 0) return 1;
    if (access("../../beside2", F_OK) == 0) return 2;
    if (access("../../../away", F_OK) == 0) return 3;
    char path[4096];
    // Wherever it is, it is not where it really is.
    const char* name = getcwd(path, sizeof path);
    return name != nullptr && std::string_view(name).starts_with(away_) ? 4 : 0;
  });
  EXPECT_EQ(inside.Wait(), 0);
  // By name it is gone.
  EXPECT_NE(access((mnt_ + "/dir").c_str(), F_OK), 0);
  EXPECT_EQ(errno, ENOENT);
  ExpectUntouched();
}

// --- What must not be opened ---

TEST_F(PassthroughEscapeTest, TheServerOpensNoSpecialFiles) {
  Prepare();
  const char* names[] = {"fifo", "char", "block", "socket"};
  const mode_t types[] = {S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK};
  Watch watch;
  for (int i = 0; i < 4; ++i) {
    const std::string path = source_ + "/" + names[i];
    Check(mknod(path.c_str(), types[i] | 0666, makedev(1, 5)) == 0, path);
    watch.Add(path);
  }
  SessionOptions session;
  session.mount.flags &= ~static_cast<unsigned long>(MS_NODEV);
  Mount({}, std::move(session));
  for (const char* name : names) {
    const std::string path = mnt_ + "/" + name;
    EXPECT_EQ(truncate(path.c_str(), 0), -1);
    char buffer[10];
    EXPECT_EQ(lgetxattr(path.c_str(), "user.x", buffer, sizeof buffer), -1);
    EXPECT_EQ(access(path.c_str(), R_OK), 0);
    UniqueFd by_path(open(path.c_str(), O_PATH | O_CLOEXEC));
    EXPECT_TRUE(by_path);
  }
  // The kernel opens them by itself: the fifo and the device work.
  UniqueFd fifo = Open("fifo", O_RDWR | O_NONBLOCK);
  WriteAt(Open("char", O_RDWR), 0, "into nothing");
  EXPECT_EQ(ReadAt(Open("char", O_RDONLY), 0, 3), std::string(3, '\0'));
  EXPECT_EQ(open((mnt_ + "/socket").c_str(), O_RDONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, ENXIO);
  EXPECT_EQ(chmod((mnt_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(Stat(source_ + "/fifo").st_mode & 0777, 0600u);
  for (const std::string& event : watch.Events()) {
    // IN_ATTRIB is the chmod.
    EXPECT_TRUE(event.ends_with("0x4")) << event;
  }
  ExpectUntouched();
}

// A link of procfs jumps where its text does not lead.
TEST_F(PassthroughEscapeTest, MagicLinksAreLinksToTheServer) {
  Prepare();
  Check(mkdir((source_ + "/proc").c_str(), 0755) == 0, "proc");
  ASSERT_EQ(
      mount("/proc", (source_ + "/proc").c_str(), nullptr, MS_BIND, nullptr),
      0);
  UniqueFd outside(
      open(canary_->path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Mount();
  const std::string self = "/proc/" + std::to_string(getpid());
  const std::string fd = self + "/fd/" + std::to_string(outside.get());
  Process user([&] {
    if (chroot(mnt_.c_str()) != 0 || chdir("/") != 0) return 1;
    char target[4096];
    const ssize_t size = readlink(fd.c_str(), target, sizeof target);
    if (size < 0 || std::string_view(target, static_cast<size_t>(size)) !=
                        canary_->path()) {
      return 2;
    }
    struct stat info;
    if (lstat((self + "/root").c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) {
      return 3;
    }
    // Its text leads to the root of whoever follows it.
    if (access((self + "/root/proc").c_str(), F_OK) != 0) return 4;
    if (access((self + "/root/etc").c_str(), F_OK) == 0) return 5;
    if (access((self + "/exe").c_str(), F_OK) == 0) return 6;
    for (const char* name : {"/secret", "/dir/inner", "/new"}) {
      for (int flags : {O_RDONLY, O_RDWR | O_CREAT}) {
        if (open((fd + name).c_str(), flags | O_CLOEXEC, 0666) >= 0) return 7;
      }
    }
    return 0;
  });
  EXPECT_EQ(user.Wait(), 0);
  ExpectUntouched();
}

// --- Mounts in the source ---

TEST_F(PassthroughEscapeTest, WhatIsMountedInTheSourceComesAndGoes) {
  Prepare();
  const std::string bound = source_ + "/bound";
  const std::string deep = away_ + "/deep";
  for (const std::string& path : {bound, deep, deep + "/sub"}) {
    Check(mkdir(path.c_str(), 0777) == 0, path);
  }
  WriteFile(bound + "/below", "below");
  WriteFile(deep + "/file", "bound");
  Mount({.cache = CacheMode::kNever});
  EXPECT_EQ(ReadFile(mnt_ + "/bound/below"), "below");
  ASSERT_EQ(mount(deep.c_str(), bound.c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_EQ(ReadFile(mnt_ + "/bound/file"), "bound");
  // It has no way up to where it comes from.
  UniqueFd sub = Open("bound/sub", O_PATH);
  EXPECT_NE(faccessat(sub.get(), "../../deep", F_OK, 0), 0);
  EXPECT_EQ(faccessat(sub.get(), "../../bound", F_OK, 0), 0);
  ASSERT_EQ(umount2(bound.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(ReadFile(mnt_ + "/bound/below"), "below");
  EXPECT_NE(access((mnt_ + "/bound/file").c_str(), F_OK), 0);
  ExpectUntouched();
}

}  // namespace
}  // namespace barefuse
