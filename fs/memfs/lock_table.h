// The locks of all files, and those who wait for them.
#ifndef BAREFUSE_FS_MEMFS_LOCK_TABLE_H_
#define BAREFUSE_FS_MEMFS_LOCK_TABLE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/memfs/lock_set.h"
#include "server/reply.h"
#include "server/request.h"

namespace barefuse::memfs {

// fcntl(2) and flock(2) locks, which do not see each other. Locks of open file
// descriptions come as fcntl locks whose owner is the open file; the kernel
// does not give them back itself, so that ReleaseHandle does.
//
// Deadlocks are not detected: on the wire a process, of whom fcntl(2) says
// EDEADLK, looks like an open file, of whom it must not. A signal frees whoever
// waits. Any thread. Positive errno values.
class LockTable : public std::enable_shared_from_this<LockTable> {
 public:
  struct Target {
    NodeId node = 0;
    bool flock = false;
  };

  // `max_slot_waiters`: how many may wait in the slot of a worker, where they
  // cannot detach from it.
  explicit LockTable(uint32_t max_slot_waiters)
      : max_slot_waiters_(max_slot_waiters) {}
  ~LockTable();

  // The lock that is in the way, if one is. The range must be valid.
  std::optional<RangeLock> Test(Target target, const RangeLock& wanted)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // EAGAIN: another's lock is in the way. ENOLCK, EINVAL.
  int Set(Target target, const RangeLock& wanted) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, but waits for its turn: in the order of coming, as far as what is
  // wanted excludes each other. EINTR where a signal comes first.
  void SetAndAnswer(Target target, const RangeLock& wanted, EmptyReply reply)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // close(2): the fcntl locks of a process.
  void ReleaseOwner(NodeId node, uint64_t owner) ABSL_LOCKS_EXCLUDED(mutex_);
  // The last close: whatever was taken through an open file, and whoever waits
  // through it (EBADF).
  void ReleaseHandle(NodeId node, uint64_t fh) ABSL_LOCKS_EXCLUDED(mutex_);

  // Answers all who wait, with EIO, and takes all locks away.
  void Clear() ABSL_LOCKS_EXCLUDED(mutex_);
  size_t waiters() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Files that anybody locks or wants to.
  size_t files() const ABSL_LOCKS_EXCLUDED(mutex_);

  // 0, or EINVAL for a type or a range that does not exist.
  static int Check(const RangeLock& wanted);

 private:
  struct Waiter {
    uint64_t id;
    bool flock;
    RangeLock wanted;
    EmptyReply reply;
    bool in_slot;
  };
  struct File {
    LockSet posix;
    LockSet flock;
    std::list<Waiter> waiters;
    LockSet& Of(bool is_flock) { return is_flock ? flock : posix; }
  };
  // Given once the mutex is free.
  struct Answers {
    std::vector<EmptyReply> granted;
    std::vector<EmptyReply> failed;
    int error = 0;
    ~Answers();
  };

  int SetLocked(File& file, bool flock, const RangeLock& wanted,
                Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives waiters what they want and can have now.
  void Grant(File& file, Answers* answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EraseIfIdle(NodeId node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  EmptyReply TakeReply(File& file, std::list<Waiter>::iterator waiter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Interrupt(NodeId node, uint64_t id) ABSL_LOCKS_EXCLUDED(mutex_);

  const uint32_t max_slot_waiters_;
  mutable absl::Mutex mutex_;
  uint64_t next_waiter_ ABSL_GUARDED_BY(mutex_) = 1;
  uint32_t slot_waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<NodeId, std::unique_ptr<File>> files_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_LOCK_TABLE_H_
