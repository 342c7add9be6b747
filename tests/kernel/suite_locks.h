// Locks of files, and processes that wait for them.
#ifndef BAREFUSE_TESTS_KERNEL_SUITE_LOCKS_H_
#define BAREFUSE_TESTS_KERNEL_SUITE_LOCKS_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <limits>
#include <string>

#include "tests/kernel/suite_files.h"

namespace barefuse {

// F_SETLK and its like on [start, start + size), or from start on with size 0.
inline Error Lock(const UniqueFd& fd, int type, off_t start, off_t size,
                  int command = F_SETLK) {
  struct flock lock = {};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = size;
  return Errno(fcntl(fd.get(), command, &lock));
}

// The lock that is in the way of a write lock, as "R 10+5", or "" if none is.
inline std::string Obstacle(const UniqueFd& fd, off_t start, off_t size,
                            int command = F_GETLK) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = size;
  testing::Check(fcntl(fd.get(), command, &lock) == 0, "F_GETLK");
  if (lock.l_type == F_UNLCK) return "";
  return (lock.l_type == F_RDLCK ? "R " : "W ") + std::to_string(lock.l_start) +
         "+" + std::to_string(lock.l_len);
}

// What `body` gives in another process, whose locks are its own.
inline std::string FromOutside(const std::function<std::string()>& body) {
  int ends[2];
  testing::Check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  UniqueFd out(ends[0]), in(ends[1]);
  testing::Process child([&] {
    const std::string answer = body();
    return write(in.get(), answer.data(), answer.size()) ==
                   static_cast<ssize_t>(answer.size())
               ? 0
               : 1;
  });
  in.reset();
  testing::Check(child.Wait() == 0, "a process that looks from outside");
  char answer[1000];
  const ssize_t n = read(out.get(), answer, sizeof answer);
  testing::Check(n >= 0, "read");
  return std::string(answer, static_cast<size_t>(n));
}

// The obstacle as another process sees it.
inline std::string OutsideObstacle(const UniqueFd& fd, off_t start,
                                   off_t size) {
  return FromOutside([&] { return Obstacle(fd, start, size); });
}

// A process that waits for a lock by one system call, holds it until it is
// told to end, or ends with the call's error.
class Waiter {
 public:
  // `number` is the system call (SYS_*) by which `lock` waits.
  Waiter(long number, const std::function<Error()>& lock)
      : number_(number), child_(Body(lock)) {
    acquired_in_.reset();
  }

  pid_t pid() const { return child_.pid(); }
  // Returns when the process sleeps in its system call.
  bool AwaitBlocked() {
    return Eventually([&] {
      // The number of the call that a process sleeps in, or "running".
      std::ifstream file("/proc/" + std::to_string(pid()) + "/syscall");
      std::string number;
      return file >> number && number == std::to_string(number_);
    });
  }
  bool HasLock() const { return Ready(0); }
  // Waits until it has the lock, or has ended without.
  bool AwaitLock() const {
    char byte;
    return Ready(kLong) && read(acquired_out_.get(), &byte, 1) == 1;
  }
  void Signal(int signal) { child_.Signal(signal); }
  // Tells it to give the lock back, if it has it, and to end. Gives the error
  // of its call; ETIME if it does not come back from it.
  Error Finish() {
    testing::Check(write(release_in_.get(), "R", 1) == 1, "write");
    UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid(), 0)));
    pollfd ended = {process.get(), POLLIN, 0};
    if (poll(&ended, 1, kLong) != 1) return ETIME;
    return child_.Wait();
  }

 private:
  static constexpr int kLong = 20'000;  // milliseconds

  bool Ready(int milliseconds) const {
    pollfd ready = {acquired_out_.get(), POLLIN, 0};
    return poll(&ready, 1, milliseconds) == 1;
  }
  std::function<int()> Body(const std::function<Error()>& lock) {
    int acquired[2], release[2];
    testing::Check(pipe2(acquired, O_CLOEXEC) == 0, "pipe");
    testing::Check(pipe2(release, O_CLOEXEC) == 0, "pipe");
    acquired_out_.reset(acquired[0]);
    acquired_in_.reset(acquired[1]);
    release_out_.reset(release[0]);
    release_in_.reset(release[1]);
    return [this, lock] {
      // A handler that does nothing, without SA_RESTART: calls give EINTR.
      struct sigaction action = {};
      action.sa_handler = [](int) {};
      sigaction(SIGUSR1, &action, nullptr);
      const Error error = lock();
      if (!(error == 0)) return error.value;
      char byte = 'L';
      if (write(acquired_in_.get(), &byte, 1) != 1) return ENOTRECOVERABLE;
      return read(release_out_.get(), &byte, 1) == 1 ? 0 : ENOTRECOVERABLE;
    };
  }

  long number_;
  UniqueFd acquired_out_, acquired_in_, release_out_, release_in_;
  testing::Process child_;
};

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_SUITE_LOCKS_H_
