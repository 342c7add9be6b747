// The inodes of the source that the kernel knows.
#ifndef BAREFUSE_FS_PASSTHROUGH_INODE_TABLE_H_
#define BAREFUSE_FS_PASSTHROUGH_INODE_TABLE_H_

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "server/backing_file.h"
#include "server/request.h"
#include "server/unique_fd.h"

namespace barefuse {

// One inode, whatever its names. The O_PATH descriptor pins it in the source,
// so that its inode number is not used again while the kernel knows it.
struct Inode {
  UniqueFd fd;
  mode_t type = 0;  // S_IFMT bits, which never change
  NodeId node = 0;
  SharedBacking backing;
};

// Finds inodes by node id and by (device, inode number). Hard links share an
// inode. Node ids are never used again, so the generation is always 0. Any
// thread.
class InodeTable {
 public:
  // `root` is O_PATH; it becomes FUSE_ROOT_ID and is never forgotten.
  InodeTable(UniqueFd root, const struct stat& info);

  // The inode of a node id, or nullptr for one that was never given out or has
  // been forgotten.
  std::shared_ptr<Inode> Find(NodeId node) const;

  // The inode of `info`, whose O_PATH descriptor is `fd`: the known one, or a
  // new one. Takes one lookup of it.
  std::shared_ptr<Inode> Lookup(UniqueFd fd, const struct stat& info);

  // Gives lookups back. Unknown nodes and too large numbers do no harm.
  void Forget(NodeId node, uint64_t lookups);

  // Known inodes, the root included.
  size_t size() const;

 private:
  using Key = std::pair<dev_t, ino_t>;
  struct Known {
    std::shared_ptr<Inode> inode;
    Key key;
    uint64_t lookups = 0;
  };

  mutable absl::Mutex mutex_;
  NodeId next_ ABSL_GUARDED_BY(mutex_) = abi::FUSE_ROOT_ID + 1;
  absl::flat_hash_map<NodeId, Known> by_node_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Key, NodeId> by_key_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_INODE_TABLE_H_
