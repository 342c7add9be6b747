#include "fs/passthrough/inode_table.h"

#include <errno.h>

#include <algorithm>

#include "absl/hash/hash.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

// Hash tables do not shrink by themselves. A big one that is nearly empty is
// made anew.
template <class Table>
void Shrink(Table* table) {
  constexpr size_t kSmall = 256;
  if (table->capacity() > kSmall && table->size() < table->capacity() / 8) {
    table->rehash(0);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<InodeTable>> InodeTable::Create(
    UniqueFd root, size_t descriptors) {
  std::unique_ptr<InodeTable> table(new InodeTable(descriptors));
  struct statx info;
  if (int error = StatFd(root.get(), &info)) {
    return ErrnoStatus(error, "cannot stat the source");
  }
  table->root_.node = abi::FUSE_ROOT_ID;
  table->root_.type = info.stx_mode & S_IFMT;
  table->root_.mount = table->mounts_.Of(root.get(), info);
  table->root_.fd = PathFd(std::move(root));
  return table;
}

size_t InodeTable::HashOf(const Key& key) {
  return absl::HashOf(key.handle, key.mount);
}

// By other bits than those that the tables inside use.
size_t InodeTable::ShardNumber(const Key& key) {
  return HashOf(key) >> 48 & (kShards - 1);
}

int InodeTable::Identify(const PathFd& fd, struct statx* info,
                         const SourceMount** mount, FileHandle* handle) {
  if (int error = StatFd(fd.get(), info)) return error;
  *mount = mounts_.Of(fd.get(), *info);
  if (*mount == nullptr) return ENFILE;
  *handle = FileHandle::Of(fd.get(), DeviceOf(*info), info->stx_ino,
                           !(*mount)->has_handles());
  return 0;
}

int InodeTable::Open(NodeId node, Inode* inode) {
  if (node == abi::FUSE_ROOT_ID) {
    *inode = root_;
    return 0;
  }
  FileHandle handle;
  inode->node = node;
  {
    Shard& shard = ShardOf(node);
    absl::ReaderMutexLock lock(&shard.mutex);
    auto it = shard.nodes.find(node);
    if (it == shard.nodes.end()) return ESTALE;
    inode->type = it->second.type;
    inode->mount = &mounts_.At(it->second.mount);
    if (auto pin = shard.pins.find(node); pin != shard.pins.end()) {
      inode->fd = pin->second;
      return 0;
    }
    handle = it->second.handle;
  }
  inode->fd = cache_.Find(node);
  if (inode->fd) return 0;
  UniqueFd fd =
      OpenWithRoom([&] { return handle.Open(inode->mount->directory.get()); });
  if (!fd) return errno;
  inode->fd = PathFd(std::move(fd));
  cache_.Add(node, inode->fd);
  return 0;
}

int InodeTable::Lookup(UniqueFd fd, Inode* inode, struct statx* info) {
  inode->fd = PathFd(std::move(fd));
  FileHandle handle;
  if (int error = Identify(inode->fd, info, &inode->mount, &handle)) {
    return error;
  }
  inode->type = info->stx_mode & S_IFMT;
  const Key key{handle, inode->mount->index};
  const size_t number = ShardNumber(key);
  Shard& shard = shards_[number];
  {
    absl::MutexLock lock(&shard.mutex);
    if (auto it = shard.by_key.find(key); it != shard.by_key.end()) {
      inode->node = *it;
      Known& known = shard.nodes.at(*it);
      ++known.lookups;
      if (known.handle.pinned()) inode->fd = shard.pins.at(*it);
    } else {
      inode->node = shard.next++ * kShards + number;
      shard.nodes[inode->node] =
          Known{.lookups = 1,
                .handle = handle,
                .mount = inode->mount->index,
                .type = static_cast<uint16_t>(inode->type)};
      shard.by_key.insert(inode->node);
      if (handle.pinned()) shard.pins[inode->node] = inode->fd;
    }
  }
  if (!handle.pinned()) cache_.Add(inode->node, inode->fd);
  return 0;
}

NodeId InodeTable::Peek(const PathFd& fd, struct statx* info) {
  const SourceMount* mount = nullptr;
  FileHandle handle;
  if (Identify(fd, info, &mount, &handle) != 0) return 0;
  const Key key{handle, mount->index};
  Shard& shard = shards_[ShardNumber(key)];
  absl::ReaderMutexLock lock(&shard.mutex);
  auto it = shard.by_key.find(key);
  return it == shard.by_key.end() ? 0 : *it;
}

void InodeTable::Forget(NodeId node, uint64_t lookups) {
  PathFd pin;  // closed without the lock
  {
    Shard& shard = ShardOf(node);
    absl::MutexLock lock(&shard.mutex);
    auto it = shard.nodes.find(node);
    if (it == shard.nodes.end()) return;
    Known& known = it->second;
    known.lookups -= std::min(known.lookups, lookups);
    if (known.lookups != 0) return;
    shard.by_key.erase(node);
    shard.nodes.erase(it);
    if (auto found = shard.pins.find(node); found != shard.pins.end()) {
      pin = std::move(found->second);
      shard.pins.erase(found);
    }
    Shrink(&shard.by_key);
    Shrink(&shard.nodes);
    Shrink(&shard.pins);
  }
  cache_.Remove(node);
}

void InodeTable::Pin(NodeId node, PathFd fd) {
  Shard& shard = ShardOf(node);
  absl::MutexLock lock(&shard.mutex);
  if (shard.nodes.contains(node)) shard.pins.try_emplace(node, std::move(fd));
}

std::shared_ptr<OpenInode> InodeTable::Share(const Inode& inode) {
  Shard& shard = ShardOf(inode.node);
  absl::MutexLock lock(&shard.mutex);
  std::weak_ptr<OpenInode>& known = shard.open[inode.node];
  if (std::shared_ptr<OpenInode> open = known.lock()) return open;
  std::shared_ptr<OpenInode> open(new OpenInode(inode.node, inode.fd),
                                  [this](OpenInode* last) { Unshare(last); });
  known = open;
  return open;
}

bool InodeTable::IsWritten(NodeId node) {
  std::shared_ptr<OpenInode> open;  // if it is the last, goes without the lock
  {
    Shard& shard = ShardOf(node);
    absl::ReaderMutexLock lock(&shard.mutex);
    auto it = shard.open.find(node);
    if (it != shard.open.end()) open = it->second.lock();
  }
  return open != nullptr && open->writers.load(std::memory_order_relaxed) != 0;
}

uint64_t InodeTable::SetVersion(NodeId node, uint64_t version) {
  Shard& shard = ShardOf(node);
  absl::MutexLock lock(&shard.mutex);
  auto it = shard.nodes.find(node);
  return it == shard.nodes.end() ? 0
                                 : std::exchange(it->second.version, version);
}

void InodeTable::Unshare(OpenInode* inode) {
  std::unique_ptr<OpenInode> owned(inode);  // goes without the lock
  Shard& shard = ShardOf(inode->node);
  absl::MutexLock lock(&shard.mutex);
  // Another open may have come meanwhile.
  auto it = shard.open.find(inode->node);
  if (it != shard.open.end() && it->second.expired()) shard.open.erase(it);
}

size_t InodeTable::size() const {
  size_t size = 1;
  for (const Shard& shard : shards_) {
    absl::ReaderMutexLock lock(&shard.mutex);
    size += shard.nodes.size();
  }
  return size;
}

}  // namespace barefuse
