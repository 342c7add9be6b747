// Extended attributes.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "fs/passthrough/convert.h"
#include "fs/passthrough/credentials.h"
#include "fs/passthrough/passthrough.h"

namespace barefuse {
namespace {

bool IsAcl(std::string_view name) {
  return name == "system.posix_acl_access" ||
         name == "system.posix_acl_default";
}

// The kernel leaves the rights to other names of this namespace to their
// filesystem, which would ask for ours.
bool IsServed(std::string_view name) {
  return !name.starts_with("system.") || IsAcl(name);
}

// Takes the names of the trusted namespace out of a list. Gives what is left,
// in bytes.
size_t DropTrusted(std::span<std::byte> list) {
  constexpr std::string_view kTrusted = "trusted.";
  size_t left = 0;
  for (size_t at = 0; at < list.size();) {
    const auto* name = reinterpret_cast<const char*>(list.data()) + at;
    const size_t size = strnlen(name, list.size() - at) + 1;
    if (!std::string_view(name, size - 1).starts_with(kTrusted)) {
      memmove(list.data() + left, list.data() + at,
              std::min(size, list.size() - at));
      left += size;
    }
    at += size;
  }
  return std::min(left, list.size());
}

}  // namespace

void Passthrough::Setxattr(const SetxattrRequest& request, EmptyReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  if (!IsServed(request->name)) return std::move(reply).Error(EOPNOTSUPP);
  if (proc_fds_->Setxattr(inode.fd.get(), CName(request->name).c_str(),
                          request->value.data(), request->value.size(),
                          static_cast<int>(request->flags)) != 0) {
    return std::move(reply).Error(errno);
  }
  // An ACL by somebody outside the file's group takes set-group-id away, which
  // the server's own rights have kept.
  if ((request->setxattr_flags & abi::FUSE_SETXATTR_ACL_KILL_SGID) != 0) {
    struct stat info;
    if (fstat(inode.fd.get(), &info) != 0 ||
        ((info.st_mode & S_ISGID) != 0 &&
         proc_fds_->Chmod(inode.fd.get(), info.st_mode & 07777 &
                                              ~static_cast<mode_t>(S_ISGID)) !=
             0)) {
      return std::move(reply).Error(errno);
    }
  }
  std::move(reply).Ok();
}

void Passthrough::Getxattr(const GetxattrRequest& request, XattrReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  if (!IsServed(request->name)) return std::move(reply).Error(EOPNOTSUPP);
  std::span<std::byte> buffer = reply.buffer();
  const ssize_t size =
      proc_fds_->Getxattr(inode.fd.get(), CName(request->name).c_str(),
                          buffer.data(), buffer.size());
  if (size < 0) {
    // To the kernel, which asks for ACLs before it lets anybody in, only this
    // says that there is none.
    const bool no_acls = errno == EOPNOTSUPP && IsAcl(request->name);
    return std::move(reply).Error(no_acls ? ENODATA : errno);
  }
  std::move(reply).Ok(static_cast<size_t>(size));
}

void Passthrough::Listxattr(const ListxattrRequest& request, XattrReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  std::span<std::byte> buffer = reply.buffer();
  ssize_t size = proc_fds_->Listxattr(
      inode.fd.get(), reinterpret_cast<char*>(buffer.data()), buffer.size());
  if (size < 0) return std::move(reply).Error(errno);
  const std::optional<Ids> ids = request.ids();
  // The source has shown us, not the caller, what is root's alone. (The size
  // alone may be told too large, as it may be at any time.)
  if (!buffer.empty() && ids.has_value() && ids->uid != 0) {
    size = static_cast<ssize_t>(
        DropTrusted(buffer.first(static_cast<size_t>(size))));
  }
  std::move(reply).Ok(static_cast<size_t>(size));
}

// Capabilities of a file are taken away by root, or by the kernel. It asks for
// that whenever they are to go, before it has asked whether the caller may do
// what they go with: a chown(2) may be refused. What is not refused (that, or a
// truncation) takes them away in the source by itself; a write has been checked
// by its open.
bool Passthrough::IsAsSideEffect(const std::optional<Ids>& ids,
                                 const Inode& inode) {
  if (!ids.has_value() || ids->uid == 0 || inodes_->IsWritten(inode.node)) {
    return false;
  }
  struct stat info;
  return fstat(inode.fd.get(), &info) == 0 && info.st_uid != ids->uid;
}

void Passthrough::Removexattr(const RemovexattrRequest& request,
                              EmptyReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  if (!IsServed(request->name)) return std::move(reply).Error(EOPNOTSUPP);
  if (request->name == "security.capability" &&
      IsAsSideEffect(request.ids(), inode)) {
    return std::move(reply).Ok();
  }
  // Some filesystems look at the group where a list goes, too.
  std::optional<ScopedKillPriv> kill;
  if (IsAcl(request->name)) {
    kill.emplace(*proc_fds_, request.ids(), inode.fd.get());
  }
  if (proc_fds_->Removexattr(inode.fd.get(), CName(request->name).c_str()) !=
      0) {
    return std::move(reply).Error(errno);
  }
  std::move(reply).Ok();
}

}  // namespace barefuse
