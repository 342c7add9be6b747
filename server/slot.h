// The place where one request lives from the moment it is read until its reply
// is sent.
//
// A slot goes round: kFree -> kReading -> kHandling -> kFinished -> kFree.
//   kReading   the transport fills request_buffer
//   kHandling  decoded; a handler, or a Reply object somewhere, owns it
//   kFinished  the reply is encoded and waits to be sent, or is being sent
//   kOrphaned  the worker ended while a Reply was still out; the last of these
//              frees the pool
// Everything but `state` is touched by the state's owner alone: the worker's
// thread in all states but kHandling.
#ifndef BAREFUSE_SERVER_SLOT_H_
#define BAREFUSE_SERVER_SLOT_H_

#include <pthread.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "proto/encode_reply.h"
#include "proto/requests.h"
#include "server/connection.h"
#include "server/interrupt_flag.h"
#include "server/statistics.h"
#include "server/unique_fd.h"

namespace barefuse {

class SlotPool;

struct Slot {
  enum class State : uint32_t {
    kFree,
    kReading,
    kHandling,
    kFinished,
    kOrphaned,
  };

  SlotPool* pool = nullptr;
  uint32_t index = 0;
  // Where a message is read to, so placed that the data of a WRITE starts on a
  // page boundary.
  std::span<std::byte> request_buffer;
  // Room for the data of a reply, on a page boundary.
  std::span<std::byte> data_buffer;

  std::atomic<State> state{State::kFree};
  size_t message_size = 0;  // of what is in request_buffer
  proto::Request request;
  InterruptFlag interrupt;
  bool may_block = false;  // it is on a thread for handlers that may wait
  // In a parking pool: the device that read the request, where its reply goes.
  // Weak: a reply that is still out must not keep a connection alive.
  bool parked = false;
  std::weak_ptr<const Device> origin;

  proto::ReplyHead head;
  std::span<const std::byte> data;  // sent behind the head
  bool refused = false;             // the kernel has refused one reply already
  bool moved = false;               // the request went elsewhere: send nothing
  iovec parts[2];                   // head and data, while they are written
  Slot* next = nullptr;             // in a list of finished or waiting slots
};

// The slots of one worker, and the way back to it for replies that are
// finished on other threads.
class SlotPool {
 public:
  // The address space of one slot, in bytes, where a request or reply carries
  // at most `max_data`.
  static size_t BytesPerSlot(size_t max_data);

  // Memory is reserved, and used only as far as messages have filled it.
  static absl::StatusOr<SlotPool*> Create(
      std::shared_ptr<Connection> connection, uint32_t slots, size_t max_data);

  // --- The worker's thread ---

  // Says that the calling thread is the worker, until it says otherwise.
  void BindToThread();
  void Unbind();
  // Whether Nudge was called since.
  bool TakeNudge() { return nudged_.exchange(false); }
  bool has_free() const {
    absl::MutexLock lock(&free_mutex_);
    return !free_.empty();
  }
  // A free slot, now kReading, or nullptr where all are taken. Any thread may
  // take one from a parking pool.
  Slot* TakeFree();
  void Free(Slot* slot);
  // Whether another thread has finished one since.
  bool has_finished() const {
    return foreign_.load(std::memory_order_relaxed) != nullptr;
  }
  // The slots that have been finished since, in the order of finishing, linked
  // by `next`.
  Slot* TakeFinished();
  // The worker is done. Replies that are still out become inert; the pool goes
  // with the last of them. Gives their number.
  uint32_t Close();

  // The device that the worker reads. Before it starts.
  void SetDevice(std::shared_ptr<const Device> device);

  // --- Any thread ---

  // The same, or nullptr once the worker has ended.
  std::shared_ptr<const Device> device() const;
  // The reply in `slot` is complete. Called by whoever owns the slot in
  // kHandling.
  void Finish(Slot* slot);
  // The opcode of the request that the worker took last.
  uint32_t serving() const { return serving_.load(std::memory_order_relaxed); }
  void SetServing(uint32_t opcode) {
    serving_.store(opcode, std::memory_order_relaxed);
  }
  // Wakes the worker.
  void Wake();
  // Wakes the worker to poll anew.
  void Nudge() {
    nudged_.store(true);
    Wake();
  }
  int wake_fd() const { return wake_fd_.get(); }

  Connection& connection() { return *connection_; }
  WorkerCounters& counters() { return *counters_; }
  std::shared_ptr<WorkerCounters> shared_counters() const { return counters_; }
  Slot& slot(uint32_t index) { return slots_[index]; }
  uint32_t size() const { return static_cast<uint32_t>(slots_.size()); }

 private:
  SlotPool(std::shared_ptr<Connection> connection, uint32_t slots);
  ~SlotPool();
  void Unref();
  static void AnswerOrphan(const Slot& slot, const Device* own);

  std::shared_ptr<Connection> connection_;
  std::shared_ptr<WorkerCounters> counters_ =
      std::make_shared<WorkerCounters>();
  std::vector<Slot> slots_;
  void* memory_ = nullptr;
  size_t memory_size_ = 0;
  UniqueFd wake_fd_;

  // Uncontended but in a parking pool.
  mutable absl::Mutex free_mutex_;
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(free_mutex_);
  mutable absl::Mutex device_mutex_;
  std::shared_ptr<const Device> device_ ABSL_GUARDED_BY(device_mutex_);
  // Finished by the worker itself.
  Slot* local_first_ = nullptr;
  Slot* local_last_ = nullptr;
  // Finished by others, the latest first.
  std::atomic<Slot*> foreign_{nullptr};

  std::atomic<uint32_t> serving_{0};
  std::atomic<bool> nudged_{false};
  std::atomic<bool> bound_{false};
  pthread_t owner_{};
  // The worker, every orphan, and every foreign thread inside Finish.
  std::atomic<uint32_t> references_{1};
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_SLOT_H_
