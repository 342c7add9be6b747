#include "server/interrupts.h"

#include <algorithm>
#include <utility>

#include "server/slot.h"

namespace barefuse {

void Interrupts::Add(SlotPool* pool) {
  absl::MutexLock lock(&mutex_);
  pools_.push_back(pool);
}

void Interrupts::Remove(SlotPool* pool) {
  absl::MutexLock lock(&mutex_);
  pools_.erase(std::remove(pools_.begin(), pools_.end(), pool), pools_.end());
}

void Interrupts::Begin(Slot* slot) {
  const uint64_t unique = slot->request.header.unique;
  slot->interrupt.Begin(unique);
  // Whoever parks looks for the victim again afterwards. In the one order of
  // these stores and loads one of the two sees the other.
  if (parked_count_.load(std::memory_order_seq_cst) == 0) return;
  if (!Unpark(unique)) return ForgetLate();
  InterruptFlag::Callback none;  // the handler has not been called yet
  slot->interrupt.Interrupt(unique, &none);
}

// An early one is found by one of the next requests. What so many have not been
// is late, and would cost every request from now on.
void Interrupts::ForgetLate() {
  constexpr uint32_t kMany = 1 << 16;
  if (looks_.fetch_add(1, std::memory_order_relaxed) < kMany) return;
  absl::MutexLock lock(&mutex_);
  looks_.store(0, std::memory_order_relaxed);
  for (std::atomic<uint64_t>& place : parked_) {
    if (place.exchange(0, std::memory_order_seq_cst) != 0) {
      parked_count_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
}

bool Interrupts::Interrupt(uint64_t victim) {
  victim &= ~abi::FUSE_UNIQUE_RESEND;
  if (victim == 0) return false;
  received_.fetch_add(1, std::memory_order_relaxed);
  std::vector<InterruptFlag::Callback> callbacks;
  {
    absl::MutexLock lock(&mutex_);
    if (!Find(victim, &callbacks)) {
      Park(victim);
      if (!Find(victim, &callbacks)) return false;
      Unpark(victim);
    }
  }
  for (InterruptFlag::Callback& callback : callbacks) callback();
  return true;
}

void Interrupts::Move(Slot* from, Slot* to) {
  absl::MutexLock lock(&mutex_);
  from->interrupt.MoveTo(&to->interrupt);
}

bool Interrupts::Find(uint64_t victim,
                      std::vector<InterruptFlag::Callback>* callbacks) {
  // All of them: a request that the kernel has sent again (RESEND) is served
  // more than once, and only the last one's answer counts.
  bool found = false;
  for (SlotPool* pool : pools_) {
    for (uint32_t i = 0; i < pool->size(); ++i) {
      InterruptFlag::Callback callback;
      if (!pool->slot(i).interrupt.Interrupt(victim, &callback)) continue;
      found = true;
      if (callback) callbacks->push_back(std::move(callback));
    }
  }
  return found;
}

void Interrupts::Park(uint64_t victim) {
  std::atomic<uint64_t>& place = parked_[next_];
  next_ = (next_ + 1) % kParked;
  looks_.store(0, std::memory_order_relaxed);
  // Counted first: who takes it out at once must not count below zero.
  parked_count_.fetch_add(1, std::memory_order_seq_cst);
  if (place.exchange(victim, std::memory_order_seq_cst) != 0) {
    parked_count_.fetch_sub(1, std::memory_order_relaxed);
  }
}

bool Interrupts::Unpark(uint64_t victim) {
  victim &= ~abi::FUSE_UNIQUE_RESEND;
  for (std::atomic<uint64_t>& place : parked_) {
    uint64_t expected = victim;
    if (place.load(std::memory_order_seq_cst) == victim &&
        place.compare_exchange_strong(expected, 0, std::memory_order_acq_rel)) {
      parked_count_.fetch_sub(1, std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

}  // namespace barefuse
