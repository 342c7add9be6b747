// Names: finding, creating and removing them.
#include <errno.h>
#include <fcntl.h>

#include <utility>

#include "fs/memfs/memfs.h"
#include "fs/memfs/open_file.h"
#include "fs/memfs/tree.h"
#include "proto/extensions.h"

namespace barefuse {

using memfs::Dead;
using memfs::Node;
using memfs::Tree;

// What a new inode is to be. Views are those of the request.
struct Memfs::Creation {
  NodeId parent = 0;
  std::string_view name{};  // empty: none, O_TMPFILE
  uint32_t mode = 0;        // with the type
  uint32_t umask = 0;
  uint32_t rdev = 0;
  std::string_view target{};  // of a symbolic link
  proto::Extensions extensions{};
  Ids ids{};
};

namespace {

// Whether the caller belongs to a group, as far as the request tells: the
// kernel sends the directory's group where it does.
bool InGroup(const Ids& ids, const proto::Extensions& extensions,
             uint32_t group) {
  if (ids.gid == group) return true;
  proto::ExtensionReader reader(extensions);
  while (reader.Next()) {
    if (reader.kind() != proto::ExtensionReader::Kind::kGroups) continue;
    for (size_t i = 0; i < reader.groups().size(); ++i) {
      if (reader.groups()[i] == group) return true;
    }
  }
  return false;
}

}  // namespace

// --- Lookup ---

int Memfs::LookupName(NodeId parent_id, std::string_view name,
                      abi::fuse_entry_out* entry) {
  absl::ReaderMutexLock lock(&tree_->mutex);
  std::shared_ptr<Node> parent = tree_->Find(parent_id);
  if (parent == nullptr) return ESTALE;
  // For whoever opens a file by its handle (FUSE_EXPORT_SUPPORT). "." may be
  // asked of anything.
  if (name == ".") {
    // The kernel may not have given back its lookups of a removed file yet.
    if (parent->nlink == 0 && parent->opens.load() == 0) return ESTALE;
    *entry = TakeEntry(*parent);
    return 0;
  }
  if (!parent->IsDirectory()) return ENOTDIR;
  if (name == "..") {
    if (parent->parent == nullptr) return ESTALE;
    *entry = TakeEntry(*parent->parent);
    return 0;
  }
  if (int error = Tree::CheckName(name); error != 0) return error;
  Node* node = parent->directory->Find(name);
  // Nodeid 0 lets the kernel remember that there is nothing.
  *entry = node == nullptr ? NoEntry() : TakeEntry(*node);
  return node == nullptr && options_.timeout == absl::ZeroDuration() ? ENOENT
                                                                     : 0;
}

void Memfs::Lookup(const LookupRequest& request, EntryReply reply) {
  abi::fuse_entry_out entry{};
  int error = LookupName(request.node(), request->name, &entry);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

// --- Creating ---

// Owner, permissions and access lists of a new node.
int Memfs::InheritFrom(const Node& parent, const Creation& creation,
                       Node* node) const {
  uint32_t mode = creation.mode & 07777;
  node->uid = creation.ids.uid;
  node->gid = creation.ids.gid;
  node->rdev = creation.rdev;
  if ((parent.mode & S_ISGID) != 0) {
    node->gid = parent.gid;
    if (node->IsDirectory()) {
      mode |= S_ISGID;
    } else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
               creation.ids.uid != 0 &&
               !InGroup(creation.ids, creation.extensions, parent.gid)) {
      // Nobody makes programs for a group that they do not belong to.
      mode &= ~uint32_t{S_ISGID};
    }
  }
  if (node->IsSymlink()) {
    mode = 0777;
  } else if (parent.default_acl) {
    // The default list takes the place of the umask.
    memfs::Acl acl = *parent.default_acl;
    acl.LimitTo(mode);
    mode = (mode & ~0777u) | acl.Mode();
    if ((!acl.EqualsMode() &&
         !node->SetAcl(&Node::access_acl, std::move(acl))) ||
        (node->IsDirectory() &&
         !node->SetAcl(&Node::default_acl, parent.default_acl))) {
      return ENOSPC;
    }
  } else {
    mode &= ~(creation.umask & 0777);
  }
  node->mode = (node->mode & S_IFMT) | mode;
  if (!space_->Take(creation.target.size())) return ENOSPC;
  node->target = creation.target;
  return 0;
}

int Memfs::CreateNode(const Creation& creation, abi::fuse_entry_out* entry,
                      std::shared_ptr<Node>* created) {
  const uint32_t type = creation.mode & S_IFMT;
  if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK &&
      type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR &&
      type != S_IFBLK) {
    return EINVAL;
  }
  const bool unnamed = creation.name.empty();
  if (!unnamed) {
    if (int error = Tree::CheckName(creation.name); error != 0) return error;
  }
  Dead dead;
  absl::MutexLock lock(&tree_->mutex);
  std::shared_ptr<Node> parent = tree_->Find(creation.parent);
  if (parent == nullptr) return ESTALE;
  int error = Tree::CheckAdd(*parent);
  if (error != 0) return error;
  if (!unnamed && parent->directory->Find(creation.name) != nullptr) {
    return EEXIST;
  }
  if (type == S_IFDIR && parent->nlink >= Tree::kLinkMax) return EMLINK;
  std::shared_ptr<Node> node = tree_->NewNode(type);
  if (node == nullptr) return ENOSPC;
  error = InheritFrom(*parent, creation, node.get());
  if (error == 0 && !unnamed) {
    error = tree_->AddName(*parent, creation.name, node);
  }
  if (error != 0) {
    tree_->Settle(*node, &dead);
    return error;
  }
  *entry = TakeEntry(*node);
  if (created != nullptr) *created = std::move(node);
  return 0;
}

