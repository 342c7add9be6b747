// Nothing outside of the source is reached through a mount, whatever happens in
// the source meanwhile.
//
// A directory that is moved out of the source while the kernel knows it goes on
// being served to those who have it open, and so is what is put into it: it was
// in the source when it was looked up, and is held like an open directory. What
// is above it is not.
#include <dirent.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/canary.h"
#include "tests/testing/process.h"
#include "tests/testing/source_file_system.h"

namespace barefuse {
namespace {

using barefuse::testing::Canary;
using barefuse::testing::Check;
using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::SourceFileSystem;
using barefuse::testing::Stat;
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

std::set<std::string> Names(int directory) {
  UniqueFd fd(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* stream = fdopendir(fd.release());
  Check(stream != nullptr, "fdopendir");
  std::set<std::string> names;
  while (const dirent* entry = readdir(stream)) names.insert(entry->d_name);
  closedir(stream);
  return names;
}

// --- Races ---

// Changes the source all the time, so that each name means now something in
// it, now something outside, now something that must not be opened. Itself it
// follows no link.
class Attacker {
 public:
  Attacker(const std::string& source, const std::string& away,
           const std::string& outside, uint64_t seed)
      : source_(source),
        away_(away),
        outside_(outside),
        seed_(seed),
        random_(seed) {}

  void Run(const std::atomic<bool>& stop) {
    while (!stop.load(std::memory_order_relaxed)) {
      Step();
      ++steps_;
    }
  }
  uint64_t steps() const { return steps_; }

 private:
  std::string In(const char* name) const { return source_ + "/" + name; }
  bool Rename(const std::string& from, const std::string& to, unsigned flags) {
    return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0;
  }
  std::string NewName() {
    return away_ + "/" + std::to_string(seed_) + "-" + std::to_string(made_++);
  }
  // Makes a tree like the canary and puts it where a name is.
  void Renew(const std::string& to) {
    if (made_ > 3000) return;
    const std::string fresh = NewName();
    if (mkdir(fresh.c_str(), 0777) != 0) return;
    WriteFile(fresh + "/secret", "decoy");
    if (mkdir((fresh + "/dir").c_str(), 0777) != 0) return;
    WriteFile(fresh + "/dir/inner", "decoy");
    if (!Rename(fresh, to, RENAME_NOREPLACE))
      Rename(fresh, to, RENAME_EXCHANGE);
  }
  void Plant(const std::string& target, const std::string& to) {
    if (made_ > 3000) return;
    const std::string fresh = NewName();
    if (symlink(target.c_str(), fresh.c_str()) != 0) return;
    if (!Rename(fresh, to, RENAME_NOREPLACE))
      Rename(fresh, to, RENAME_EXCHANGE);
  }
  void Replace(const std::string& to) {
    static constexpr mode_t kTypes[] = {S_IFREG, S_IFIFO, S_IFCHR, S_IFBLK,
                                        S_IFSOCK};
    const std::string fresh = NewName();
    if (mknod(fresh.c_str(), kTypes[random_() % 5] | 0666, makedev(1, 5)) !=
        0) {
      return;
    }
    if (!Rename(fresh, to, 0)) unlink(fresh.c_str());
  }
  void Step() {
    switch (random_() % 32) {
      case 0:
        return Renew(In("swap"));
      case 1:
        return Renew(In("rel"));
      case 2:
        return Renew(In("moving"));
      case 3:
        return Plant(outside_, In("swap2"));
      case 4:
        return Plant("../outside", In("rel2"));
      case 5:
        return Plant(outside_ + "/secret", In("target"));
      case 6:
        return Plant("../outside/secret", In("file"));
      case 7:
      case 8:
      case 9:
        return Replace(In("target"));
      case 10:
      case 11:
        Rename(In("file"), In("target"), RENAME_EXCHANGE);
        return;
      case 12:
      case 13:
      case 14:
        Rename(In("moving"), away_ + "/moving", RENAME_NOREPLACE);
        return;
      case 15:
      case 16:
      case 17:
        Rename(away_ + "/moving", In("moving"), RENAME_NOREPLACE);
        return;
      case 18:
        Rename(In("moving"), In("rel"), RENAME_EXCHANGE);
        return;
      default:
        Rename(In("swap"), In("swap2"), RENAME_EXCHANGE);
        Rename(In("rel"), In("rel2"), RENAME_EXCHANGE);
        return;
    }
  }

  const std::string source_;
  const std::string away_;
  const std::string outside_;
  const uint64_t seed_;
  std::mt19937_64 random_;
  uint64_t made_ = 0;
  uint64_t steps_ = 0;
};

// Uses the mount, which is its root directory: what it reaches elsewhere, the
// server has reached for it.
class User {
 public:
  explicit User(uint64_t seed) : random_(seed) {}

  // Gives 0, or 3 where the secret has been read, or 2 where hardly anything
  // has worked.
  int Run(int rounds) {
    for (int i = 0; i < rounds && !read_secret_; ++i) Do(random_() % 22);
    if (read_secret_) return 3;
    return opened_ > rounds / 200 && done_ > rounds / 20 ? 0 : 2;
  }

 private:
  std::string Path() {
    static constexpr const char* kPaths[] = {
        "swap",         "swap/secret",   "swap/dir/inner",
        "swap2/secret", "swap2/dir",     "rel/secret",
        "rel2/secret",  "rel/dir/inner", "target",
        "file",         "moving/secret", "moving",
        "moving/..",    "moving/dir/..", "swap/../file",
        "swap/new",     "rel/new",       "moving/new",
        "new",          "rel2",          "swap/dir",
        "moving/dir",   "../outside",    "swap/dir/../secret"};
    return kPaths[random_() % std::size(kPaths)];
  }
  void Note(long result) { done_ += result >= 0 ? 1 : 0; }

  void OpenAndUse() {
    static constexpr int kFlags[] = {O_RDONLY,
                                     O_RDWR,
                                     O_WRONLY | O_TRUNC,
                                     O_RDWR | O_CREAT,
                                     O_RDWR | O_CREAT | O_EXCL,
                                     O_RDONLY | O_DIRECTORY,
                                     O_RDONLY | O_NOFOLLOW,
                                     O_RDWR | O_APPEND};
    const int flags = kFlags[random_() % std::size(kFlags)];
    UniqueFd fd(open(Path().c_str(), flags | O_NONBLOCK | O_CLOEXEC, 0666));
    if (!fd) return;
    ++opened_;
    char buffer[100];
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n > 0 && std::string_view(buffer, static_cast<size_t>(n))
                         .find(Canary::kSecret) != std::string_view::npos) {
      read_secret_ = true;
    }
    if (random_() % 2 == 0) Note(write(fd.get(), "overwritten", 11));
    if (random_() % 4 == 0) Note(fchmod(fd.get(), 0777));
    if ((flags & O_DIRECTORY) == 0) return;
    for (const std::string& name : Names(fd.get())) {
      struct stat info;
      fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
    }
  }
  void Do(uint64_t what) {
    const std::string path = Path();
    const std::string other = Path();
    const char* at = path.c_str();
    char buffer[100];
    struct stat info;
    switch (what) {
      default:
        return OpenAndUse();
      case 0:
        return Note(unlink(at));
      case 1:
        return Note(mkdir(at, 0777));
      case 2:
        return Note(rmdir(at));
      case 3:
        return Note(rename(at, other.c_str()));
      case 4:
        return Note(link(at, other.c_str()));
      case 5:
        return Note(symlink("../outside/secret", at));
      case 6:
        return Note(setxattr(at, "user.canary", "dies", 4, 0));
      case 7:
        return Note(lsetxattr(at, "trusted.canary", "dies", 4, 0));
      case 8:
        return Note(getxattr(at, "user.canary", buffer, sizeof buffer));
      case 9:
        return Note(chmod(at, 0777));
      case 10:
        return Note(chown(at, 1, 1));
      case 11:
        return Note(lchown(at, 2, 2));
      case 12:
        return Note(truncate(at, 3));
      case 13:
        return Note(readlink(at, buffer, sizeof buffer));
      case 14:
        return Note(utimensat(AT_FDCWD, at, nullptr, 0));
      case 15:
        return Note(mkfifo(at, 0666));
      case 16:
        return Note(lstat(at, &info));
    }
  }

  std::mt19937_64 random_;
  int opened_ = 0;
  int done_ = 0;
  bool read_secret_ = false;
};

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
  EXPECT_EQ(Names(dir.get()),
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
