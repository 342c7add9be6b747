// Those who wait for a flock(2) lock of the source. Private to fs/passthrough.
#ifndef BAREFUSE_FS_PASSTHROUGH_FLOCK_WAITERS_H_
#define BAREFUSE_FS_PASSTHROUGH_FLOCK_WAITERS_H_

#include <cstdint>
#include <list>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/reply.h"
#include "server/thread.h"

namespace barefuse {

// A thread asks for them again and again: at once when a lock is given back
// through the mount, and every few milliseconds, since nobody tells when one is
// given back in the source. (A thread for each, asleep in flock(2), could not
// be woken for a signal, and their number would have to be bounded.) It is
// started when somebody waits. Any thread.
class FlockWaiters : public std::enable_shared_from_this<FlockWaiters> {
 public:
  FlockWaiters() = default;
  ~FlockWaiters() { Stop(); }
  FlockWaiters(const FlockWaiters&) = delete;
  FlockWaiters& operator=(const FlockWaiters&) = delete;

  // flock(fd, operation) until it succeeds; EINTR where a signal comes first,
  // ENOLCK where no more can wait. `file` is what holds `fd` open.
  void Wait(std::shared_ptr<const void> file, int fd, int operation,
            EmptyReply reply) ABSL_LOCKS_EXCLUDED(mutex_);
  // A lock has been given back.
  void Retry() ABSL_LOCKS_EXCLUDED(mutex_);
  // Answers all with EIO. Nobody may wait any more.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiter {
    uint64_t id;
    std::shared_ptr<const void> file;
    int fd;
    int operation;
    EmptyReply reply;
    bool interrupted = false;
    int error = -1;  // of the answer, once it is known
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  void Interrupt(uint64_t id) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  absl::CondVar changed_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::list<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_FLOCK_WAITERS_H_
