#include "fs/memfs/tree.h"

#include <errno.h>
#include <tuple>

#include <algorithm>
#include <utility>

namespace barefuse::memfs {
namespace {

constexpr uint32_t kNoReplace = 1;  // RENAME_NOREPLACE
constexpr uint32_t kExchange = 2;   // RENAME_EXCHANGE

// Whether `node` is `ancestor` or below it.
bool IsBelow(const Node& node, const Node& ancestor) {
  for (const Node* at = &node; at != nullptr; at = at->parent) {
    if (at == &ancestor) return true;
    if (at->parent == at) break;
  }
  return false;
}

}  // namespace

Tree::Tree(Space& space, uint32_t root_mode, uint32_t uid, uint32_t gid)
    : space_(space) {
  absl::MutexLock lock(&mutex);
  std::shared_ptr<Node> root = NewNode(S_IFDIR | (root_mode & 07777));
  root->uid = uid;
  root->gid = gid;
  root->nlink = 2;
  root->parent = root.get();
}

Tree::~Tree() {
  absl::MutexLock lock(&mutex);
  // All that has a name is in the table too, so that no deep tree is freed by
  // recursion.
  for (auto& [id, node] : nodes_) node->directory.reset();
  nodes_.clear();
}

std::shared_ptr<Node> Tree::Find(NodeId id) const {
  auto it = nodes_.find(id);
  return it == nodes_.end() ? nullptr : it->second;
}

std::shared_ptr<Node> Tree::NewNode(uint32_t mode) {
  if (!space_.TakeInode()) return nullptr;
  auto node = std::make_shared<Node>(space_, next_id_++, mode);
  nodes_.emplace(node->id, node);
  return node;
}

void Tree::Forget(NodeId id, uint64_t lookups, Dead* dead) {
  auto it = nodes_.find(id);
  if (it == nodes_.end()) return;
  Node& node = *it->second;
  const uint64_t known = node.lookups.load(std::memory_order_relaxed);
  node.lookups.store(known - std::min(known, lookups),
                     std::memory_order_relaxed);
  Settle(node, dead);
}

void Tree::ForgetAll(Dead* dead) {
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    Node& node = *it->second;
    node.lookups.store(0, std::memory_order_relaxed);
    node.pollers.clear();
    auto next = std::next(it);
    if (node.nlink == 0) {
      dead->push_back(std::move(it->second));
      nodes_.erase(it);
    }
    it = next;
  }
}

void Tree::Settle(const Node& node, Dead* dead) {
  if (node.nlink != 0 || node.lookups.load(std::memory_order_relaxed) != 0) {
    return;
  }
  auto it = nodes_.find(node.id);
  if (it == nodes_.end()) return;
  dead->push_back(std::move(it->second));
  nodes_.erase(it);
}

int Tree::CheckName(std::string_view name) {
  if (name.size() > kNameMax) return ENAMETOOLONG;
  return name.empty() || name == "." || name == ".." ? EINVAL : 0;
}

int Tree::CheckAdd(const Node& parent) {
  if (!parent.IsDirectory()) return ENOTDIR;
  if (parent.nlink == 0) return ENOENT;  // removed
  return parent.Immutable() ? EPERM : 0;
}

int Tree::CheckRemove(const Node& parent, const Node& victim) {
  if (parent.Immutable() || parent.AppendOnly()) return EPERM;
  return victim.Immutable() || victim.AppendOnly() ? EPERM : 0;
}

int Tree::AddName(Node& parent, std::string_view name,
                  std::shared_ptr<Node> node) {
  Node& added = *node;
  if (!parent.directory->Add(name, std::move(node))) return ENOSPC;
  if (added.IsDirectory()) {
    added.nlink = 2;
    added.parent = &parent;
    ++parent.nlink;
  } else {
    ++added.nlink;
  }
  parent.TouchContent();
  added.TouchAttributes();
  return 0;
}

