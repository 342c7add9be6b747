// Operations that open and close.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/differential/operation.h"
#include "tests/differential/side.h"

namespace barefuse::differential {
namespace {

int UsableFlags(const Operation& operation, const Side& side) {
  // Fifos are not waited for.
  int flags = static_cast<int>(operation.flags) | O_NONBLOCK | O_CLOEXEC;
  return side.knows_direct() ? flags : flags & ~O_DIRECT;
}

void PutOpened(const Operation& operation, int fd, Side& side,
               Outcome& outcome) {
  outcome.Set(fd < 0 ? -1 : 0);
  if (fd >= 0) side.Put(operation.slot, UniqueFd(fd));
}

void MakeOpenFlags(Random& random, Operation& operation) {
  int flags = random.Pick({O_RDONLY, O_WRONLY, O_RDWR, O_RDWR});
  if (random.OneIn(100)) flags = O_ACCMODE;
  if (random.OneIn(2)) flags |= O_CREAT;
  if (random.OneIn(6)) flags |= O_EXCL;
  if (random.OneIn(6)) flags |= O_TRUNC;
  if (random.OneIn(5)) flags |= O_APPEND;
  if (random.OneIn(8)) flags |= O_DIRECT;
  if (random.OneIn(6)) flags |= O_NOFOLLOW;
  if (random.OneIn(10)) flags |= O_DIRECTORY;
  if (random.OneIn(12)) flags |= O_PATH;
  if (random.OneIn(30)) flags |= random.OneIn(2) ? O_SYNC : O_DSYNC;
  if (random.OneIn(8)) flags |= O_NOATIME;
  operation.flags = static_cast<uint32_t>(flags);
}

void MakeOpen(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kFile);
  MakeOpenFlags(random, operation);
}

void RunOpen(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd =
      openat(side.Base(operation), side.Path(operation, operation.path).c_str(),
             UsableFlags(operation, side), operation.mode);
  PutOpened(operation, fd, side, outcome);
}

void MakeOpenDirectory(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kDirectory);
  operation.flags = O_RDONLY | O_DIRECTORY;
  if (random.OneIn(3)) operation.flags |= O_PATH;
}

void MakeOpenTmpfile(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kDirectory);
  operation.flags = static_cast<uint32_t>(
      O_TMPFILE | random.Pick({O_RDWR, O_RDWR, O_WRONLY, O_RDONLY}));
  if (random.OneIn(4)) operation.flags |= O_EXCL;
  if (random.OneIn(6)) operation.flags |= O_APPEND;
}

// By what a descriptor stands for, an O_PATH one too.
void RunReopen(const Operation& operation, Side& side, Outcome& outcome) {
  const std::string name = std::to_string(side.Fd(operation.slot2));
  const int fd = openat(ProcFds(), name.c_str(), UsableFlags(operation, side),
                        operation.mode);
  PutOpened(operation, fd, side, outcome);
}

void MakeReopen(Random& random, Operation& operation) {
  MakeOpenFlags(random, operation);
  // Not the link in /proc itself.
  operation.flags &= ~static_cast<uint32_t>(O_CREAT | O_NOFOLLOW);
}

void MakeNothing(Random&, Operation&) {}

void RunClose(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(side.Close(operation.slot));
}

void RunDup(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = fcntl(side.Fd(operation.slot2), F_DUPFD_CLOEXEC, 0);
  PutOpened(operation, fd, side, outcome);
}

// The names and their types, in some order of ours. Where they stand and what
// their offsets are is the directory's own affair.
void ListFd(int fd, Outcome& outcome) {
  struct Entry {
    uint64_t ino;
    int64_t next;
    uint16_t size;
    uint8_t type;
    char name[1];
  };
  std::vector<std::string> names;
  const std::span<char> buffer = Buffer();
  ssize_t n;
  while ((n = syscall(SYS_getdents64, fd, buffer.data(), buffer.size())) > 0) {
    for (ssize_t at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer.data() + at);
      names.push_back(std::string(entry->name) + ":" +
                      std::to_string(entry->type) + "\n");
      at += entry->size;
    }
  }
  outcome.Set(n);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) outcome.data += name;
}

void RunList(const Operation& operation, Side& side, Outcome& outcome) {
  UniqueFd fd(openat(side.Base(operation),
                     side.Path(operation, operation.path).c_str(),
                     O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return outcome.Set(-1);
  ListFd(fd.get(), outcome);
}

void MakeDirectory(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kDirectory);
}

// From the beginning, whatever has been read of it before.
void RunListSlot(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  if (lseek(fd, 0, SEEK_SET) < 0) return outcome.Set(-1);
  ListFd(fd, outcome);
}

void RunChdir(const Operation& operation, Side& side, Outcome& outcome) {
  const std::string path = side.Path(operation, operation.path);
  outcome.Set(chdir(path.c_str()));
  if (outcome.error != 0) return;
  UniqueFd here(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!here) return outcome.Set(-1);
  side.SetWorkingDirectory(std::move(here));
}

// The base of a path would be a descriptor's.
void MakeChdir(Random& random, Operation& operation) {
  MakeDirectory(random, operation);
  operation.base = Base::kRoot;
}

}  // namespace

std::span<const Kind> OpenKinds() {
  static constexpr Kind kKinds[] = {
      {"open", 90, "psnxmu", true, MakeOpen, RunOpen},
      {"open a directory", 12, "psnx", false, MakeOpenDirectory, RunOpen},
      {"open O_TMPFILE", 8, "psnxmu", true, MakeOpenTmpfile, RunOpen},
      {"open /proc/self/fd", 12, "stnx", true, MakeReopen, RunReopen},
      {"close", 20, "s", true, MakeNothing, RunClose},
      {"dup", 8, "stn", false, MakeNothing, RunDup},
      {"list", 12, "p", false, MakeDirectory, RunList},
      {"list from the start", 6, "s", false, MakeNothing, RunListSlot},
      {"chdir", 6, "p", false, MakeChdir, RunChdir},
  };
  return kKinds;
}

}  // namespace barefuse::differential