void Memfs::Mknod(const MknodRequest& request, EntryReply reply) {
  abi::fuse_entry_out entry{};
  // A mode without a type is a regular file's, as for mknod(2).
  uint32_t mode = request->mode;
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  int error = (mode & S_IFMT) == S_IFDIR || (mode & S_IFMT) == S_IFLNK
                  ? EPERM
                  : CreateNode({.parent = request.node(),
                                .name = request->name,
                                .mode = mode,
                                .umask = request->umask,
                                .rdev = request->rdev,
                                .extensions = request->extensions,
                                .ids = request.ids().value_or(Ids{})},
                               &entry, nullptr);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Memfs::Mkdir(const MkdirRequest& request, EntryReply reply) {
  abi::fuse_entry_out entry{};
  int error = CreateNode({.parent = request.node(),
                          .name = request->name,
                          .mode = S_IFDIR | (request->mode & 07777),
                          .umask = request->umask,
                          .extensions = request->extensions,
                          .ids = request.ids().value_or(Ids{})},
                         &entry, nullptr);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Memfs::Symlink(const SymlinkRequest& request, EntryReply reply) {
  if (request->target.empty()) return std::move(reply).Error(ENOENT);
  if (request->target.size() > Tree::kTargetMax) {
    return std::move(reply).Error(ENAMETOOLONG);
  }
  abi::fuse_entry_out entry{};
  int error = CreateNode({.parent = request.node(),
                          .name = request->name,
                          .mode = S_IFLNK | 0777,
                          .target = request->target,
                          .extensions = request->extensions,
                          .ids = request.ids().value_or(Ids{})},
                         &entry, nullptr);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Memfs::Readlink(const ReadlinkRequest& request, DataReply reply) {
  std::shared_ptr<Node> node = Find(request.node());
  if (node == nullptr) return std::move(reply).Error(ESTALE);
  if (!node->IsSymlink()) return std::move(reply).Error(EINVAL);
  // The target never changes.
  std::move(reply).OkCopy(node->target);
}

void Memfs::Create(const CreateRequest& request, CreateReply reply) {
  abi::fuse_entry_out entry{};
  std::shared_ptr<Node> node;
  int error = CreateNode({.parent = request.node(),
                          .name = request->name,
                          .mode = S_IFREG | (request->mode & 07777),
                          .umask = request->umask,
                          .extensions = request->extensions,
                          .ids = request.ids().value_or(Ids{})},
                         &entry, &node);
  // The kernel has not looked up what is there, so it has not checked whether
  // the caller may open it. At ESTALE it does both.
  if (error == EEXIST && (request->flags & O_EXCL) == 0) error = ESTALE;
  if (error != 0) return std::move(reply).Error(error);
  SetOpenFlags(&reply);
  std::move(reply).Ok(entry, AddOpenFile(std::move(node), request->flags));
}

void Memfs::Tmpfile(const TmpfileRequest& request, CreateReply reply) {
  abi::fuse_entry_out entry{};
  std::shared_ptr<Node> node;
  int error = CreateNode({.parent = request.node(),
                          .mode = S_IFREG | (request->mode & 07777),
                          .umask = request->umask,
                          .extensions = request->extensions,
                          .ids = request.ids().value_or(Ids{})},
                         &entry, &node);
  if (error != 0) return std::move(reply).Error(error);
  {
    absl::MutexLock lock(&tree_->mutex);
    node->linkable = (request->flags & O_EXCL) == 0;
  }
  SetOpenFlags(&reply);
  std::move(reply).Ok(entry, AddOpenFile(std::move(node), request->flags));
}

int Memfs::LinkNode(NodeId id, NodeId parent_id, std::string_view name,
                    abi::fuse_entry_out* entry) {
  if (int error = Tree::CheckName(name); error != 0) return error;
  absl::MutexLock lock(&tree_->mutex);
  std::shared_ptr<Node> node = tree_->Find(id);
  std::shared_ptr<Node> parent = tree_->Find(parent_id);
  if (node == nullptr || parent == nullptr) return ESTALE;
  if (int error = Tree::CheckAdd(*parent); error != 0) return error;
  if (parent->directory->Find(name) != nullptr) return EEXIST;
  if (node->IsDirectory() || node->Immutable() || node->AppendOnly()) {
    return EPERM;
  }
  if (node->nlink == 0 && !node->linkable) return ENOENT;
  if (node->nlink >= Tree::kLinkMax) return EMLINK;
  if (int error = tree_->AddName(*parent, name, node); error != 0) {
    return error;
  }
  *entry = TakeEntry(*node);
  return 0;
}

void Memfs::Link(const LinkRequest& request, EntryReply reply) {
  abi::fuse_entry_out entry{};
  int error =
      LinkNode(request->oldnodeid, request.node(), request->name, &entry);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

// --- Removing and renaming ---

int Memfs::RemoveEntry(NodeId parent_id, std::string_view name,
                       bool directory) {
  if (int error = Tree::CheckName(name); error != 0) return error;
  Dead dead;
  absl::MutexLock lock(&tree_->mutex);
  std::shared_ptr<Node> parent = tree_->Find(parent_id);
  if (parent == nullptr) return ESTALE;
  if (!parent->IsDirectory()) return ENOTDIR;
  Node* node = parent->directory->Find(name);
  if (node == nullptr) return ENOENT;
  if (int error = Tree::CheckRemove(*parent, *node); error != 0) return error;
  if (directory && !node->IsDirectory()) return ENOTDIR;
  if (!directory && node->IsDirectory()) return EISDIR;
  if (directory && !node->directory->empty()) return ENOTEMPTY;
  tree_->RemoveName(*parent, name, &dead);
  return 0;
}

void Memfs::Unlink(const UnlinkRequest& request, EmptyReply reply) {
  int error = RemoveEntry(request.node(), request->name, /*directory=*/false);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Memfs::Rmdir(const RmdirRequest& request, EmptyReply reply) {
  int error = RemoveEntry(request.node(), request->name, /*directory=*/true);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

int Memfs::RenameEntry(NodeId from_id, std::string_view name, NodeId to_id,
                       std::string_view to_name, uint32_t flags) {
  Dead dead;
  absl::MutexLock lock(&tree_->mutex);
  std::shared_ptr<Node> from = tree_->Find(from_id);
  std::shared_ptr<Node> to = tree_->Find(to_id);
  if (from == nullptr || to == nullptr) return ESTALE;
  return tree_->Rename(*from, name, *to, to_name, flags, &dead);
}

void Memfs::Rename(const RenameRequest& request, EmptyReply reply) {
  int error = RenameEntry(request.node(), request->old_name, request->newdir,
                          request->new_name, 0);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Memfs::Rename2(const Rename2Request& request, EmptyReply reply) {
  int error = RenameEntry(request.node(), request->old_name, request->newdir,
                          request->new_name, request->flags);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

}  // namespace barefuse
