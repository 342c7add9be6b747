#include "fs/passthrough/inode_table.h"

#include <algorithm>

namespace barefuse {

InodeTable::InodeTable(UniqueFd root, const struct stat& info) {
  auto inode = std::make_shared<Inode>();
  inode->fd = std::move(root);
  inode->type = info.st_mode & S_IFMT;
  inode->node = abi::FUSE_ROOT_ID;
  const Key key(info.st_dev, info.st_ino);
  absl::MutexLock lock(&mutex_);
  by_node_[abi::FUSE_ROOT_ID] = Known{std::move(inode), key, 1};
  by_key_[key] = abi::FUSE_ROOT_ID;
}

std::shared_ptr<Inode> InodeTable::Find(NodeId node) const {
  absl::ReaderMutexLock lock(&mutex_);
  auto it = by_node_.find(node);
  return it == by_node_.end() ? nullptr : it->second.inode;
}

std::shared_ptr<Inode> InodeTable::Lookup(UniqueFd fd,
                                          const struct stat& info) {
  const Key key(info.st_dev, info.st_ino);
  absl::MutexLock lock(&mutex_);
  if (auto it = by_key_.find(key); it != by_key_.end()) {
    Known& known = by_node_.at(it->second);
    ++known.lookups;
    return known.inode;
  }
  auto inode = std::make_shared<Inode>();
  inode->fd = std::move(fd);
  inode->type = info.st_mode & S_IFMT;
  inode->node = next_++;
  by_node_[inode->node] = Known{inode, key, 1};
  by_key_[key] = inode->node;
  return inode;
}

void InodeTable::Forget(NodeId node, uint64_t lookups) {
  std::shared_ptr<Inode> last;  // its descriptor is closed without the lock
  absl::MutexLock lock(&mutex_);
  auto it = by_node_.find(node);
  if (it == by_node_.end() || node == abi::FUSE_ROOT_ID) return;
  Known& known = it->second;
  known.lookups -= std::min(known.lookups, lookups);
  if (known.lookups != 0) return;
  by_key_.erase(known.key);
  last = std::move(known.inode);
  by_node_.erase(it);
}

size_t InodeTable::size() const {
  absl::ReaderMutexLock lock(&mutex_);
  return by_node_.size();
}

}  // namespace barefuse
