#include "server/slot.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "server/errno_status.h"

namespace barefuse {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kWriteDataOffset =
    sizeof(abi::fuse_in_header) + sizeof(abi::fuse_write_in);
// Extended attributes are up to 64 KiB whatever was negotiated for data.
constexpr size_t kMinData = 128 << 10;

constexpr size_t RoundUpToPage(size_t n) { return (n + kPage - 1) & -kPage; }

}  // namespace

size_t SlotPool::BytesPerSlot(size_t max_data) {
  // A page whose end takes header and fuse_write_in, the data, and room for
  // the data of a reply.
  return kPage + 2 * RoundUpToPage(std::max(max_data, kMinData));
}

absl::StatusOr<SlotPool*> SlotPool::Create(
    std::shared_ptr<Connection> connection, uint32_t slots, size_t max_data) {
  const size_t per_slot = BytesPerSlot(max_data);
  const size_t data = (per_slot - kPage) / 2;
  SlotPool* pool = new SlotPool(std::move(connection), slots);
  pool->memory_size_ = per_slot * slots;
  pool->memory_ = mmap(nullptr, pool->memory_size_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  pool->wake_fd_.reset(eventfd(0, EFD_CLOEXEC));
  if (pool->memory_ == MAP_FAILED || !pool->wake_fd_) {
    absl::Status status = ErrnoStatus(errno, "cannot set up a worker's slots");
    pool->Unref();
    return status;
  }
  auto* memory = static_cast<std::byte*>(pool->memory_);
  for (uint32_t i = 0; i < slots; ++i, memory += per_slot) {
    Slot& slot = pool->slots_[i];
    slot.pool = pool;
    slot.index = i;
    slot.request_buffer = {memory + kPage - kWriteDataOffset,
                           kWriteDataOffset + data};
    slot.data_buffer = {memory + kPage + data, data};
    absl::MutexLock lock(&pool->free_mutex_);
    pool->free_.push_back(slots - 1 - i);
  }
  pool->connection_->interrupts().Add(pool);
  return pool;
}

SlotPool::SlotPool(std::shared_ptr<Connection> connection, uint32_t slots)
    : connection_(std::move(connection)), slots_(slots) {
  absl::MutexLock lock(&free_mutex_);
  free_.reserve(slots);
}

SlotPool::~SlotPool() {
  if (memory_ != nullptr && memory_ != MAP_FAILED) {
    munmap(memory_, memory_size_);
  }
}

void SlotPool::Unref() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void SlotPool::BindToThread() {
  owner_ = pthread_self();
  bound_.store(true, std::memory_order_release);
}

void SlotPool::Unbind() { bound_.store(false, std::memory_order_release); }

void SlotPool::SetDevice(std::shared_ptr<const Device> device) {
  absl::MutexLock lock(&device_mutex_);
  device_ = std::move(device);
}

std::shared_ptr<const Device> SlotPool::device() const {
  absl::MutexLock lock(&device_mutex_);
  return device_;
}

Slot* SlotPool::TakeFree() {
  absl::MutexLock lock(&free_mutex_);
  if (free_.empty()) return nullptr;
  Slot* slot = &slots_[free_.back()];
  free_.pop_back();
  slot->state.store(Slot::State::kReading, std::memory_order_relaxed);
  return slot;
}

void SlotPool::Free(Slot* slot) {
  slot->state.store(Slot::State::kFree, std::memory_order_relaxed);
  slot->data = {};
  slot->refused = false;
  slot->moved = false;
  slot->parked = false;
  slot->origin.reset();
  absl::MutexLock lock(&free_mutex_);
  free_.push_back(slot->index);
}

void SlotPool::Finish(Slot* slot) {
  slot->interrupt.End();
  if (bound_.load(std::memory_order_acquire) &&
      pthread_equal(owner_, pthread_self())) {
    slot->state.store(Slot::State::kFinished, std::memory_order_relaxed);
    slot->next = nullptr;
    (local_last_ == nullptr ? local_first_ : local_last_->next) = slot;
    local_last_ = slot;
    return;
  }
  // The slot, being kHandling, keeps the pool alive until the exchange below;
  // after it only this reference does.
  references_.fetch_add(1, std::memory_order_relaxed);
  Slot::State expected = Slot::State::kHandling;
  if (slot->state.compare_exchange_strong(expected, Slot::State::kFinished,
                                          std::memory_order_acq_rel)) {
    Slot* head = foreign_.load(std::memory_order_relaxed);
    do {
      slot->next = head;
    } while (
        !foreign_.compare_exchange_weak(head, slot, std::memory_order_acq_rel));
    // Whoever found the list empty wakes; the rest ride along.
    if (head == nullptr) Wake();
  } else {
    Unref();  // the orphan's
  }
  Unref();
}

Slot* SlotPool::TakeFinished() {
  Slot* first = local_first_;
  Slot* last = local_last_;
  local_first_ = local_last_ = nullptr;
  Slot* latest = foreign_.exchange(nullptr, std::memory_order_acq_rel);
  Slot* oldest = nullptr;
  while (latest != nullptr) {
    Slot* next = latest->next;
    latest->next = oldest;
    oldest = latest;
    latest = next;
  }
  if (first == nullptr) return oldest;
  last->next = oldest;
  return first;
}

void SlotPool::Wake() {
  uint64_t one = 1;
  // An eventfd counts; it fails only when it would overflow, awake already.
  [[maybe_unused]] ssize_t n = write(wake_fd_.get(), &one, sizeof one);
}

// Whoever waits for an answer that will never be sent hears so at once. The
// connection's end would say it too, but may have to wait for who waits here.
void SlotPool::AnswerOrphan(const Slot& slot, const Device* own) {
  const std::shared_ptr<const Device> origin = slot.origin.lock();
  const Device* device = slot.parked ? origin.get() : own;
  if (device == nullptr) return;
  proto::ReplyHead head;
  head.FinishError(slot.request.header.unique, ENOTCONN);
  const iovec part{const_cast<std::byte*>(head.bytes().data()),
                   head.bytes().size()};
  device->SendNow(&part, 1);
}

uint32_t SlotPool::Close() {
  Unbind();
  // Interrupts, and who wants to detach a request, find it gone from here on.
  connection_->interrupts().Remove(this);
  const std::shared_ptr<const Device> own = device();
  SetDevice(nullptr);
  uint32_t orphans = 0;
  for (Slot& slot : slots_) {
    Slot::State expected = Slot::State::kHandling;
    // Counted before the exchange: the reply may come at once.
    references_.fetch_add(1, std::memory_order_relaxed);
    if (slot.state.compare_exchange_strong(expected, Slot::State::kOrphaned,
                                           std::memory_order_acq_rel)) {
      ++orphans;
      AnswerOrphan(slot, own.get());
    } else {
      references_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  Unref();
  return orphans;
}

}  // namespace barefuse
