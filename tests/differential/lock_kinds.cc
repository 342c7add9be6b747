// Locks, none of which is waited for.
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>

#include "tests/differential/operation.h"
#include "tests/differential/side.h"

namespace barefuse::differential {
namespace {

void MakeFlock(Random& random, Operation& operation) {
  operation.flags =
      static_cast<uint32_t>(random.Pick({LOCK_SH, LOCK_EX, LOCK_UN}) | LOCK_NB);
}

void RunFlock(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(
      flock(side.Fd(operation.slot), static_cast<int>(operation.flags)));
}

struct flock Range(const Operation& operation, int type) {
  struct flock lock {};
  lock.l_type = static_cast<int16_t>(type);
  lock.l_whence = SEEK_SET;
  lock.l_start = operation.offset;
  lock.l_len = static_cast<off_t>(operation.length);
  return lock;
}

void MakeLock(Random& random, Operation& operation) {
  MakeRange(random, operation);
  operation.flags =
      static_cast<uint32_t>(random.Pick({F_RDLCK, F_WRLCK, F_UNLCK}));
}

// Of the open file description.
void RunSetLock(const Operation& operation, Side& side, Outcome& outcome) {
  struct flock lock = Range(operation, static_cast<int>(operation.flags));
  outcome.Set(fcntl(side.Fd(operation.slot), F_OFD_SETLK, &lock));
}

void TellLock(int result, const struct flock& lock, Outcome& outcome) {
  outcome.Set(result);
  if (result != 0) return;
  outcome.data += std::to_string(lock.l_type) + " " +
                  std::to_string(lock.l_start) + " " +
                  std::to_string(lock.l_len) + "\n";
}

void RunGetLock(const Operation& operation, Side& side, Outcome& outcome) {
  struct flock lock = Range(operation, static_cast<int>(operation.flags));
  TellLock(fcntl(side.Fd(operation.slot), F_OFD_GETLK, &lock), lock, outcome);
}

// One of the process, as another open file description sees it, and how it goes
// when any descriptor of the file is closed. It does not outlast the operation,
// since whoever compares files would end it on one of the sides: by opening and
// closing them.
void RunProcessLock(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  struct flock lock = Range(operation, static_cast<int>(operation.flags));
  const int result = fcntl(fd, F_SETLK, &lock);
  if (result != 0) return outcome.Set(result);
  for (const bool released : {false, true}) {
    if (released) close(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    lock = Range(operation, F_WRLCK);
    TellLock(fcntl(side.Fd(operation.slot2), F_OFD_GETLK, &lock), lock,
             outcome);
  }
}

}  // namespace

std::span<const Kind> LockKinds() {
  static constexpr Kind kKinds[] = {
      {"flock", 8, "sf", false, MakeFlock, RunFlock},
      {"F_OFD_SETLK", 8, "solf", false, MakeLock, RunSetLock},
      {"F_OFD_GETLK", 6, "solf", false, MakeLock, RunGetLock},
      {"F_SETLK", 6, "stolf", false, MakeLock, RunProcessLock},
  };
  return kKinds;
}

}  // namespace barefuse::differential
