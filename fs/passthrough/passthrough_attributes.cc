#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "fs/passthrough/convert.h"
#include "fs/passthrough/credentials.h"
#include "fs/passthrough/open_directory.h"
#include "fs/passthrough/passthrough.h"

namespace barefuse {
namespace {

timespec TimeOf(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds,
                uint32_t nanoseconds) {
  if ((valid & now) != 0) return {0, UTIME_NOW};
  if ((valid & set) == 0) return {0, UTIME_OMIT};
  return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
}

}  // namespace

void Passthrough::Getattr(const GetattrRequest& request, AttrReply reply) {
  abi::fuse_attr_out out;
  int error =
      Attributes(request.node(), request->getattr_flags & abi::FUSE_GETATTR_FH,
                 request->fh, &out);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(out);
}

void Passthrough::Statx(const StatxRequest& request, StatxReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  struct statx info;
  if (statx(inode.fd.get(), "",
            AT_EMPTY_PATH |
                static_cast<int>(request->sx_flags & AT_STATX_SYNC_TYPE),
            request->sx_mask, &info) != 0) {
    return std::move(reply).Error(errno);
  }
  auto time = [](const statx_timestamp& t) {
    return abi::fuse_sx_time{t.tv_sec, t.tv_nsec, 0};
  };
  abi::fuse_statx_out out{};
  if (!ChangesUnseen(request.node())) {
    out.attr_valid = attr_timeout_.seconds;
    out.attr_valid_nsec = attr_timeout_.nanoseconds;
  }
  abi::fuse_statx& stat = out.stat;
  stat.mask = info.stx_mask;
  stat.blksize = info.stx_blksize;
  stat.attributes = info.stx_attributes;
  stat.attributes_mask = info.stx_attributes_mask;
  stat.nlink = info.stx_nlink;
  stat.uid = info.stx_uid;
  stat.gid = info.stx_gid;
  stat.mode = info.stx_mode;
  stat.ino = inodes_->mounts().ShownIno(DeviceOf(info), info.stx_ino);
  stat.size = info.stx_size;
  stat.blocks = info.stx_blocks;
  stat.atime = time(info.stx_atime);
  stat.btime = time(info.stx_btime);
  stat.ctime = time(info.stx_ctime);
  stat.mtime = time(info.stx_mtime);
  stat.rdev_major = info.stx_rdev_major;
  stat.rdev_minor = info.stx_rdev_minor;
  stat.dev_major = info.stx_dev_major;
  stat.dev_minor = info.stx_dev_minor;
  std::move(reply).Ok(out);
}

// A SETATTR of no attribute, of a file that is open for writing: the kernel
// sends it where a write takes privileges away. A passed-through one runs with
// the server's credentials, which keep them.
int Passthrough::KillPrivileges(const SetattrRequest& request,
                                const Inode& inode) {
  const std::optional<Ids> ids = request.ids();
  if (!ids.has_value()) return 0;
  struct statx info;
  if (int error = StatFd(inode.fd.get(), &info)) return error;
  const int fd = inode.fd.get();
  mode_t mode = info.stx_mode & 07777;
  if (ids->uid != 0) {  // whose writes keep the bits
    mode &= ~static_cast<mode_t>(S_ISUID);
    // Without the right to execute it is not the group's program, and its
    // members may leave it so (setattr_should_drop_sgid, Linux 6.2).
    if ((mode & S_ISGID) != 0 &&
        ((mode & S_IXGRP) != 0 || !proc_fds_->IsInGroup(*ids, info.stx_gid))) {
      mode &= ~static_cast<mode_t>(S_ISGID);
    }
  }
  if (mode != (info.stx_mode & 07777) && proc_fds_->Chmod(fd, mode) != 0) {
    return errno;
  }
  if (proc_fds_->Removexattr(fd, "security.capability") != 0 &&
      errno != ENODATA && errno != EOPNOTSUPP) {
    return errno;
  }
  return 0;
}

// The same where nobody writes: chown(2) that changes nothing, which moves the
// time of change, and may take privileges away; from whoever asks, but those
// only from the owner.
int Passthrough::ChangeNothing(const SetattrRequest& request,
                               const Inode& inode) {
  const std::optional<Ids> ids = request.ids();
  const int fd = inode.fd.get();
  if (ids.has_value() && ids->uid != 0 && S_ISREG(inode.type)) {
    struct statx info;
    if (int error = StatFd(fd, &info)) return error;
    if (info.stx_uid != ids->uid && ids->uid != Ids::kUntold &&
        (info.stx_mode & (S_ISUID | S_ISGID)) != 0) {
      return EPERM;
    }
  }
  ScopedKillPriv kill(*proc_fds_, ids, fd);
  constexpr auto kSame = static_cast<uid_t>(-1);
  return fchownat(fd, "", kSame, kSame, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

int Passthrough::Truncate(const SetattrRequest& request, const Inode& inode,
                          const OpenFile* file, bool wait) {
  // Also where the kernel does not say FATTR_KILL_SUIDGID, which is for who has
  // no CAP_FSETID: not before 7.33.
  ScopedKillPriv kill(*proc_fds_, request.ids(), inode.fd.get());
  const off_t size = static_cast<off_t>(request->size);
  if (file != nullptr) {
    return ftruncate(file->fd.get(), size) == 0 ? 0 : errno;
  }
  UniqueFd fd;
  if (int error = OpenInode(inode, O_WRONLY, request.ids(), wait, &fd)) {
    return error;
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return errno;
  // Unlike ftruncate(2), truncate(2) to the size that there is moves no times;
  // but not all filesystems agree.
  const int result = info.st_size == size ? proc_fds_->Truncate(fd.get(), size)
                                          : ftruncate(fd.get(), size);
  return result == 0 ? 0 : errno;
}

int Passthrough::ChangeAttributes(const SetattrRequest& request,
                                  const Inode& inode, const OpenFile* file,
                                  bool wait) {
  const uint32_t valid = request->valid;
  if ((valid & ~(abi::FATTR_FH | abi::FATTR_LOCKOWNER)) == 0) {
    return S_ISREG(inode.type) && inodes_->IsWritten(inode.node)
               ? KillPrivileges(request, inode)
               : ChangeNothing(request, inode);
  }
  // Before the mode, whose bits a change of owner would clear.
  if ((valid & (abi::FATTR_UID | abi::FATTR_GID)) != 0) {
    const uid_t uid =
        (valid & abi::FATTR_UID) != 0 ? request->uid : static_cast<uid_t>(-1);
    const gid_t gid =
        (valid & abi::FATTR_GID) != 0 ? request->gid : static_cast<gid_t>(-1);
    ScopedKillPriv kill(*proc_fds_, request.ids(), inode.fd.get());
    if (fchownat(inode.fd.get(), "", uid, gid, AT_EMPTY_PATH) != 0) {
      return errno;
    }
  }
  if ((valid & abi::FATTR_MODE) != 0) {
    if (proc_fds_->Chmod(inode.fd.get(), request->mode & 07777) != 0) {
      return errno;
    }
  }
  if ((valid & abi::FATTR_SIZE) != 0) {
    if (int error = Truncate(request, inode, file, wait)) return error;
  }
  if ((valid & (abi::FATTR_ATIME | abi::FATTR_MTIME)) != 0) {
    const timespec times[] = {
        TimeOf(valid, abi::FATTR_ATIME, abi::FATTR_ATIME_NOW, request->atime,
               request->atimensec),
        TimeOf(valid, abi::FATTR_MTIME, abi::FATTR_MTIME_NOW, request->mtime,
               request->mtimensec),
    };
    if (utimensat(inode.fd.get(), "", times, AT_EMPTY_PATH) != 0) return errno;
  }
  return 0;
}

void Passthrough::Setattr(const SetattrRequest& request, AttrReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  std::shared_ptr<OpenFile> file;
  const uint32_t has_fh = request->valid & abi::FATTR_FH;
  if (has_fh != 0) {
    file = files_.Find(request->fh);
    if (file == nullptr) return std::move(reply).Error(EBADF);
  }
  int error = ChangeAttributes(request, inode, file.get(), request.may_block());
  if (error == EWOULDBLOCK && !request.may_block()) {
    if (reply.CallAgain()) return;
    error = ChangeAttributes(request, inode, file.get(), true);
  }
  abi::fuse_attr_out out;
  if (error == 0) error = Attributes(request.node(), has_fh, request->fh, &out);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(out);
}

void Passthrough::Access(const AccessRequest& request, EmptyReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  // faccessat(2) of glibc would follow the path by hand; the system call takes
  // the descriptor.
  int result =
      static_cast<int>(syscall(SYS_faccessat2, inode.fd.get(), "",
                               request->mask & 7, AT_EMPTY_PATH | AT_EACCESS));
  if (result != 0) return std::move(reply).Error(errno);
  std::move(reply).Ok();
}

void Passthrough::Statfs(const StatfsRequest& request, StatfsReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  struct statvfs info;
  if (fstatvfs(inode.fd.get(), &info) != 0) {
    return std::move(reply).Error(errno);
  }
  abi::fuse_statfs_out out{};
  out.st.blocks = info.f_blocks;
  out.st.bfree = info.f_bfree;
  out.st.bavail = info.f_bavail;
  out.st.files = info.f_files;
  out.st.ffree = info.f_ffree;
  out.st.bsize = static_cast<uint32_t>(info.f_bsize);
  out.st.namelen = static_cast<uint32_t>(info.f_namemax);
  out.st.frsize = static_cast<uint32_t>(info.f_frsize);
  std::move(reply).Ok(out);
}

void Passthrough::Readlink(const ReadlinkRequest& request, DataReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  if (inode.mount->pseudo && !IsOwn(request.ids())) {
    return std::move(reply).Error(EACCES);
  }
  std::span<std::byte> buffer = reply.buffer();
  ssize_t size =
      readlinkat(inode.fd.get(), "", reinterpret_cast<char*>(buffer.data()),
                 buffer.size());
  if (size < 0) return std::move(reply).Error(errno);
  std::move(reply).Ok(static_cast<size_t>(size));
}

// chattr(1) and lsattr(1), which the kernel has checked the rights for. Any
// other ioctl could do things to the source of which nobody has said that the
// caller may.
void Passthrough::Ioctl(const IoctlRequest& request, IoctlReply reply) {
  switch (request->cmd) {
    case FS_IOC_GETFLAGS:
    case FS_IOC_SETFLAGS:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_FSSETXATTR:
      break;
    default:
      return std::move(reply).Error(ENOTTY);
  }
  // The number says how many bytes go in or out; what lies has been cut.
  alignas(8) char argument[sizeof(fsxattr)] = {};
  const size_t size = _IOC_SIZE(request->cmd) > sizeof argument
                          ? sizeof argument
                          : _IOC_SIZE(request->cmd);
  const bool sets = (_IOC_DIR(request->cmd) & _IOC_WRITE) != 0;
  const size_t least =
      request->cmd == FS_IOC_FSSETXATTR ? sizeof(fsxattr) : sizeof(int);
  if (sets ? request->data.size() < least
           : reply.buffer().size() < sizeof(int)) {
    return std::move(reply).Error(EINVAL);
  }
  // The kernel has compared what the caller may change with what it was told a
  // moment ago; the source compares with what is.
  const std::optional<Ids> ids = request.ids();
  ScopedWithout immutable(CAP_LINUX_IMMUTABLE, ids.has_value() &&
                                                   ids->uid != 0 &&
                                                   ids->uid != Ids::kUntold);
  if (!request->data.empty()) {
    memcpy(argument, request->data.data(),
           std::min(request->data.size(), sizeof argument));
  }
  int result = -1;
  if ((request->flags & abi::FUSE_IOCTL_DIR) != 0) {
    std::shared_ptr<OpenDirectory> directory = directories_.Find(request->fh);
    if (directory == nullptr) return std::move(reply).Error(EBADF);
    absl::MutexLock lock(&directory->mutex);
    result = ioctl(dirfd(directory->stream), request->cmd, argument);
  } else {
    std::shared_ptr<OpenFile> file = files_.Find(request->fh);
    if (file == nullptr) return std::move(reply).Error(EBADF);
    result = ioctl(file->fd.get(), request->cmd, argument);
  }
  if (result < 0) return std::move(reply).Error(errno);
  // The time of change has moved, which nobody tells the kernel.
  if (sets) request.connection().notifier()->InvalInode(request.node(), -1, 0);
  // Of FS_IOC_GETFLAGS only an int, whatever its number says (it says long).
  const size_t out = sets ? 0 : std::min(size, reply.buffer().size());
  if (out != 0) memcpy(reply.buffer().data(), argument, out);
  std::move(reply).Ok(result, out);
}

}  // namespace barefuse
