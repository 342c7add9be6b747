// What a handler may know and ask of the session that serves its request.
#ifndef BAREFUSE_SERVER_CONNECTION_H_
#define BAREFUSE_SERVER_CONNECTION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "proto/negotiation.h"
#include "proto/requests.h"
#include "server/device.h"
#include "server/interrupts.h"
#include "server/log.h"
#include "server/message_tap.h"
#include "server/notifier.h"
#include "server/observers.h"

namespace barefuse {

class BackingFile;
class Offload;
class SlotPool;
struct Slot;

// One mounted connection: the device, the terms of INIT, the log. Functions
// may be called from any thread.
class Connection {
 public:
  Connection(std::shared_ptr<const Device> device,
             const proto::Negotiated& terms, LogSink log, bool debug,
             MessageTap tap = nullptr)
      : terms_(terms),
        observers_(std::make_shared<Observers>(std::move(log), std::move(tap))),
        debug_(debug),
        device_(device),
        notifier_(
            std::make_shared<Notifier>(std::move(device), terms, observers_)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // What INIT settled. Never changes.
  const proto::Negotiated& terms() const { return terms_; }
  const proto::Dialect& dialect() const { return terms_.dialect; }

  // Registers the file behind `fd` as a backing file; see Device::OpenBacking.
  // FailedPrecondition where FUSE_PASSTHROUGH was not granted, and why. Most
  // filesystems want SharedBacking, which keeps one per inode.
  absl::StatusOr<BackingFile> OpenBacking(int fd);

  // For telling the kernel what it has not asked for. Keep it by its shared
  // ownership where it may be used after the session's end.
  const std::shared_ptr<Notifier>& notifier() const { return notifier_; }

  void Log(LogLevel level, std::string_view line) const {
    observers_->Log(level, line);
  }
  // Shows a message to whoever looks.
  void Tap(Direction direction, proto::Bytes head, proto::Bytes data) const {
    observers_->Tap(direction, head, data);
  }
  // Waits until log and tap are in nobody's hands; they are not called from
  // then on, and what they need may go.
  void BeQuiet() { observers_->BeQuiet(); }
  // Whether requests and replies are to be logged.
  bool debug() const { return debug_; }

  // Lets the device go at the end of the session. Replies and backing files
  // that are still about find nobody there, and do not keep the mount alive.
  void Disconnect() {
    {
      absl::MutexLock lock(&mutex_);
      device_.reset();
    }
    notifier_->Close();
  }

  // --- For the core ---

  Interrupts& interrupts() { return interrupts_; }

  // The slots for requests that have no worker's; nullptr where there are none
  // (any more).
  void SetParking(SlotPool* pool) {
    absl::MutexLock lock(&mutex_);
    parking_ = pool;
  }
  // One of them, filled by `fill` and now kHandling, or nullptr where none is
  // free.
  Slot* Park(absl::FunctionRef<void(Slot*)> fill);

  // The threads for handlers that may wait, if there are any.
  void SetOffload(const std::shared_ptr<Offload>& offload) {
    absl::MutexLock lock(&mutex_);
    offload_ = offload;
  }
  // Hands a request to one of them. False where there is none.
  bool CallAgain(Slot* slot);

  // Replies that a handler let go without an answer.
  void CountDroppedReply() {
    dropped_replies_.fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t dropped_replies() const {
    return dropped_replies_.load(std::memory_order_relaxed);
  }

  // Requests that have left their worker's slot.
  void CountDetached() { detached_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t detached() const {
    return detached_.load(std::memory_order_relaxed);
  }

  // Counted by BackingFile and by replies.
  struct BackingCounters {
    std::atomic<uint64_t> opens{0};
    std::atomic<uint64_t> closes{0};
    std::atomic<uint64_t> passthrough_opens{0};
  };
  const std::shared_ptr<BackingCounters>& backing_counters() const {
    return backing_counters_;
  }

 private:
  const proto::Negotiated terms_;
  const std::shared_ptr<Observers> observers_;
  const bool debug_;
  absl::Mutex mutex_;
  std::shared_ptr<const Device> device_ ABSL_GUARDED_BY(mutex_);
  SlotPool* parking_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::weak_ptr<Offload> offload_ ABSL_GUARDED_BY(mutex_);
  Interrupts interrupts_;
  const std::shared_ptr<Notifier> notifier_;
  std::atomic<uint64_t> dropped_replies_{0};
  std::atomic<uint64_t> detached_{0};
  std::shared_ptr<BackingCounters> backing_counters_ =
      std::make_shared<BackingCounters>();
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_CONNECTION_H_
