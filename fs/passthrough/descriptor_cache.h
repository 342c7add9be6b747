// Descriptors of inodes that were in use a moment ago.
#ifndef BAREFUSE_FS_PASSTHROUGH_DESCRIPTOR_CACHE_H_
#define BAREFUSE_FS_PASSTHROUGH_DESCRIPTOR_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "fs/passthrough/path_fd.h"
#include "server/request.h"

namespace barefuse {

// Holds the descriptors of up to `capacity` inodes: of each set of inodes that
// share a place, those used last. Any thread.
class DescriptorCache {
 public:
  explicit DescriptorCache(size_t capacity)
      : set_count_(capacity / kWays == 0 ? 1 : capacity / kWays),
        sets_(new Set[set_count_]) {}

  // An empty one where there is none.
  PathFd Find(NodeId node) {
    Set& set = SetOf(node);
    absl::MutexLock lock(&set.mutex);
    for (Way& way : set.ways) {
      if (way.node != node) continue;
      way.used = ++set.clock;
      return way.fd;
    }
    return PathFd();
  }
  void Add(NodeId node, PathFd fd) {
    Set& set = SetOf(node);
    PathFd old;  // closed without the lock
    absl::MutexLock lock(&set.mutex);
    Way* oldest = &set.ways[0];
    for (Way& way : set.ways) {
      if (way.node == node) {
        oldest = &way;
        break;
      }
      if (way.used < oldest->used) oldest = &way;
    }
    old = std::move(oldest->fd);
    *oldest = Way{node, std::move(fd), ++set.clock};
  }
  void Clear() {
    for (size_t i = 0; i < set_count_; ++i) {
      std::array<Way, kWays> old;  // closed without the lock
      absl::MutexLock lock(&sets_[i].mutex);
      old.swap(sets_[i].ways);
    }
  }
  void Remove(NodeId node) {
    Set& set = SetOf(node);
    PathFd old;
    absl::MutexLock lock(&set.mutex);
    for (Way& way : set.ways) {
      if (way.node != node) continue;
      old = std::move(way.fd);
      way = Way{};
    }
  }

 private:
  static constexpr size_t kWays = 4;
  struct Way {
    NodeId node = 0;
    PathFd fd;
    uint64_t used = 0;
  };
  struct Set {
    absl::Mutex mutex;
    uint64_t clock ABSL_GUARDED_BY(mutex) = 0;
    std::array<Way, kWays> ways ABSL_GUARDED_BY(mutex);
  };

  Set& SetOf(NodeId node) {
    // Node ids count up in steps; this spreads them.
    return sets_[(node * 0x9e3779b97f4a7c15u >> 32) % set_count_];
  }

  const size_t set_count_;
  const std::unique_ptr<Set[]> sets_;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_DESCRIPTOR_CACHE_H_
