// All inodes, and the names that lead to them.
#ifndef BAREFUSE_FS_MEMFS_TREE_H_
#define BAREFUSE_FS_MEMFS_TREE_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "fs/memfs/node.h"

namespace barefuse::memfs {

// Inodes that nothing leads to any more. What they held is freed with this:
// declare it before the lock, so that this is after the unlocking.
using Dead = std::vector<std::shared_ptr<Node>>;

// A node is found by its id while it has a name or the kernel has looked it up.
// One that is only open lives on in its handles. Ids are never used again.
//
// Lock order: Tree::mutex, then the lock of a FileData; LockTable and handles
// have locks of their own, under which no other is taken. File content is never
// copied, and large files are not freed, under Tree::mutex.
class Tree {
 public:
  // Names and links, limits of the filesystem.
  static constexpr size_t kNameMax = 255;
  static constexpr uint32_t kLinkMax = 65000;
  static constexpr size_t kTargetMax = 4095;

  // `space` outlives the tree. The root takes an inode, whatever the limit.
  Tree(Space& space, uint32_t root_mode, uint32_t uid, uint32_t gid);
  ~Tree();

  // Guards the tree and everything in its nodes (fs/memfs/node.h).
  absl::Mutex mutex;

  // nullptr for an id that was never given out, or is of nobody any more.
  std::shared_ptr<Node> Find(NodeId id) const ABSL_SHARED_LOCKS_REQUIRED(mutex);
  // A node without names. It must get a name or a lookup, or be settled.
  // nullptr: no inode is left.
  std::shared_ptr<Node> NewNode(uint32_t mode)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Gives lookups back. Unknown nodes and too large numbers do no harm.
  void Forget(NodeId id, uint64_t lookups, Dead* dead)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Gives back all lookups of all nodes.
  void ForgetAll(Dead* dead) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Takes a node out that has neither names nor lookups.
  void Settle(const Node& node, Dead* dead)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // link: gives `node` a name in `parent`, which it has not. ENOSPC.
  int AddName(Node& parent, std::string_view name, std::shared_ptr<Node> node)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // unlink and rmdir of a name that is there. What must not be removed is for
  // the caller to know.
  void RemoveName(Node& parent, std::string_view name, Dead* dead)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // renameat2(2). Positive errno values.
  int Rename(Node& from, std::string_view name, Node& to,
             std::string_view to_name, uint32_t flags, Dead* dead)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // 0, ENAMETOOLONG, or EINVAL for "." and "..".
  static int CheckName(std::string_view name);
  // Whether names may be added to, or removed from, `parent`. Positive errno.
  static int CheckAdd(const Node& parent);
  static int CheckRemove(const Node& parent, const Node& victim);

 private:
  int CheckRename(const Node& from, const Node& source, const Node& to,
                  const Node* target, uint32_t flags) const;
  static void Exchange(Node& from, std::string_view name, Node& to,
                       std::string_view to_name);
  // Takes one name away from a node that is no longer in `parent`.
  void DropLink(Node& parent, Node& node, Dead* dead)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  Space& space_;
  NodeId next_id_ ABSL_GUARDED_BY(mutex) = abi::FUSE_ROOT_ID;
  absl::flat_hash_map<NodeId, std::shared_ptr<Node>> nodes_
      ABSL_GUARDED_BY(mutex);
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_TREE_H_
