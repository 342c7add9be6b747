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
    UniqueFd root, size_t descriptors, bool whole) {
  std::unique_ptr<InodeTable> table(new InodeTable(descriptors));
  Inode& inode = table->root_;
  inode.node = abi::FUSE_ROOT_ID;
  inode.fd = PathFd(std::move(root));
  struct statx info;
  if (int error = table->Identify(inode.fd, 0, &info, &inode.mount,
                                  &table->root_handle_)) {
    return ErrnoStatus(error, "cannot stat the source");
  }
  inode.type = info.stx_mode & S_IFMT;
  table->exports_ =
      whole && table->root_handle_.Packed(table->root_handle_).has_value();
  return table;
}

NodeId InodeTable::PackedId(const Key& key) const {
  if (!exports_ || key.mount != root_.mount->index) return 0;
  const std::optional<uint64_t> packed = key.handle.Packed(root_handle_);
  return packed.has_value() ? kPacked | *packed : 0;
}

UniqueFd InodeTable::OpenHandle(const FileHandle& handle,
                                const SourceMount& mount) {
  return OpenWithRoom([&] { return handle.Open(mount.directory.get()); });
}

int InodeTable::Restore(NodeId node, Inode* inode) {
  const int error = Open(node, inode);
  if (error != ESTALE || !exports_ || (node & kPacked) == 0) return error;
  UniqueFd fd = OpenHandle(FileHandle::Unpacked(node & ~kPacked, root_handle_),
                           *root_.mount);
  if (!fd) return errno;
  struct statx info;
  if (int wrong = StatFd(fd.get(), &info)) return wrong;
  inode->node = node;
  inode->type = info.stx_mode & S_IFMT;
  inode->mount = root_.mount;
  inode->fd = PathFd(std::move(fd));
  return 0;
}

size_t InodeTable::HashOf(const Key& key) {
  return absl::HashOf(key.handle, key.mount);
}

// By other bits than those that the tables inside use.
size_t InodeTable::ShardNumber(const Key& key) {
  return HashOf(key) >> 48 & (kShards - 1);
}

int InodeTable::Identify(const PathFd& fd, uint64_t name, struct statx* info,
                         const SourceMount** mount, FileHandle* handle) {
  if (int error = StatFd(fd.get(), info)) return error;
  *mount = mounts_.Of(fd.get(), *info);
  if (*mount == nullptr) return ENFILE;
  const bool parts = (*mount)->parts_links && info->stx_nlink > 1 &&
                     !S_ISDIR(info->stx_mode) && !IsUpper(fd.get());
  *handle = FileHandle::Of(fd.get(), DeviceOf(*info), info->stx_ino,
                           !(*mount)->has_handles(), parts ? name : 0);
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
  UniqueFd fd = OpenHandle(handle, *inode->mount);
  if (!fd) return errno;
  inode->fd = PathFd(std::move(fd));
  cache_.Add(node, inode->fd);
  return 0;
}

int InodeTable::Lookup(UniqueFd fd, uint64_t name, Inode* inode,
                       struct statx* info) {
  inode->fd = PathFd(std::move(fd));
  FileHandle handle;
  if (int error = Identify(inode->fd, name, info, &inode->mount, &handle)) {
    return error;
  }
  inode->type = info->stx_mode & S_IFMT;
  if (inode->mount == root_.mount && handle == root_handle_) {
    *inode = root_;
    return 0;
  }
  const Key key{handle, inode->mount->index};
  const Known unknown{.lookups = 1,
                      .handle = handle,
                      .mount = key.mount,
                      .type = static_cast<uint16_t>(inode->type)};
  if (NodeId packed = PackedId(key); packed != 0) {
    inode->node = packed;
    Shard& shard = ShardOf(packed);
    absl::MutexLock lock(&shard.mutex);
    const auto [it, is_new] = shard.nodes.try_emplace(packed, unknown);
    if (!is_new) ++it->second.lookups;
  } else {
    const size_t number = ShardNumber(key);
    Shard& shard = shards_[number];
    absl::MutexLock lock(&shard.mutex);
    if (auto it = shard.by_key.find(key); it != shard.by_key.end()) {
      inode->node = *it;
      Known& known = shard.nodes.at(*it);
      ++known.lookups;
      if (known.handle.pinned()) inode->fd = shard.pins.at(*it);
    } else {
      inode->node = shard.next++ * kShards + number;
      shard.nodes[inode->node] = unknown;
      shard.by_key.insert(inode->node);
      if (handle.pinned()) shard.pins[inode->node] = inode->fd;
    }
  }
  if (!handle.pinned()) cache_.Add(inode->node, inode->fd);
  return 0;
}

NodeId InodeTable::Peek(const PathFd& fd, uint64_t name, struct statx* info) {
  const SourceMount* mount = nullptr;
  FileHandle handle;
  if (Identify(fd, name, info, &mount, &handle) != 0) return 0;
  const Key key{handle, mount->index};
  if (NodeId packed = PackedId(key); packed != 0) {
    Shard& shard = ShardOf(packed);
    absl::ReaderMutexLock lock(&shard.mutex);
    return shard.nodes.contains(packed) ? packed : 0;
  }
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
    if ((node & kPacked) == 0) shard.by_key.erase(node);
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

void InodeTable::CountMappable(NodeId node) {
  Shard& shard = ShardOf(node);
  absl::MutexLock lock(&shard.mutex);
  auto it = shard.nodes.find(node);
  if (it != shard.nodes.end()) ++it->second.mappable;
}

uint32_t InodeTable::Mappable(NodeId node) {
  Shard& shard = ShardOf(node);
  absl::ReaderMutexLock lock(&shard.mutex);
  auto it = shard.nodes.find(node);
  return it == shard.nodes.end() ? 0 : it->second.mappable;
}

void InodeTable::ForgetMappable(NodeId node, uint32_t count) {
  Shard& shard = ShardOf(node);
  absl::MutexLock lock(&shard.mutex);
  auto it = shard.nodes.find(node);
  if (it != shard.nodes.end() && it->second.mappable == count) {
    it->second.mappable = 0;
  }
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
