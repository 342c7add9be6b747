// Objects by number, for numbers that come back from the kernel.
#ifndef BAREFUSE_FS_ID_TABLE_H_
#define BAREFUSE_FS_ID_TABLE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace barefuse {

// Gives each object a number that is never used again. A number that is not in
// the table finds nothing, whoever sends it. Any thread.
template <class T>
class IdTable {
 public:
  uint64_t Add(std::shared_ptr<T> object) {
    absl::MutexLock lock(&mutex_);
    const uint64_t id = next_++;
    objects_.emplace(id, std::move(object));
    return id;
  }
  std::shared_ptr<T> Find(uint64_t id) const {
    absl::ReaderMutexLock lock(&mutex_);
    auto it = objects_.find(id);
    return it == objects_.end() ? nullptr : it->second;
  }
  // Takes it out; whoever else holds it may finish with it.
  std::shared_ptr<T> Remove(uint64_t id) {
    absl::MutexLock lock(&mutex_);
    auto it = objects_.find(id);
    if (it == objects_.end()) return nullptr;
    std::shared_ptr<T> object = std::move(it->second);
    objects_.erase(it);
    return object;
  }
  // Takes all out. Their numbers are not used again either.
  void Clear() {
    absl::flat_hash_map<uint64_t, std::shared_ptr<T>> objects;
    absl::MutexLock lock(&mutex_);
    objects.swap(objects_);
  }
  size_t size() const {
    absl::ReaderMutexLock lock(&mutex_);
    return objects_.size();
  }

 private:
  mutable absl::Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint64_t, std::shared_ptr<T>> objects_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_ID_TABLE_H_
