// Hands wake-ups on between the workers of a session.
//
// Workers poll one queue of requests, exclusively, so that a request wakes one
// of them and not all. The kernel's wake-up goes to the poll that is first in
// line and may go there twice: a second request that arrives before the first
// worker has taken its own finds the same poll, is counted as delivered, and
// would wait for that worker's handler while others sleep. So a worker that
// has taken a request looks whether there is another, and nudges one who
// sleeps.
#ifndef BAREFUSE_SERVER_WAKE_RELAY_H_
#define BAREFUSE_SERVER_WAKE_RELAY_H_

#include <poll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace barefuse {

// One for all workers of a session, each with a number below `workers`.
class WakeRelay {
 public:
  // `nudge(worker)` makes that worker poll anew; called from any worker.
  WakeRelay(size_t workers, std::function<void(size_t)> nudge)
      : workers_(workers),
        sleeping_(new std::atomic<bool>[workers]()),
        nudge_(std::move(nudge)) {}

  // Brackets a worker's wait. Set before its poll is armed: a request that is
  // there by then ends the poll, one that comes later finds it.
  void Sleep(size_t worker) {
    sleeping_[worker].store(true, std::memory_order_seq_cst);
    count_.fetch_add(1, std::memory_order_seq_cst);
  }
  void WakeUp(size_t worker) {
    if (sleeping_[worker].exchange(false, std::memory_order_seq_cst)) {
      count_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }

  // Whether a request waits for somebody to read it.
  static bool HasRequest(int fd) {
    pollfd queue{fd, POLLIN, 0};
    return poll(&queue, 1, 0) == 1 && (queue.revents & POLLIN) != 0;
  }

  // To be called by a worker that has just taken a request from the device
  // `fd`, before it does anything that may take time.
  void PassOn(int fd) {
    if (count_.load(std::memory_order_seq_cst) == 0 || !HasRequest(fd)) return;
    for (size_t worker = 0; worker < workers_; ++worker) {
      if (sleeping_[worker].exchange(false, std::memory_order_seq_cst)) {
        count_.fetch_sub(1, std::memory_order_seq_cst);
        return nudge_(worker);
      }
    }
  }

 private:
  const size_t workers_;
  const std::unique_ptr<std::atomic<bool>[]> sleeping_;
  std::atomic<uint32_t> count_{0};  // of those that sleep
  const std::function<void(size_t)> nudge_;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_WAKE_RELAY_H_
