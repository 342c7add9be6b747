// The threads that serve a session.
//
// Each worker thread shares the ownership of the group: one whose handler never
// returns can be left behind, with all that it may still touch, while the
// session ends. Everything else goes with the last of them.
#ifndef BAREFUSE_SERVER_WORKER_GROUP_H_
#define BAREFUSE_SERVER_WORKER_GROUP_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/attendance.h"
#include "server/connection.h"
#include "server/device.h"
#include "server/dispatch.h"
#include "server/offload.h"
#include "server/slot.h"
#include "server/statistics.h"
#include "server/thread.h"
#include "server/transport.h"
#include "server/unique_fd.h"
#include "server/wake_relay.h"

namespace barefuse {

class WorkerGroup : public std::enable_shared_from_this<WorkerGroup> {
 public:
  struct Options {
    TransportKind transport = TransportKind::kAuto;
    uint32_t workers = 1;
    uint32_t slots = 16;  // of each
    uint32_t parked = 0;  // slots for requests that have no worker's
    uint32_t offload_threads = 0;
    absl::Duration busy_poll = absl::ZeroDuration();
  };

  static absl::StatusOr<std::shared_ptr<WorkerGroup>> Create(
      std::shared_ptr<FileSystem> file_system,
      std::shared_ptr<Connection> connection, const Options& options);

  ~WorkerGroup() { Stop(); }
  WorkerGroup(const WorkerGroup&) = delete;
  WorkerGroup& operator=(const WorkerGroup&) = delete;

  // --- The session's side; adding and Start from one thread ---

  // Prepares the next worker, which reads from `device`.
  absl::Status Add(std::shared_ptr<const Device> device);
  // Prepares the reserve (server/reserve.h), after all workers.
  absl::Status AddReserve(std::shared_ptr<const Device> device);
  // Starts all that were added. Where one cannot be started the others run.
  absl::Status Start();

  // Asks the session for its end, which is up to AwaitEnd's caller.
  void RequestEnd();
  // Blocks until RequestEnd was called, or a worker has ended by itself.
  void AwaitEnd();
  // Readable once AwaitEnd would not block.
  int end_fd() const { return end_fd_.get(); }

  // Claims the end for `reason`: true where requests are being served, and no
  // worker has had another one yet.
  bool ClaimEnd(StopReason reason);
  // Tells the workers to stop. Each does, once it is out of its handler; those
  // that never started let go of what they have at once.
  void Stop();
  // Waits until all have ended, at most `timeout`.
  bool AwaitThreads(absl::Duration timeout);
  // Takes the device away from those that have not, which ends the connection
  // and frees who waits for it, a handler that uses its own mount among them.
  void CutDevices();
  // Leaves behind those that still have not ended, and says what they are doing
  // ("LOOKUP").
  struct Left {
    std::vector<std::string> workers;
    std::vector<std::string> others;  // threads for handlers that may block
  };
  Left Abandon();

  // Why it ended. kStopped where nobody has said better.
  StopReason reason() const;
  // Requests that nobody has answered, of workers that have ended.
  uint32_t unanswered() const;
  void AddTo(Statistics* sum) const;
  // kAuto until the first worker is added.
  TransportKind transport() const { return options_.transport; }
  uint32_t size() const { return options_.workers; }

 private:
  enum class State { kReady, kRunning, kEnded };
  struct Worker {
    std::shared_ptr<const Device> device;
    std::shared_ptr<WorkerCounters> counters;
    std::unique_ptr<Transport> transport;
    SlotPool* pool = nullptr;  // nullptr once the worker is ending
    bool is_reserve = false;
    Thread thread;
    State state = State::kReady;
  };

  WorkerGroup(std::shared_ptr<FileSystem> file_system,
              std::shared_ptr<Connection> connection, const Options& options);
  absl::StatusOr<std::unique_ptr<Transport>> MakeTransport(
      const std::shared_ptr<const Device>& device, SlotPool* pool);
  std::unique_ptr<Worker> MakeWorker(std::shared_ptr<const Device> device,
                                     SlotPool* pool,
                                     std::unique_ptr<Transport> transport);
  void Run(Worker& worker);
  uint32_t ClosePool(const Worker& worker, SlotPool* pool);
  void SignalEnd();

  const std::shared_ptr<Connection> connection_;
  Options options_;
  // For what the filesystem says may block, and for what the reserve has read.
  const std::shared_ptr<Offload> offload_;
  const std::shared_ptr<Offload> overflow_;
  Dispatcher dispatcher_;
  WakeRelay relay_;
  Attendance attendance_;
  UniqueFd end_fd_;
  UniqueFd null_fd_;  // /dev/null, for when there may be no descriptor left
  std::atomic<bool> stop_{false};

  // The workers, by their numbers, and then the reserve, if there is one.
  // Filled before the threads start; what changes afterwards (pool, thread,
  // state) is guarded by mutex_.
  std::vector<std::unique_ptr<Worker>> workers_;

  mutable absl::Mutex mutex_;
  bool end_requested_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
  // The first reason that a worker gave.
  std::optional<StopReason> reason_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_WORKER_GROUP_H_
