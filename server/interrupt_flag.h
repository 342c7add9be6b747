// Whether the caller of one request was interrupted: a signal came while it
// waited (FUSE_INTERRUPT).
#ifndef BAREFUSE_SERVER_INTERRUPT_FLAG_H_
#define BAREFUSE_SERVER_INTERRUPT_FLAG_H_

#include <atomic>
#include <cstdint>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "kernel_abi/fuse.h"

namespace barefuse {

// One belongs to each slot and serves the requests that live there one after
// the other. What is said of a request carries its unique, so that an interrupt
// that comes late cannot hit the request after it.
class InterruptFlag {
 public:
  using Callback = std::function<void()>;

  // --- The slot's owner ---

  // The request `unique` begins; it can be interrupted from here on.
  void Begin(uint64_t unique) {
    hit_.store(0, std::memory_order_relaxed);
    // In one order with the store of an interrupt that does not find it, see
    // Interrupts.
    unique_.store(Key(unique), std::memory_order_seq_cst);
  }
  // It has been answered.
  void End() {
    unique_.store(0, std::memory_order_release);
    if (has_callback_.load(std::memory_order_relaxed)) Take();
  }
  bool interrupted() const {
    const uint64_t unique = unique_.load(std::memory_order_relaxed);
    return unique != 0 && hit_.load(std::memory_order_acquire) == unique;
  }
  // Calls `callback` at the interrupt, or now where it has come already.
  void OnInterrupt(Callback callback) {
    {
      absl::MutexLock lock(&mutex_);
      if (!interrupted()) {
        callback_ = std::move(callback);
        has_callback_.store(true, std::memory_order_relaxed);
        return;
      }
    }
    callback();
  }
  // Hands the request over to `other`, which begins to serve it.
  void MoveTo(InterruptFlag* other) {
    const uint64_t unique = unique_.load(std::memory_order_relaxed);
    const bool hit = interrupted();
    Callback callback = Take();
    unique_.store(0, std::memory_order_release);
    // No interrupt comes in between: Interrupts holds them off.
    other->Begin(unique);
    if (hit) other->hit_.store(unique, std::memory_order_release);
    if (callback) other->OnInterrupt(std::move(callback));
  }

  // --- Any thread ---

  bool Serves(uint64_t unique) const {
    return unique_.load(std::memory_order_seq_cst) == Key(unique);
  }
  // Interrupts the request `unique` if it is served here; `*callback` is what
  // has to be called then.
  bool Interrupt(uint64_t unique, Callback* callback) {
    if (!Serves(unique)) return false;
    absl::MutexLock lock(&mutex_);
    if (!Serves(unique)) return false;
    hit_.store(Key(unique), std::memory_order_release);
    callback->swap(callback_);
    has_callback_.store(false, std::memory_order_relaxed);
    return true;
  }

 private:
  // A request that the kernel sends again has the same unique but for one bit.
  static uint64_t Key(uint64_t unique) {
    return unique & ~abi::FUSE_UNIQUE_RESEND;
  }
  Callback Take() {
    absl::MutexLock lock(&mutex_);
    Callback callback;
    callback.swap(callback_);
    has_callback_.store(false, std::memory_order_relaxed);
    return callback;
  }

  std::atomic<uint64_t> unique_{0};  // of the request that is served, or 0
  std::atomic<uint64_t> hit_{0};     // of the last one that was interrupted
  std::atomic<bool> has_callback_{false};
  absl::Mutex mutex_;
  Callback callback_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_INTERRUPT_FLAG_H_
