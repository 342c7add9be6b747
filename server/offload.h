// Threads for handlers that may block, so that no worker does.
#ifndef BAREFUSE_SERVER_OFFLOAD_H_
#define BAREFUSE_SERVER_OFFLOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/slot.h"
#include "server/thread.h"

namespace barefuse {

// A queue of requests and up to so many threads that serve them in order. The
// queue is bounded by the slots that there are. Threads are started when they
// are needed and stay. They share the ownership of this: one whose handler
// never returns can be left behind. Any thread.
class Offload : public std::enable_shared_from_this<Offload> {
 public:
  // `serve` is called with one request after the other, on up to `threads`
  // threads at a time.
  Offload(std::function<void(Slot*)> serve, uint32_t threads)
      : serve_(std::move(serve)), threads_(threads) {}

  // Takes over a decoded request. False, and the request is still the caller's:
  // there is no thread, and none could be started, or Stop was called.
  bool Take(Slot* slot);

  // The end. What still waits is answered EIO; what is being served goes on.
  void Stop();
  // After Stop: waits until all threads have ended. False at the deadline.
  bool AwaitThreads(absl::Time deadline);
  // Leaves behind those that have not, and says what they are doing ("FSYNC").
  std::vector<std::string> Abandon();

 private:
  struct OwnThread {
    Thread thread;
    std::atomic<uint32_t> serving{0};  // the opcode
    bool ended = false;                // guarded by mutex_
  };

  bool StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(OwnThread& self);
  Slot* Next(OwnThread& self);

  const std::function<void(Slot*)> serve_;

  absl::Mutex mutex_;
  absl::CondVar changed_;
  // Filled up to started_; never moved, so that threads find themselves.
  std::vector<OwnThread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t started_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // requests in the queue
  Slot* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Slot* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_OFFLOAD_H_