void Tree::DropLink(Node& parent, Node& node, Dead* dead) {
  if (node.IsDirectory()) {
    node.nlink = 0;
    node.parent = nullptr;
    --parent.nlink;
  } else {
    --node.nlink;
  }
  node.linkable = false;
  node.TouchAttributes();
  Settle(node, dead);
}

void Tree::RemoveName(Node& parent, std::string_view name, Dead* dead) {
  std::shared_ptr<Node> node = parent.directory->FindShared(name);
  parent.directory->Remove(name);
  parent.TouchContent();
  DropLink(parent, *node, dead);
  dead->push_back(std::move(node));
}

int Tree::CheckRename(const Node& from, const Node& source, const Node& to,
                      const Node* target, uint32_t flags) const {
  if (int error = CheckRemove(from, source); error != 0) return error;
  if (int error = CheckAdd(to); error != 0) return error;
  if ((flags & kNoReplace) != 0 && target != nullptr) return EEXIST;
  if ((flags & kExchange) != 0 && target == nullptr) return ENOENT;
  if (source.IsDirectory() && IsBelow(to, source)) return EINVAL;
  if (target != nullptr) {
    if (int error = CheckRemove(to, *target); error != 0) return error;
    if ((flags & kExchange) != 0) {
      return target->IsDirectory() && IsBelow(from, *target) ? EINVAL : 0;
    }
    if (source.IsDirectory() && !target->IsDirectory()) return ENOTDIR;
    if (!source.IsDirectory() && target->IsDirectory()) return EISDIR;
    if (target->IsDirectory() && !target->directory->empty()) {
      return ENOTEMPTY;
    }
  } else if (source.IsDirectory() && &from != &to && to.nlink >= kLinkMax) {
    return EMLINK;
  }
  return 0;
}

void Tree::Exchange(Node& from, std::string_view name, Node& to,
                    std::string_view to_name) {
  std::shared_ptr<Node> source = from.directory->FindShared(name);
  std::shared_ptr<Node> target = to.directory->FindShared(to_name);
  for (auto [node, old_parent, new_parent] :
       {std::tuple(source.get(), &from, &to),
        std::tuple(target.get(), &to, &from)}) {
    node->TouchAttributes();
    if (!node->IsDirectory()) continue;
    node->parent = new_parent;
    --old_parent->nlink;
    ++new_parent->nlink;
  }
  from.directory->Replace(name, std::move(target));
  to.directory->Replace(to_name, std::move(source));
}

int Tree::Rename(Node& from, std::string_view name, Node& to,
                 std::string_view to_name, uint32_t flags, Dead* dead) {
  // RENAME_WHITEOUT is not for everybody: only overlayfs wants it.
  if ((flags & ~(kNoReplace | kExchange)) != 0 ||
      flags == (kNoReplace | kExchange)) {
    return EINVAL;
  }
  for (std::string_view checked : {name, to_name}) {
    if (int error = CheckName(checked); error != 0) return error;
  }
  if (!from.IsDirectory() || !to.IsDirectory()) return ENOTDIR;
  std::shared_ptr<Node> source = from.directory->FindShared(name);
  if (source == nullptr) return ENOENT;
  std::shared_ptr<Node> target = to.directory->FindShared(to_name);
  int error = CheckRename(from, *source, to, target.get(), flags);
  if (error != 0) return error;
  if (source == target) return 0;  // two names of one inode: nothing to do

  if ((flags & kExchange) != 0) {
    Exchange(from, name, to, to_name);
  } else {
    if (target != nullptr) {
      to.directory->Replace(to_name, source);
      from.directory->Remove(name);
    } else {
      from.directory->Move(name, *to.directory, to_name);
    }
    if (source->IsDirectory()) {
      source->parent = &to;
      --from.nlink;
      ++to.nlink;
    }
    source->TouchAttributes();
    if (target != nullptr) {
      DropLink(to, *target, dead);
      dead->push_back(std::move(target));
    }
  }
  from.TouchContent();
  to.TouchContent();
  return 0;
}

}  // namespace barefuse::memfs
