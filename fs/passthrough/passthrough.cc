// The session's start, and lookups. Names are in passthrough_names.cc,
// attributes in passthrough_attributes.cc, extended ones in
// passthrough_xattrs.cc, files in passthrough_files.cc, directories in
// passthrough_directories.cc.
#include "fs/passthrough/passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fs/passthrough/convert.h"
#include "fs/passthrough/credentials.h"
#include "fs/passthrough/open_directory.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

// Descriptors that stay open for inodes used a moment ago: a part of what the
// process may have.
size_t CachedDescriptors() {
  constexpr size_t kMost = 4096;
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
  return std::min<size_t>(kMost, static_cast<size_t>(limit.rlim_cur) / 4);
}

absl::Duration DefaultTimeout(CacheMode mode) {
  switch (mode) {
    case CacheMode::kNever:
      return absl::ZeroDuration();
    case CacheMode::kAlways:
      return absl::Hours(24);
    case CacheMode::kAuto:
      break;
  }
  return absl::Seconds(1);
}

// A copy of the mounts at and below a directory, which no later mount reaches.
// An empty descriptor and errno where there can be none.
UniqueFd CopyTree(int directory) {
  UniqueFd tree(static_cast<int>(syscall(
      SYS_open_tree, directory, "",
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE)));
  mount_attr attributes{};
  attributes.propagation = MS_PRIVATE;
  if (tree &&
      syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE,
              &attributes, sizeof attributes) != 0) {
    const int error = errno;
    tree.reset();
    errno = error;
  }
  return tree;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Passthrough>> Passthrough::Create(
    PassthroughOptions options) {
  UniqueFd source(
      open(options.source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!source) {
    return ErrnoStatus(errno, absl::StrCat("source ", options.source));
  }
  if (options.writeback &&
      (options.direct_io || options.cache == CacheMode::kNever)) {
    return absl::InvalidArgumentError(
        "writeback keeps what is written in the kernel's cache, which "
        "direct-io and cache=never do without: choose one");
  }
  const bool whole = IsWholeFilesystem(source.get());
  if (options.own_tree) {
    source = CopyTree(source.get());
    if (!source) {
      return ErrnoStatus(
          errno, absl::StrCat("source ", options.source,
                              " contains the mountpoint, which takes root and "
                              "Linux 5.12"));
    }
  }
  absl::StatusOr<std::unique_ptr<ProcFds>> proc_fds =
      ProcFds::Open(options.callers_in_proc);
  if (!proc_fds.ok()) return proc_fds.status();
  absl::StatusOr<std::unique_ptr<InodeTable>> inodes =
      InodeTable::Create(std::move(source), CachedDescriptors(), whole);
  if (!inodes.ok()) return inodes.status();
  return std::shared_ptr<Passthrough>(new Passthrough(
      std::move(options), *std::move(inodes), *std::move(proc_fds)));
}

Passthrough::Passthrough(PassthroughOptions options,
                         std::unique_ptr<InodeTable> inodes,
                         std::unique_ptr<ProcFds> proc_fds)
    : options_(std::move(options)),
      name_timeout_(options_.timeout.value_or(DefaultTimeout(options_.cache))),
      attr_timeout_(options_.attr_timeout.value_or(
          options_.timeout.value_or(DefaultTimeout(options_.cache)))),
      proc_fds_(std::move(proc_fds)),
      inodes_(std::move(inodes)) {}

Passthrough::Timeout::Timeout(absl::Duration duration)
    : seconds(static_cast<uint64_t>(absl::ToInt64Seconds(duration))),
      nanoseconds(static_cast<uint32_t>(
          absl::ToInt64Nanoseconds(duration % absl::Seconds(1)))) {}

uint64_t Passthrough::WantedCapabilities() const {
  // HANDLE_KILLPRIV_V2: without it every small write costs a GETXATTR.
  return FileSystem::WantedCapabilities() | abi::FUSE_DO_READDIRPLUS |
         abi::FUSE_READDIRPLUS_AUTO | abi::FUSE_HANDLE_KILLPRIV_V2 |
         abi::FUSE_DIRECT_IO_ALLOW_MMAP | abi::FUSE_POSIX_ACL |
         abi::FUSE_DONT_MASK | abi::FUSE_SETXATTR_EXT |
         abi::FUSE_CREATE_SUPP_GROUP | abi::FUSE_HAS_IOCTL_DIR |
         abi::FUSE_FLOCK_LOCKS |
         (options_.passthrough ? abi::FUSE_PASSTHROUGH : 0) |
         (inodes_->exports() ? abi::FUSE_EXPORT_SUPPORT : 0) |
         (options_.idmap ? abi::FUSE_ALLOW_IDMAP : 0) |
         (options_.writeback ? abi::FUSE_WRITEBACK_CACHE : 0);
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
  terms_ = connection.terms().dialect;
  if (!options_.passthrough) return;
  if (PassesThrough()) return ProbeBacking(connection);
  const std::string why(
      proto::VerdictText(connection.terms().VerdictOf(abi::FUSE_PASSTHROUGH)));
  SayOnce(connection, absl::FailedPreconditionError(
                          WritesBack() ? why : why + " (it needs Linux 6.9)"));
}

// Whether files of the source can be backing files shows with the first one. An
// unnamed file tells it now, while somebody may still be at the terminal; where
// the source takes none, the first open will say it.
void Passthrough::ProbeBacking(Connection& connection) {
  Inode root;
  if (inodes_->Open(abi::FUSE_ROOT_ID, &root) != 0) return;
  UniqueFd file(
      openat(root.fd.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) return;
  absl::StatusOr<BackingFile> backing = connection.OpenBacking(file.get());
  if (!backing.ok()) SayOnce(connection, backing.status());
}

// Whether the attributes of an inode may change without the kernel noticing: by
// stores to a mapping, which has become the backing file's own.
bool Passthrough::ChangesUnseen(NodeId node) {
  if (!PassesThrough()) return false;
  if (inodes_->IsWritten(node)) return true;
  // A mapping outlives the file that it was made with.
  const uint32_t mappable = inodes_->Mappable(node);
  if (mappable == 0) return false;
  if (IsWrittenInSource(node)) return true;
  inodes_->ForgetMappable(node, mappable);
  return false;
}

// Whether somebody, a mapping for instance, holds the source's file open for
// writing. The kernel tells it who asks for a lease (fcntl(2)).
bool Passthrough::IsWrittenInSource(NodeId node) {
  Inode inode;
  if (inodes_->Open(node, &inode) != 0 || !S_ISREG(inode.type)) return false;
  UniqueFd fd = proc_fds_->Reopen(inode.fd.get(), O_RDONLY | O_NONBLOCK);
  if (!fd) return false;
  // Not SIGIO, which would end the process if the lease had to be given up just
  // now.
  fcntl(fd.get(), F_SETSIG, SIGURG);
  if (fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
  fcntl(fd.get(), F_SETLEASE, F_UNLCK);
  return false;
}

template <class Out>
void Passthrough::FillAttr(NodeId node, const struct statx& info, Out* out) {
  out->attr = ToAttr(info);
  out->attr.ino = inodes_->mounts().ShownIno(DeviceOf(info), info.stx_ino);
  if (ChangesUnseen(node)) return;
  out->attr_valid = attr_timeout_.seconds;
  out->attr_valid_nsec = attr_timeout_.nanoseconds;
}

void Passthrough::FillEntry(const Inode& inode, const struct statx& info,
                            abi::fuse_entry_out* entry) {
  *entry = abi::fuse_entry_out{};
  entry->nodeid = inode.node;
  entry->entry_valid = name_timeout_.seconds;
  entry->entry_valid_nsec = name_timeout_.nanoseconds;
  FillAttr(inode.node, info, entry);
}

int Passthrough::Attributes(NodeId node, uint32_t has_fh, uint64_t fh,
                            abi::fuse_attr_out* out) {
  struct statx info;
  std::shared_ptr<OpenFile> file = has_fh ? files_.Find(fh) : nullptr;
  if (file != nullptr) {
    if (int error = StatFd(file->fd.get(), &info)) return error;
  } else {
    Inode inode;
    if (int error = inodes_->Open(node, &inode)) return error;
    if (int error = StatFd(inode.fd.get(), &info)) return error;
  }
  *out = abi::fuse_attr_out{};
  FillAttr(node, info, out);
  return 0;
}

// --- Lookup ---

int Passthrough::LookupFd(UniqueFd fd, uint64_t name, Inode* inode,
                          struct statx* info) {
  if (int error = inodes_->Lookup(std::move(fd), name, inode, info)) {
    return error;
  }
  // Without a name it may not be found by its handle.
  if (info->stx_nlink == 0) inodes_->Pin(inode->node, inode->fd);
  return 0;
}

// The directory in which something is to be done to `name`.
int Passthrough::OpenParent(NodeId node, std::string_view name, Inode* parent) {
  // The kernel resolves these itself; from anybody else ".." could lead out of
  // the source.
  if (name.empty() || name == "." || name == ".." ||
      name.find('/') != name.npos) {
    return EINVAL;
  }
  return inodes_->Open(node, parent);
}

int Passthrough::LookupName(NodeId parent, int directory, std::string_view name,
                            abi::fuse_entry_out* entry) {
  const CName path(name);
  UniqueFd fd = inodes_->OpenWithRoom([&] {
    return UniqueFd(
        openat(directory, path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  });
  if (!fd) return errno;
  Inode inode;
  struct statx info;
  if (int error = LookupFd(std::move(fd), NameKey(parent, name), &inode, &info))
    return error;
  FillEntry(inode, info, entry);
  return 0;
}

// "." and "..", with which the kernel finds what a handle is of that it gave
// out (name_to_handle_at(2), NFS) and has forgotten.
int Passthrough::LookupDots(NodeId node, std::string_view name,
                            abi::fuse_entry_out* entry) {
  if (!terms_.Has(abi::FUSE_EXPORT_SUPPORT)) return EINVAL;
  Inode inode;
  if (int error = inodes_->Restore(node, &inode)) return error;
  const bool up = name == ".." && node != abi::FUSE_ROOT_ID;
  if (up && !S_ISDIR(inode.type)) return ENOTDIR;
  UniqueFd fd = inodes_->OpenWithRoom([&] {
    return up ? UniqueFd(openat(inode.fd.get(), "..",
                                O_PATH | O_NOFOLLOW | O_CLOEXEC))
              : UniqueFd(fcntl(inode.fd.get(), F_DUPFD_CLOEXEC, 0));
  });
  if (!fd) return errno;
  struct statx info;
  if (int error = LookupFd(std::move(fd), 0, &inode, &info)) return error;
  FillEntry(inode, info, entry);
  return 0;
}

void Passthrough::Lookup(const LookupRequest& request, EntryReply reply) {
  if (request->name == "." || request->name == "..") {
    abi::fuse_entry_out entry;
    int error = LookupDots(request.node(), request->name, &entry);
    if (error != 0) return std::move(reply).Error(error);
    return std::move(reply).Ok(entry);
  }
  Inode parent;
  if (int error = OpenParent(request.node(), request->name, &parent)) {
    return std::move(reply).Error(error);
  }
  abi::fuse_entry_out entry{};
  int error = LookupName(parent.node, parent.fd.get(), request->name, &entry);
  if (error == ENOENT && !name_timeout_.none()) {
    // Nodeid 0 lets the kernel remember that there is nothing.
    entry.entry_valid = name_timeout_.seconds;
    entry.entry_valid_nsec = name_timeout_.nanoseconds;
    error = 0;
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(entry);
}

void Passthrough::Forget(NodeId node, uint64_t lookups) {
  inodes_->Forget(node, lookups);
}

}  // namespace barefuse
