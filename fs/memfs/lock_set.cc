#include "fs/memfs/lock_set.h"

#include <algorithm>
#include <utility>

namespace barefuse::memfs {

const RangeLock* LockSet::Conflict(const RangeLock& wanted) const {
  if (wanted.type == F_UNLCK) return nullptr;
  const RangeLock* found = nullptr;
  for (const RangeLock& lock : locks_) {
    if (lock.owner == wanted.owner || !lock.Overlaps(wanted)) continue;
    if (lock.type != F_WRLCK && wanted.type != F_WRLCK) continue;
    if (found == nullptr || lock.start < found->start) found = &lock;
  }
  return found;
}

bool LockSet::Set(const RangeLock& wanted) {
  RangeLock added = wanted;
  std::vector<RangeLock> after;
  after.reserve(locks_.size() + 2);
  for (const RangeLock& lock : locks_) {
    if (lock.owner != wanted.owner) {
      after.push_back(lock);
      continue;
    }
    if (lock.type == wanted.type && lock.start <= wanted.end + 1 &&
        wanted.start <= lock.end + 1) {
      added.start = std::min(added.start, lock.start);
      added.end = std::max(added.end, lock.end);
      continue;
    }
    if (!lock.Overlaps(wanted)) {
      after.push_back(lock);
      continue;
    }
    if (lock.start < wanted.start) {
      after.push_back(lock);
      after.back().end = wanted.start - 1;
    }
    if (lock.end > wanted.end) {
      after.push_back(lock);
      after.back().start = wanted.end + 1;
    }
  }
  if (wanted.type != F_UNLCK) after.push_back(added);
  if (after.size() > kMost && after.size() > locks_.size()) return false;
  locks_ = std::move(after);
  return true;
}

void LockSet::RemoveHandle(uint64_t fh) {
  std::erase_if(locks_, [fh](const RangeLock& lock) { return lock.fh == fh; });
}

}  // namespace barefuse::memfs
