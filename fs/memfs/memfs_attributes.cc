// GETATTR, STATX and SETATTR.
#include <errno.h>

#include <optional>
#include <utility>

#include "fs/memfs/memfs.h"
#include "fs/memfs/open_file.h"
#include "fs/memfs/tree.h"

namespace barefuse {

using memfs::Node;
using memfs::Now;

namespace {

constexpr uint32_t kSecond = 1'000'000'000;
// Bits of `valid` that set nothing themselves.
constexpr uint32_t kHow = abi::FATTR_FH | abi::FATTR_LOCKOWNER;

timespec Time(uint64_t seconds, uint32_t nanoseconds) {
  // Seconds before 1970 are negative, and arrive as large numbers.
  return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
}

// Whether immutable and append-only files forbid it, as the kernel's
// may_setattr and handle_truncate have it.
bool IsForbidden(const Node& node, uint32_t valid) {
  if (node.Immutable()) return true;
  if (!node.AppendOnly()) return false;
  // What the kernel writes back by itself is not for a file to forbid.
  if ((valid & ~kHow) == (abi::FATTR_MTIME | abi::FATTR_CTIME)) return false;
  if ((valid & (abi::FATTR_MODE | abi::FATTR_UID | abi::FATTR_GID |
                abi::FATTR_SIZE)) != 0) {
    return true;
  }
  const bool atime =
      (valid & (abi::FATTR_ATIME | abi::FATTR_ATIME_NOW)) == abi::FATTR_ATIME;
  const bool mtime =
      (valid & (abi::FATTR_MTIME | abi::FATTR_MTIME_NOW)) == abi::FATTR_MTIME;
  return atime || mtime;
}

void ApplyTimes(const abi::fuse_setattr_in& in, uint32_t valid, Node* node) {
  if ((valid & abi::FATTR_ATIME_NOW) != 0) {
    node->atime = Now();
  } else if ((valid & abi::FATTR_ATIME) != 0) {
    node->atime = Time(in.atime, in.atimensec);
  }
  if ((valid & abi::FATTR_MTIME_NOW) != 0) {
    node->mtime = Now();
  } else if ((valid & abi::FATTR_MTIME) != 0) {
    node->mtime = Time(in.mtime, in.mtimensec);
  }
  // The kernel's own time, where it keeps them (FUSE_WRITEBACK_CACHE).
  if ((valid & abi::FATTR_CTIME) != 0) {
    node->ctime = Time(in.ctime, in.ctimensec);
  }
}

void Apply(const abi::fuse_setattr_in& in, Node* node) {
  const uint32_t valid = in.valid & ~kHow;
  // Nothing to set, or no more than the time of the change: that is what
  // remains of a change that takes privileges away, chown(-1, -1) or a write.
  const bool only_privileges = (valid & ~abi::FATTR_CTIME) == 0;
  if (only_privileges || (valid & abi::FATTR_KILL_SUIDGID) != 0 ||
      (valid & (abi::FATTR_SIZE | abi::FATTR_UID | abi::FATTR_GID)) != 0) {
    node->DropPrivileges(only_privileges ||
                         (valid & abi::FATTR_KILL_SUIDGID) != 0);
  }
  if ((valid & abi::FATTR_UID) != 0) node->uid = in.uid;
  if ((valid & abi::FATTR_GID) != 0) node->gid = in.gid;
  if ((valid & abi::FATTR_MODE) != 0) node->Chmod(in.mode);
  if ((valid & abi::FATTR_SIZE) != 0) node->TouchContent();
  node->TouchAttributes();
  ApplyTimes(in, valid, node);
}

}  // namespace

void Memfs::Getattr(const GetattrRequest& request, AttrReply reply) {
  std::optional<abi::fuse_attr_out> out;
  {
    absl::ReaderMutexLock lock(&tree_->mutex);
    std::shared_ptr<Node> node = tree_->Find(request.node());
    if (node != nullptr) out = AttrOut(*node);
  }
  if (!out) return std::move(reply).Error(ESTALE);
  std::move(reply).Ok(*out);
}

void Memfs::Statx(const StatxRequest& request, StatxReply reply) {
  abi::fuse_statx_out out{};
  out.attr_valid = timeout_seconds_;
  out.attr_valid_nsec = timeout_nanoseconds_;
  {
    absl::ReaderMutexLock lock(&tree_->mutex);
    std::shared_ptr<Node> node = tree_->Find(request.node());
    if (node != nullptr) out.stat = node->Statx();
  }
  if (out.stat.mask == 0) return std::move(reply).Error(ESTALE);
  std::move(reply).Ok(out);
}

int Memfs::CheckSetattr(const SetattrRequest& request,
                        std::shared_ptr<Node>* node) const {
  const abi::fuse_setattr_in& in = *request.operator->();
  if (((in.valid & abi::FATTR_ATIME) != 0 && in.atimensec >= kSecond) ||
      ((in.valid & abi::FATTR_MTIME) != 0 && in.mtimensec >= kSecond) ||
      ((in.valid & abi::FATTR_CTIME) != 0 && in.ctimensec >= kSecond)) {
    return EINVAL;
  }
  absl::ReaderMutexLock lock(&tree_->mutex);
  *node = tree_->Find(request.node());
  if (*node == nullptr) return ESTALE;
  if ((in.valid & abi::FATTR_FH) != 0) {
    std::shared_ptr<memfs::OpenFile> file = files_->table.Find(in.fh);
    if (file == nullptr || file->node != *node) return EBADF;
  }
  if (IsForbidden(**node, in.valid)) return EPERM;
  if ((in.valid & abi::FATTR_SIZE) != 0) {
    if ((*node)->IsDirectory()) return EISDIR;
    if (!(*node)->IsRegular()) return EINVAL;
  }
  return 0;
}

void Memfs::Setattr(const SetattrRequest& request, AttrReply reply) {
  std::shared_ptr<Node> node;
  int error = CheckSetattr(request, &node);
  if (error == 0 && (request->valid & abi::FATTR_SIZE) != 0) {
    error = -node->data->Resize(request->size);
  }
  if (error != 0) return std::move(reply).Error(error);
  abi::fuse_attr_out out;
  {
    absl::MutexLock lock(&tree_->mutex);
    Apply(*request, node.get());
    out = AttrOut(*node);
  }
  std::move(reply).Ok(out);
}

}  // namespace barefuse
