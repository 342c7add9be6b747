// The locks of one file.
#ifndef BAREFUSE_FS_MEMFS_LOCK_SET_H_
#define BAREFUSE_FS_MEMFS_LOCK_SET_H_

#include <fcntl.h>

#include <cstdint>
#include <vector>

namespace barefuse::memfs {

// A lock, wanted or held, of the bytes `start` .. `end`, both included.
struct RangeLock {
  uint64_t start = 0;
  uint64_t end = 0;
  uint32_t type = F_UNLCK;  // F_RDLCK, F_WRLCK; F_UNLCK takes locks away
  uint32_t pid = 0;         // of the process that asked
  uint64_t owner = 0;       // the kernel's: a process's table, or an open file
  uint64_t fh = 0;          // of the open file that it was asked through

  bool Overlaps(const RangeLock& other) const {
    return start <= other.end && other.start <= end;
  }
};

// Ranges, with the rules of fcntl(2): an owner's new lock replaces what it had
// there, and what touches and is alike is one. Not thread-safe.
class LockSet {
 public:
  static constexpr uint64_t kEnd = INT64_MAX;  // OFFSET_MAX: no end
  // The most ranges in one file.
  static constexpr size_t kMost = 4096;

  // The held lock that stands in the way of `wanted`, the one with the lowest
  // start, or nullptr. Valid until the next change.
  const RangeLock* Conflict(const RangeLock& wanted) const;
  // Requires that there is no conflict, and end <= kEnd. False: too many
  // ranges, and nothing has changed.
  bool Set(const RangeLock& wanted);
  void RemoveHandle(uint64_t fh);

  bool empty() const { return locks_.empty(); }
  const std::vector<RangeLock>& locks() const { return locks_; }

 private:
  std::vector<RangeLock> locks_;
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_LOCK_SET_H_
