// Operations on attributes, and questions about them.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/differential/operation.h"
#include "tests/differential/side.h"

namespace barefuse::differential {
namespace {

void MakeFile(Random& random, Operation& operation) {
  operation.path =
      MakePath(random, random.OneIn(3) ? Likely::kDirectory : Likely::kFile);
}

void MakeSlot(Random&, Operation&) {}

void RunChmod(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(fchmodat(side.Base(operation),
                       side.Path(operation, operation.path).c_str(),
                       operation.mode, 0));
}

void RunFchmod(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(fchmod(side.Fd(operation.slot), operation.mode));
}

struct Owner {
  explicit Owner(const Operation& operation) {
    constexpr uint32_t kIds[] = {0, 1001, 1002, 2000, 2001, ~0u, ~0u, 1001};
    uid = kIds[operation.value % 8];
    gid = kIds[operation.value / 8 % 8];
    // To change neither is a change, of which the mount's kernel does not say
    // what it is.
    if (uid == ~0u && gid == ~0u) gid = 1001;
  }
  uid_t uid;
  gid_t gid;
};

void MakeChown(Random& random, Operation& operation) {
  MakeFile(random, operation);
  operation.flags = random.OneIn(3) ? AT_SYMLINK_NOFOLLOW : 0;
}

void RunChown(const Operation& operation, Side& side, Outcome& outcome) {
  const Owner owner(operation);
  outcome.Set(fchownat(side.Base(operation),
                       side.Path(operation, operation.path).c_str(), owner.uid,
                       owner.gid, static_cast<int>(operation.flags)));
}

void RunFchown(const Operation& operation, Side& side, Outcome& outcome) {
  const Owner owner(operation);
  outcome.Set(fchown(side.Fd(operation.slot), owner.uid, owner.gid));
}

// Times that are not mistaken for now.
struct Times {
  explicit Times(uint32_t value) {
    for (timespec& time : times) {
      constexpr long kNanoseconds[] = {0, 1, 999999999, 123456789};
      time = {1000 + value % 100000, kNanoseconds[value % 4]};
      value /= 4;
      if (value % 5 == 0) time.tv_nsec = UTIME_NOW;
      if (value % 5 == 1) time.tv_nsec = UTIME_OMIT;
      value /= 5;
    }
  }
  timespec times[2];
};

void RunUtimensat(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(utimensat(
      side.Base(operation), side.Path(operation, operation.path).c_str(),
      Times(operation.value).times, static_cast<int>(operation.flags)));
}

void RunFutimens(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(futimens(
      side.Fd(operation.slot),
      operation.value % 4 == 0 ? nullptr : Times(operation.value).times));
}

void MakeAccess(Random& random, Operation& operation) {
  MakeFile(random, operation);
  operation.mode = random.Below(8);
  operation.flags = static_cast<uint32_t>(
      random.Pick({0, 0, AT_EACCESS, AT_SYMLINK_NOFOLLOW}));
}

void RunAccess(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(syscall(SYS_faccessat2, side.Base(operation),
                      side.Path(operation, operation.path).c_str(),
                      operation.mode, operation.flags));
}

// What all must agree about; the rest is looked at after every operation.
void SetStat(int result, const struct statx& info, Outcome& outcome) {
  outcome.Set(result);
  if (result != 0) return;
  outcome.data =
      std::to_string(info.stx_mode) + " " + std::to_string(info.stx_uid) + " " +
      std::to_string(info.stx_gid) + " " + std::to_string(info.stx_rdev_major) +
      ":" + std::to_string(info.stx_rdev_minor);
  if (!S_ISDIR(info.stx_mode)) {
    outcome.data += " links " + std::to_string(info.stx_nlink) + " size " +
                    std::to_string(info.stx_size);
  }
  if ((info.stx_mask & STATX_BTIME) != 0) outcome.data += " btime";
}

void MakeStatx(Random& random, Operation& operation) {
  MakeFile(random, operation);
  operation.flags = static_cast<uint32_t>(random.Pick(
      {0, AT_SYMLINK_NOFOLLOW, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC}));
  operation.value = STATX_BASIC_STATS | (random.OneIn(2) ? STATX_BTIME : 0);
}

void RunStatx(const Operation& operation, Side& side, Outcome& outcome) {
  struct statx info {};
  const int result =
      statx(side.Base(operation), side.Path(operation, operation.path).c_str(),
            static_cast<int>(operation.flags), operation.value, &info);
  // More than was asked for may be told, and less where nobody is to be asked.
  if ((operation.value & STATX_BTIME) == 0 ||
      (operation.flags & AT_STATX_DONT_SYNC) != 0) {
    info.stx_mask &= ~uint32_t{STATX_BTIME};
  }
  SetStat(result, info, outcome);
}

void RunFstat(const Operation& operation, Side& side, Outcome& outcome) {
  struct statx info {};
  const int result = statx(side.Fd(operation.slot), "", AT_EMPTY_PATH,
                           STATX_BASIC_STATS, &info);
  info.stx_mask &= ~uint32_t{STATX_BTIME};
  SetStat(result, info, outcome);
}

void SetStatvfs(int result, const struct statvfs& info, Outcome& outcome) {
  outcome.Set(result);
  if (result != 0) return;
  // What is free changes behind everybody's back.
  outcome.data =
      std::to_string(info.f_bsize) + " " + std::to_string(info.f_frsize) + " " +
      std::to_string(info.f_blocks) + " " + std::to_string(info.f_namemax);
}

void MakeStatvfs(Random& random, Operation& operation) {
  MakeFile(random, operation);
  operation.base = Base::kRoot;
}

void RunStatvfs(const Operation& operation, Side& side, Outcome& outcome) {
  struct statvfs info;
  const int result =
      statvfs(side.Path(operation, operation.path).c_str(), &info);
  SetStatvfs(result, info, outcome);
}

void RunFstatvfs(const Operation& operation, Side& side, Outcome& outcome) {
  struct statvfs info;
  const int result = fstatvfs(side.Fd(operation.slot), &info);
  SetStatvfs(result, info, outcome);
}

// Of others FUSE does not ask.
bool CanHaveFlags(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 &&
         (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode));
}

void RunGetFlags(const Operation& operation, Side& side, Outcome& outcome) {
  int flags = 0;
  if (!CanHaveFlags(side.Fd(operation.slot))) return;
  outcome.Set(ioctl(side.Fd(operation.slot), FS_IOC_GETFLAGS, &flags));
  // Of how a filesystem keeps a file it says what it likes.
  constexpr int kOwnAffair = FS_EXTENT_FL | FS_INLINE_DATA_FL | FS_INDEX_FL;
  if (outcome.error == 0) outcome.data = std::to_string(flags & ~kOwnAffair);
}

void MakeSetFlags(Random& random, Operation& operation) {
  operation.flags = random.Pick<uint32_t>(
      {FS_NOATIME_FL, FS_SYNC_FL, FS_NODUMP_FL, FS_APPEND_FL, FS_IMMUTABLE_FL,
       FS_NOCOW_FL, 0, 0, 0, 0});
}

// Of flags that are set others stay, which the filesystem insists on.
void RunSetFlags(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  constexpr int kOurs = FS_NOATIME_FL | FS_SYNC_FL | FS_NODUMP_FL |
                        FS_APPEND_FL | FS_IMMUTABLE_FL | FS_NOCOW_FL;
  int flags = 0;
  if (!CanHaveFlags(fd)) return;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return outcome.Set(-1);
  flags = (flags & ~kOurs) | static_cast<int>(operation.flags);
  outcome.Set(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

void MakeStatusFlags(Random& random, Operation& operation) {
  operation.flags = static_cast<uint32_t>(random.Pick({0, O_APPEND, O_ASYNC}));
}

void RunStatusFlags(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  const int old = fcntl(fd, F_GETFL);
  int flags = static_cast<int>(operation.flags) | O_NONBLOCK;
  // The mount's kernel tells neither the server nor a backing file. Backing
  // files are told when to append, but not when no more.
  constexpr int kUntold = O_DIRECT | O_NOATIME;
  flags = (flags & ~kUntold) | (old & (kUntold | O_APPEND));
  outcome.Set(fcntl(fd, F_SETFL, flags));
  outcome.data = std::to_string(fcntl(fd, F_GETFL));
}

}  // namespace

std::span<const Kind> AttributeKinds() {
  static constexpr Kind kKinds[] = {
      {"chmod", 16, "pm", true, MakeFile, RunChmod},
      {"fchmod", 10, "sm", true, MakeSlot, RunFchmod},
      {"chown", 14, "pfv", true, MakeChown, RunChown},
      {"fchown", 8, "sv", true, MakeSlot, RunFchown},
      {"utimensat", 14, "pfv", true, MakeChown, RunUtimensat},
      {"futimens", 8, "sv", true, MakeSlot, RunFutimens},
      {"faccessat2", 10, "pmf", false, MakeAccess, RunAccess},
      {"statx", 12, "pfv", false, MakeStatx, RunStatx},
      {"fstat", 8, "s", false, MakeSlot, RunFstat},
      {"statvfs", 2, "p", false, MakeStatvfs, RunStatvfs},
      {"fstatvfs", 2, "s", false, MakeSlot, RunFstatvfs},
      {"FS_IOC_GETFLAGS", 4, "s", false, MakeSlot, RunGetFlags},
      {"FS_IOC_SETFLAGS", 5, "sfr", true, MakeSetFlags, RunSetFlags},
      {"F_SETFL", 10, "sf", false, MakeStatusFlags, RunStatusFlags},
  };
  return kKinds;
}

}  // namespace barefuse::differential
