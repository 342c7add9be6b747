// Somebody who changes a source, and somebody who uses its mount meanwhile.
#ifndef BAREFUSE_TESTS_KERNEL_PASSTHROUGH_ATTACK_H_
#define BAREFUSE_TESTS_KERNEL_PASSTHROUGH_ATTACK_H_

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include "server/unique_fd.h"
#include "tests/testing/canary.h"
#include "tests/testing/files.h"

namespace barefuse::testing {

inline std::set<std::string> NamesIn(int directory) {
  UniqueFd fd(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* stream = fdopendir(fd.release());
  Check(stream != nullptr, "fdopendir");
  std::set<std::string> names;
  while (const dirent* entry = readdir(stream)) names.insert(entry->d_name);
  closedir(stream);
  return names;
}

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
    for (const std::string& name : NamesIn(fd.get())) {
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

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_KERNEL_PASSTHROUGH_ATTACK_H_
