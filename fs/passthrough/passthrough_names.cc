// Creating and removing names.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "fs/passthrough/convert.h"
#include "fs/passthrough/credentials.h"
#include "fs/passthrough/passthrough.h"

namespace barefuse {
namespace {

int Result(int value) { return value == 0 ? 0 : errno; }

}  // namespace

// A default ACL takes the umask's place. Where the kernel leaves the umask to
// us, it is applied here: a thread has none of its own.
mode_t Passthrough::CreationMode(const Inode& parent, uint32_t mode,
                                 uint32_t umask) const {
  if (!terms_.Has(abi::FUSE_DONT_MASK) || umask == 0) return mode;
  const bool has_acl =
      proc_fds_->Getxattr(parent.fd.get(), "system.posix_acl_default", nullptr,
                          0) > 0;
  return has_acl ? mode : mode & ~umask;
}

// The end of every creation: `error` of the system call, or the new entry.
void Passthrough::AnswerCreation(int error, const Inode& parent,
                                 std::string_view name, EntryReply reply) {
  abi::fuse_entry_out entry;
  if (error == 0)
    error = LookupName(parent.node, parent.fd.get(), name, &entry);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Passthrough::Symlink(const SymlinkRequest& request, EntryReply reply) {
  Inode parent;
  if (int error = OpenParent(request.node(), request->name, &parent)) {
    return std::move(reply).Error(error);
  }
  int error = 0;
  {
    ScopedIds ids(request.ids(), GroupOf(request->extensions));
    error =
        !ids.ok()
            ? EINVAL
            : Result(symlinkat(CName(request->target).c_str(), parent.fd.get(),
                               CName(request->name).c_str()));
  }
  AnswerCreation(error, parent, request->name, std::move(reply));
}

void Passthrough::Mknod(const MknodRequest& request, EntryReply reply) {
  Inode parent;
  if (int error = OpenParent(request.node(), request->name, &parent)) {
    return std::move(reply).Error(error);
  }
  const mode_t mode = CreationMode(parent, request->mode, request->umask);
  int error = 0;
  {
    ScopedIds ids(request.ids(), GroupOf(request->extensions));
    error = !ids.ok()
                ? EINVAL
                : Result(mknodat(parent.fd.get(), CName(request->name).c_str(),
                                 mode, request->rdev));
  }
  AnswerCreation(error, parent, request->name, std::move(reply));
}

void Passthrough::Mkdir(const MkdirRequest& request, EntryReply reply) {
  Inode parent;
  if (int error = OpenParent(request.node(), request->name, &parent)) {
    return std::move(reply).Error(error);
  }
  const mode_t mode = CreationMode(parent, request->mode, request->umask);
  int error = 0;
  {
    ScopedIds ids(request.ids(), GroupOf(request->extensions));
    error = !ids.ok() ? EINVAL
                      : Result(mkdirat(parent.fd.get(),
                                       CName(request->name).c_str(), mode));
  }
  AnswerCreation(error, parent, request->name, std::move(reply));
}

void Passthrough::Link(const LinkRequest& request, EntryReply reply) {
  Inode inode;
  Inode parent;
  int error = inodes_->Open(request->oldnodeid, &inode);
  if (error == 0) error = OpenParent(request.node(), request->name, &parent);
  if (error != 0) return std::move(reply).Error(error);
  error = Result(proc_fds_->Link(inode.fd.get(), parent.fd.get(),
                                 CName(request->name).c_str()));
  AnswerCreation(error, parent, request->name, std::move(reply));
}

// What a name stands for, before it is taken away. Without a name it may not be
// found by its handle any more, though the kernel goes on using it: who has it
// open by O_PATH, or as the working directory, asks for its attributes.
class Passthrough::Victim {
 public:
  Victim(InodeTable* inodes, const Inode& parent, std::string_view name)
      : inodes_(inodes) {
    UniqueFd fd(openat(parent.fd.get(), CName(name).c_str(),
                       O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return;
    fd_ = PathFd(std::move(fd));
    struct statx info {};
    node_ = inodes_->Peek(fd_, NameKey(parent.node, name), &info);
    if (!S_ISDIR(info.stx_mode) && info.stx_nlink > 1) node_ = 0;
  }
  // It is gone.
  void Pin() {
    if (node_ != 0) inodes_->Pin(node_, fd_);
  }

 private:
  InodeTable* inodes_;
  PathFd fd_;
  NodeId node_ = 0;
};

int Passthrough::RemoveName(NodeId node, std::string_view name, int flags) {
  Inode parent;
  if (int error = OpenParent(node, name, &parent)) return error;
  Victim victim(inodes_.get(), parent, name);
  if (unlinkat(parent.fd.get(), CName(name).c_str(), flags) != 0) return errno;
  victim.Pin();
  return 0;
}

void Passthrough::Unlink(const UnlinkRequest& request, EmptyReply reply) {
  int error = RemoveName(request.node(), request->name, 0);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Passthrough::Rmdir(const RmdirRequest& request, EmptyReply reply) {
  int error = RemoveName(request.node(), request->name, AT_REMOVEDIR);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

int Passthrough::RenameName(const std::optional<Ids>& ids, NodeId from,
                            std::string_view old_name, NodeId to,
                            std::string_view new_name, uint32_t flags) {
  Inode old_parent;
  Inode new_parent;
  if (int error = OpenParent(from, old_name, &old_parent)) return error;
  if (int error = OpenParent(to, new_name, &new_parent)) return error;
  Victim victim(inodes_.get(), new_parent, new_name);
  std::optional<ScopedIds> as_caller;  // whose the whiteout is to be
  if ((flags & RENAME_WHITEOUT) != 0) {
    as_caller.emplace(ids);
    if (!as_caller->ok()) return EINVAL;
  }
  if (renameat2(old_parent.fd.get(), CName(old_name).c_str(),
                new_parent.fd.get(), CName(new_name).c_str(), flags) != 0) {
    return errno;
  }
  if ((flags & RENAME_EXCHANGE) == 0) victim.Pin();
  return 0;
}

void Passthrough::Rename(const RenameRequest& request, EmptyReply reply) {
  int error = RenameName(request.ids(), request.node(), request->old_name,
                         request->newdir, request->new_name, 0);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Passthrough::Rename2(const Rename2Request& request, EmptyReply reply) {
  int error = RenameName(request.ids(), request.node(), request->old_name,
                         request->newdir, request->new_name, request->flags);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

}  // namespace barefuse
