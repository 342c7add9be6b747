// Looking for the next request for a moment before going to sleep.
#ifndef BAREFUSE_SERVER_BUSY_POLL_H_
#define BAREFUSE_SERVER_BUSY_POLL_H_

#include <chrono>

#include "absl/time/time.h"

namespace barefuse {

// Going to sleep and being woken costs more than many a request. One worker's;
// a worker that has looked in vain sleeps, and looks again once it has had a
// request, so that an idle session costs nothing.
class BusyPoll {
 public:
  // At most `budget` at a time; 0 is never.
  explicit BusyPoll(absl::Duration budget)
      : budget_(absl::ToChronoNanoseconds(budget)) {}

  // A request has come.
  void Served() { hopeful_ = true; }
  bool ShouldLook() const { return budget_.count() > 0 && hopeful_; }

  // Calls `look` until it gives true. False: in vain.
  template <class Look>
  bool Spin(Look look) {
    const auto end = std::chrono::steady_clock::now() + budget_;
    do {
      if (look()) return true;
      Relax();
    } while (std::chrono::steady_clock::now() < end);
    hopeful_ = false;
    return false;
  }

 private:
  // Lets the core's other thread go on, where it has one.
  static void Relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  const std::chrono::nanoseconds budget_;
  bool hopeful_ = false;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_BUSY_POLL_H_
