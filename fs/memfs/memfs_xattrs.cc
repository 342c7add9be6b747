// Extended attributes, access lists among them.
#include <errno.h>
#include <sys/xattr.h>

#include <string>
#include <utility>

#include "fs/memfs/memfs.h"
#include "fs/memfs/tree.h"

namespace barefuse {

using memfs::Acl;
using memfs::Dead;
using memfs::Node;
using memfs::Xattrs;

namespace {

constexpr std::string_view kAccessAcl = "system.posix_acl_access";
constexpr std::string_view kDefaultAcl = "system.posix_acl_default";

// Namespaces that are plain values here. Who may use which the kernel checks.
bool IsPlain(std::string_view name) {
  return name.starts_with("user.") || name.starts_with("trusted.") ||
         name.starts_with("security.");
}

bool IsAcl(std::string_view name) {
  return name == kAccessAcl || name == kDefaultAcl;
}

std::optional<Acl> Node::*Place(std::string_view name) {
  return name == kAccessAcl ? &Node::access_acl : &Node::default_acl;
}

}  // namespace

// Under the tree's lock.
int Memfs::SetAcl(Node& node, std::string_view name, std::string_view value,
                  uint32_t setxattr_flags) {
  if (node.IsSymlink()) return EOPNOTSUPP;
  if (value.size() > Xattrs::kValueMax) return E2BIG;
  bool is_empty = false;
  std::optional<Acl> acl = Acl::Parse(value, &is_empty);
  if (!acl && !is_empty) return EINVAL;
  if (name == kDefaultAcl) {
    if (!node.IsDirectory()) return is_empty ? 0 : EACCES;
    return node.SetAcl(&Node::default_acl, std::move(acl)) ? 0 : ENOSPC;
  }
  uint32_t mode = node.mode;
  if (acl) {
    // What the list says of owner, group and others is the mode, and a list
    // that says no more is no list.
    mode = (mode & ~0777u) | acl->Mode();
    if (acl->EqualsMode()) acl.reset();
  }
  if ((setxattr_flags & abi::FUSE_SETXATTR_ACL_KILL_SGID) != 0) {
    mode &= ~uint32_t{S_ISGID};
  }
  if (!node.SetAcl(&Node::access_acl, std::move(acl))) return ENOSPC;
  node.mode = mode;
  return 0;
}

int Memfs::SetXattr(const SetxattrRequest& request) {
  const std::string_view name = request->name;
  const std::string_view value(
      reinterpret_cast<const char*>(request->value.data()),
      request->value.size());
  absl::MutexLock lock(&tree_->mutex);
  std::shared_ptr<Node> node = tree_->Find(request.node());
  if (node == nullptr) return ESTALE;
  if (node->Immutable() || node->AppendOnly()) return EPERM;
  int error = EOPNOTSUPP;
  if (IsPlain(name)) {
    error = node->xattrs.Set(name, value, request->flags);
  } else if (IsAcl(name)) {
    error = SetAcl(*node, name, value, request->setxattr_flags);
  }
  if (error == 0) node->TouchAttributes();
  return error;
}

void Memfs::Setxattr(const SetxattrRequest& request, EmptyReply reply) {
  int error = SetXattr(request);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

int Memfs::GetXattr(NodeId id, std::string_view name,
                    std::string* value) const {
  absl::ReaderMutexLock lock(&tree_->mutex);
  std::shared_ptr<Node> node = tree_->Find(id);
  if (node == nullptr) return ESTALE;
  if (IsAcl(name)) {
    const std::optional<Acl>& acl = (*node).*Place(name);
    if (!acl) return node->IsSymlink() ? EOPNOTSUPP : ENODATA;
    *value = acl->Value();
    return 0;
  }
  if (!IsPlain(name)) return EOPNOTSUPP;
  const std::string* found = node->xattrs.Find(name);
  if (found == nullptr) return ENODATA;
  *value = *found;
  return 0;
}

void Memfs::Getxattr(const GetxattrRequest& request, XattrReply reply) {
  std::string value;
  int error = GetXattr(request.node(), request->name, &value);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).OkCopy(value);
}

void Memfs::Listxattr(const ListxattrRequest& request, XattrReply reply) {
  const bool trusted = request.ids().value_or(Ids{}).uid == 0;
  std::string list;
  {
    absl::ReaderMutexLock lock(&tree_->mutex);
    std::shared_ptr<Node> node = tree_->Find(request.node());
    if (node == nullptr) return std::move(reply).Error(ESTALE);
    list = node->xattrs.List(trusted);
    for (std::string_view name : {kAccessAcl, kDefaultAcl}) {
      if ((*node).*Place(name)) list.append(name).push_back('\0');
    }
  }
  std::move(reply).OkCopy(list);
}

void Memfs::Removexattr(const RemovexattrRequest& request, EmptyReply reply) {
  const std::string_view name = request->name;
  int error = EOPNOTSUPP;
  {
    absl::MutexLock lock(&tree_->mutex);
    std::shared_ptr<Node> node = tree_->Find(request.node());
    if (node == nullptr) {
      error = ESTALE;
    } else if (node->Immutable() || node->AppendOnly()) {
      error = EPERM;
    } else if (IsPlain(name)) {
      error = node->xattrs.Remove(name);
    } else if (IsAcl(name)) {
      // There is always an access list: the mode. setfacl -b removes what is
      // not there, and must not fail.
      node->SetAcl(Place(name), std::nullopt);
      error = 0;
    }
    if (error == 0) node->TouchAttributes();
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

}  // namespace barefuse
