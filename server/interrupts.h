// Finds the request that an INTERRUPT is about.
//
// The two are read by any two workers, in any order. The kernel sends an
// INTERRUPT once its victim has been read, so one that finds no victim is early
// (the victim's worker has not got round to it) or late (it has been answered).
// Nobody can tell which, so it is parked; the worker whose request begins looks
// there. The table is small: what falls out of it was late long ago.
#ifndef BAREFUSE_SERVER_INTERRUPTS_H_
#define BAREFUSE_SERVER_INTERRUPTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/interrupt_flag.h"

namespace barefuse {

class SlotPool;
struct Slot;

// One for each session. Any thread.
class Interrupts {
 public:
  // Interrupts that can be parked. One more takes the place of the oldest.
  static constexpr size_t kParked = 64;

  // `pool` has requests that can be interrupted, until it is removed.
  void Add(SlotPool* pool);
  void Remove(SlotPool* pool);

  // The request of `slot` begins, and may have been interrupted already.
  void Begin(Slot* slot);
  // An INTERRUPT of `victim` has come. Its callback, if it has one, is called
  // on this thread. False: it is parked.
  bool Interrupt(uint64_t victim);
  // The request of `from` goes on in `to`.
  void Move(Slot* from, Slot* to);

  uint64_t received() const {
    return received_.load(std::memory_order_relaxed);
  }

 private:
  bool Find(uint64_t victim, std::vector<InterruptFlag::Callback>* callbacks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Park(uint64_t victim) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Unpark(uint64_t victim);
  void ForgetLate();

  std::atomic<uint64_t> received_{0};
  // Read without the lock by every request that begins.
  std::atomic<uint32_t> parked_count_{0};
  std::array<std::atomic<uint64_t>, kParked> parked_{};  // 0 is none
  // How often somebody has looked in vain since the last was parked.
  std::atomic<uint32_t> looks_{0};

  absl::Mutex mutex_;
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // the place of the next to park
  std::vector<SlotPool*> pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_INTERRUPTS_H_
