// Names and attributes. Files are in passthrough_files.cc, directories in
// passthrough_directories.cc.
#include "fs/passthrough/passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "fs/passthrough/convert.h"
#include "fs/passthrough/credentials.h"
#include "fs/passthrough/open_directory.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

int Result(int value) { return value == 0 ? 0 : errno; }

timespec TimeOf(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds,
                uint32_t nanoseconds) {
  if ((valid & now) != 0) return {0, UTIME_NOW};
  if ((valid & set) == 0) return {0, UTIME_OMIT};
  return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
}

}  // namespace

absl::StatusOr<std::shared_ptr<Passthrough>> Passthrough::Create(
    PassthroughOptions options) {
  UniqueFd source(
      open(options.source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat info;
  if (!source || fstat(source.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("source ", options.source));
  }
  UniqueFd proc_fds(open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc_fds) {
    return ErrnoStatus(errno, "/proc/self/fd (is /proc mounted?)");
  }
  return std::shared_ptr<Passthrough>(new Passthrough(
      std::move(options), std::move(source), info, std::move(proc_fds)));
}

Passthrough::Passthrough(PassthroughOptions options, UniqueFd source,
                         const struct stat& info, UniqueFd proc_fds)
    : options_(std::move(options)),
      timeout_seconds_(
          static_cast<uint64_t>(absl::ToInt64Seconds(options_.timeout))),
      timeout_nanoseconds_(static_cast<uint32_t>(
          absl::ToInt64Nanoseconds(options_.timeout % absl::Seconds(1)))),
      proc_fds_(std::move(proc_fds)),
      inodes_(std::move(source), info) {}

uint64_t Passthrough::WantedCapabilities() const {
  // HANDLE_KILLPRIV_V2: without it every small write costs a GETXATTR.
  return FileSystem::WantedCapabilities() | abi::FUSE_DO_READDIRPLUS |
         abi::FUSE_READDIRPLUS_AUTO | abi::FUSE_HANDLE_KILLPRIV_V2 |
         abi::FUSE_DIRECT_IO_ALLOW_MMAP |
         (options_.passthrough ? abi::FUSE_PASSTHROUGH : 0);
}

// What waits for the disk as a rule, and not as an exception.
Execution Passthrough::ExecutionOf(uint32_t opcode) const {
  switch (opcode) {
    case abi::FUSE_FSYNC:
    case abi::FUSE_FSYNCDIR:
    case abi::FUSE_FALLOCATE:
    case abi::FUSE_COPY_FILE_RANGE:
    case abi::FUSE_COPY_FILE_RANGE_64:
      return Execution::kBlocking;
  }
  return Execution::kWorker;
}

void Passthrough::Init(Connection& connection) {
  if (!options_.passthrough) return;
  if (connection.terms().Has(abi::FUSE_PASSTHROUGH)) {
    return ProbeBacking(connection);
  }
  said_why_not_.store(true, std::memory_order_relaxed);
  std::string_view why =
      proto::VerdictText(connection.terms().VerdictOf(abi::FUSE_PASSTHROUGH));
  connection.Log(LogLevel::kInfo,
                 absl::StrCat("no passthrough, reads and writes go through "
                              "the server: ",
                              absl::string_view(why.data(), why.size()),
                              " (it needs Linux 6.9)"));
}

// Whether files of the source can be backing files shows with the first one. An
// unnamed file tells it now, while somebody may still be at the terminal; where
// the source takes none, the first open will say it.
void Passthrough::ProbeBacking(Connection& connection) {
  const std::shared_ptr<Inode> root = inodes_.Find(abi::FUSE_ROOT_ID);
  UniqueFd file(
      openat(root->fd.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) return;
  absl::StatusOr<BackingFile> backing = OpenBacking(connection, file.get());
  if (!backing.ok()) SayOnce(connection, backing.status());
}

void Passthrough::SetTimeout(abi::fuse_entry_out* entry) const {
  entry->entry_valid = entry->attr_valid = timeout_seconds_;
  entry->entry_valid_nsec = entry->attr_valid_nsec = timeout_nanoseconds_;
}

// --- Lookup ---

int Passthrough::LookupFd(UniqueFd fd, abi::fuse_entry_out* entry,
                          std::shared_ptr<Inode>* inode) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return errno;
  std::shared_ptr<Inode> found = inodes_.Lookup(std::move(fd), info);
  *entry = abi::fuse_entry_out{};
  entry->nodeid = found->node;
  entry->attr = ToAttr(info);
  SetTimeout(entry);
  if (inode != nullptr) *inode = std::move(found);
  return 0;
}

int Passthrough::LookupName(const Inode& parent, std::string_view name,
                            abi::fuse_entry_out* entry,
                            std::shared_ptr<Inode>* inode) {
  // The kernel resolves these itself; from anybody else ".." could lead out of
  // the source.
  if (name == "." || name == "..") return EINVAL;
  UniqueFd fd(openat(parent.fd.get(), CName(name).c_str(),
                     O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno;
  return LookupFd(std::move(fd), entry, inode);
}

void Passthrough::Lookup(const LookupRequest& request, EntryReply reply) {
  std::shared_ptr<Inode> parent = inodes_.Find(request.node());
  if (parent == nullptr) return std::move(reply).Error(ESTALE);
  abi::fuse_entry_out entry{};
  int error = LookupName(*parent, request->name, &entry, nullptr);
  if (error == ENOENT && options_.timeout > absl::ZeroDuration()) {
    // Nodeid 0 lets the kernel remember that there is nothing.
    SetTimeout(&entry);
    error = 0;
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Passthrough::Forget(NodeId node, uint64_t lookups) {
  inodes_.Forget(node, lookups);
}

// --- Attributes ---

int Passthrough::Attributes(NodeId node, uint32_t has_fh, uint64_t fh,
                            abi::fuse_attr_out* out) {
  struct stat info;
  std::shared_ptr<OpenFile> file = has_fh ? files_.Find(fh) : nullptr;
  if (file != nullptr) {
    if (fstat(file->fd.get(), &info) != 0) return errno;
  } else {
    std::shared_ptr<Inode> inode = inodes_.Find(node);
    if (inode == nullptr) return ESTALE;
    if (fstat(inode->fd.get(), &info) != 0) return errno;
  }
  *out = abi::fuse_attr_out{};
  out->attr_valid = timeout_seconds_;
  out->attr_valid_nsec = timeout_nanoseconds_;
  out->attr = ToAttr(info);
  return 0;
}

void Passthrough::Getattr(const GetattrRequest& request, AttrReply reply) {
  abi::fuse_attr_out out;
  int error =
      Attributes(request.node(), request->getattr_flags & abi::FUSE_GETATTR_FH,
                 request->fh, &out);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(out);
}

void Passthrough::Statx(const StatxRequest& request, StatxReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  struct statx info;
  if (statx(inode->fd.get(), "",
            AT_EMPTY_PATH |
                static_cast<int>(request->sx_flags & AT_STATX_SYNC_TYPE),
            request->sx_mask, &info) != 0) {
    return std::move(reply).Error(errno);
  }
  auto time = [](const statx_timestamp& t) {
    return abi::fuse_sx_time{t.tv_sec, t.tv_nsec, 0};
  };
  abi::fuse_statx_out out{};
  out.attr_valid = timeout_seconds_;
  out.attr_valid_nsec = timeout_nanoseconds_;
  abi::fuse_statx& stat = out.stat;
  stat.mask = info.stx_mask;
  stat.blksize = info.stx_blksize;
  stat.attributes = info.stx_attributes;
  stat.attributes_mask = info.stx_attributes_mask;
  stat.nlink = info.stx_nlink;
  stat.uid = info.stx_uid;
  stat.gid = info.stx_gid;
  stat.mode = info.stx_mode;
  stat.ino = info.stx_ino;
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

int Passthrough::ChangeAttributes(const SetattrRequest& request,
                                  const Inode& inode, const OpenFile* file) {
  const uint32_t valid = request->valid;
  const FdName name(inode.fd.get());
  // Before the mode, whose bits a change of owner would clear.
  if ((valid & (abi::FATTR_UID | abi::FATTR_GID)) != 0) {
    const uid_t uid =
        (valid & abi::FATTR_UID) != 0 ? request->uid : static_cast<uid_t>(-1);
    const gid_t gid =
        (valid & abi::FATTR_GID) != 0 ? request->gid : static_cast<gid_t>(-1);
    if (fchownat(inode.fd.get(), "", uid, gid, AT_EMPTY_PATH) != 0) {
      return errno;
    }
  }
  if ((valid & abi::FATTR_MODE) != 0) {
    if (chmod(name.path(), request->mode & 07777) != 0) return errno;
  }
  if ((valid & abi::FATTR_SIZE) != 0) {
    ScopedNoFsetid kill_suid((valid & abi::FATTR_KILL_SUIDGID) != 0);
    const off_t size = static_cast<off_t>(request->size);
    if (file != nullptr) {
      if (ftruncate(file->fd.get(), size) != 0) return errno;
    } else {
      UniqueFd fd;
      if (int error = OpenInode(inode, O_WRONLY, &fd)) return error;
      if (ftruncate(fd.get(), size) != 0) return errno;
    }
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
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  std::shared_ptr<OpenFile> file;
  const uint32_t has_fh = request->valid & abi::FATTR_FH;
  if (has_fh != 0) {
    file = files_.Find(request->fh);
    if (file == nullptr) return std::move(reply).Error(EBADF);
  }
  int error = ChangeAttributes(request, *inode, file.get());
  abi::fuse_attr_out out;
  if (error == 0) error = Attributes(request.node(), has_fh, request->fh, &out);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(out);
}

void Passthrough::Access(const AccessRequest& request, EmptyReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  // faccessat(2) of glibc would follow the path by hand; the system call takes
  // the descriptor.
  int result =
      static_cast<int>(syscall(SYS_faccessat2, inode->fd.get(), "",
                               request->mask & 7, AT_EMPTY_PATH | AT_EACCESS));
  if (result != 0) return std::move(reply).Error(errno);
  std::move(reply).Ok();
}

void Passthrough::Statfs(const StatfsRequest& request, StatfsReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  struct statvfs info;
  if (fstatvfs(inode->fd.get(), &info) != 0) {
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
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  std::span<std::byte> buffer = reply.buffer();
  ssize_t size =
      readlinkat(inode->fd.get(), "", reinterpret_cast<char*>(buffer.data()),
                 buffer.size());
  if (size < 0) return std::move(reply).Error(errno);
  std::move(reply).Ok(static_cast<size_t>(size));
}

// --- Creating and removing names ---

// The end of every creation: `error` of the system call, or the new entry.
int Passthrough::CreatedEntry(int error, NodeId parent, std::string_view name,
                              abi::fuse_entry_out* entry) {
  if (error != 0) return error;
  std::shared_ptr<Inode> inode = inodes_.Find(parent);
  if (inode == nullptr) return ESTALE;
  return LookupName(*inode, name, entry, nullptr);
}

void Passthrough::Symlink(const SymlinkRequest& request, EntryReply reply) {
  std::shared_ptr<Inode> parent = inodes_.Find(request.node());
  if (parent == nullptr) return std::move(reply).Error(ESTALE);
  int error = 0;
  {
    ScopedIds ids(request.ids());
    error = Result(symlinkat(CName(request->target).c_str(), parent->fd.get(),
                             CName(request->name).c_str()));
  }
  abi::fuse_entry_out entry;
  error = CreatedEntry(error, request.node(), request->name, &entry);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Passthrough::Mknod(const MknodRequest& request, EntryReply reply) {
  std::shared_ptr<Inode> parent = inodes_.Find(request.node());
  if (parent == nullptr) return std::move(reply).Error(ESTALE);
  int error = 0;
  {
    ScopedIds ids(request.ids());
    error = Result(mknodat(parent->fd.get(), CName(request->name).c_str(),
                           request->mode, request->rdev));
  }
  abi::fuse_entry_out entry;
  error = CreatedEntry(error, request.node(), request->name, &entry);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Passthrough::Mkdir(const MkdirRequest& request, EntryReply reply) {
  std::shared_ptr<Inode> parent = inodes_.Find(request.node());
  if (parent == nullptr) return std::move(reply).Error(ESTALE);
  int error = 0;
  {
    ScopedIds ids(request.ids());
    error = Result(
        mkdirat(parent->fd.get(), CName(request->name).c_str(), request->mode));
  }
  abi::fuse_entry_out entry;
  error = CreatedEntry(error, request.node(), request->name, &entry);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Passthrough::Link(const LinkRequest& request, EntryReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request->oldnodeid);
  std::shared_ptr<Inode> parent = inodes_.Find(request.node());
  if (inode == nullptr || parent == nullptr) {
    return std::move(reply).Error(ESTALE);
  }
  int error = Result(linkat(proc_fds_.get(), FdName(inode->fd.get()).name(),
                            parent->fd.get(), CName(request->name).c_str(),
                            AT_SYMLINK_FOLLOW));
  abi::fuse_entry_out entry;
  error = CreatedEntry(error, request.node(), request->name, &entry);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Passthrough::Unlink(const UnlinkRequest& request, EmptyReply reply) {
  std::shared_ptr<Inode> parent = inodes_.Find(request.node());
  if (parent == nullptr) return std::move(reply).Error(ESTALE);
  if (unlinkat(parent->fd.get(), CName(request->name).c_str(), 0) != 0) {
    return std::move(reply).Error(errno);
  }
  std::move(reply).Ok();
}

void Passthrough::Rmdir(const RmdirRequest& request, EmptyReply reply) {
  std::shared_ptr<Inode> parent = inodes_.Find(request.node());
  if (parent == nullptr) return std::move(reply).Error(ESTALE);
  if (unlinkat(parent->fd.get(), CName(request->name).c_str(), AT_REMOVEDIR) !=
      0) {
    return std::move(reply).Error(errno);
  }
  std::move(reply).Ok();
}

int Passthrough::RenameName(NodeId from, std::string_view old_name, NodeId to,
                            std::string_view new_name, uint32_t flags) {
  std::shared_ptr<Inode> old_parent = inodes_.Find(from);
  std::shared_ptr<Inode> new_parent = inodes_.Find(to);
  if (old_parent == nullptr || new_parent == nullptr) return ESTALE;
  return Result(renameat2(old_parent->fd.get(), CName(old_name).c_str(),
                          new_parent->fd.get(), CName(new_name).c_str(),
                          flags));
}

void Passthrough::Rename(const RenameRequest& request, EmptyReply reply) {
  int error = RenameName(request.node(), request->old_name, request->newdir,
                         request->new_name, 0);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Passthrough::Rename2(const Rename2Request& request, EmptyReply reply) {
  int error = RenameName(request.node(), request->old_name, request->newdir,
                         request->new_name, request->flags);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

// --- Extended attributes: by the /proc name, since O_PATH descriptors do not
// serve the calls that take one ---

void Passthrough::Setxattr(const SetxattrRequest& request, EmptyReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  if (setxattr(FdName(inode->fd.get()).path(), CName(request->name).c_str(),
               request->value.data(), request->value.size(),
               static_cast<int>(request->flags)) != 0) {
    return std::move(reply).Error(errno);
  }
  std::move(reply).Ok();
}

void Passthrough::Getxattr(const GetxattrRequest& request, XattrReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  std::span<std::byte> buffer = reply.buffer();
  ssize_t size =
      getxattr(FdName(inode->fd.get()).path(), CName(request->name).c_str(),
               buffer.data(), buffer.size());
  if (size < 0) return std::move(reply).Error(errno);
  std::move(reply).Ok(static_cast<size_t>(size));
}

void Passthrough::Listxattr(const ListxattrRequest& request, XattrReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  std::span<std::byte> buffer = reply.buffer();
  ssize_t size =
      listxattr(FdName(inode->fd.get()).path(),
                reinterpret_cast<char*>(buffer.data()), buffer.size());
  if (size < 0) return std::move(reply).Error(errno);
  std::move(reply).Ok(static_cast<size_t>(size));
}

void Passthrough::Removexattr(const RemovexattrRequest& request,
                              EmptyReply reply) {
  std::shared_ptr<Inode> inode = inodes_.Find(request.node());
  if (inode == nullptr) return std::move(reply).Error(ESTALE);
  if (removexattr(FdName(inode->fd.get()).path(),
                  CName(request->name).c_str()) != 0) {
    return std::move(reply).Error(errno);
  }
  std::move(reply).Ok();
}

}  // namespace barefuse
