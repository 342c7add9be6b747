// The interface that a filesystem implements: one function per operation of
// FUSE 7.45.
//
// Every function with a reply answers it exactly once, at once or later, on
// any thread (server/reply.h). Functions are called on the session's threads,
// several at a time, those of ExecutionOf's choice on threads for handlers that
// may block; FORGET, INTERRUPT callbacks and what is read in reserve also on
// others (SessionOptions::parked_requests). Request and the views in it are
// valid until the reply is given or detached. errno values are positive, sizes
// and offsets are bytes, times are seconds and nanoseconds since 1970.
//
// Nodes and handles that a request names come from the kernel, or from whoever
// plays it: a filesystem looks them up and answers ESTALE or EBADF where it
// does not know them.
//
// A default that answers ENOSYS is remembered by the kernel for as long as the
// mount lives: it stops sending the operation and does what is said here. An
// ENOSYS of a filesystem's own is remembered likewise; what it cannot do for
// one file is EOPNOTSUPP.
#ifndef BAREFUSE_SERVER_FILE_SYSTEM_H_
#define BAREFUSE_SERVER_FILE_SYSTEM_H_

#include <cstdint>

#include "server/reply.h"
#include "server/request.h"

namespace barefuse {

// Where a handler is called.
enum class Execution {
  // On the worker that has read the request: nothing is faster. For handlers
  // that return soon, whether or not they have answered by then.
  kWorker,
  // On a thread of the session's pool (SessionOptions::offload_threads), where
  // it waits if all of them are busy. For handlers that may wait for something
  // (a disk, a network, a lock). Where no thread can be had, on the worker.
  kBlocking,
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // --- The session ---

  // The INIT capabilities (FUSE_* of kernel_abi/flags.h) that the filesystem
  // wants; it gets those that the kernel offers and the core implements.
  // Default: those that change nothing a filesystem could notice.
  virtual uint64_t WantedCapabilities() const;
  // How requests with `opcode` (FUSE_* of kernel_abi/opcodes.h) are served.
  // Asked once for each at the start. Default: kWorker for all.
  virtual Execution ExecutionOf(uint32_t opcode) const {
    return Execution::kWorker;
  }
  // The terms are settled, requests will follow. On the thread that mounts.
  // `connection` lives as long as the session; what is to outlive it is
  // connection.notifier(). Default: nothing.
  virtual void Init(Connection& connection) {}
  // The kernel's goodbye (FUSE_DESTROY), only on block device mounts, where
  // umount(2) waits for it. Default: nothing.
  virtual void Destroy() {}

  // --- Names and inodes ---

  // The node that `name` in the directory node() is: the first of every path's
  // operations. An entry with nodeid 0 lets the kernel remember for entry_valid
  // that there is none; ENOENT does not. Each reply with a nodeid takes one
  // lookup, which Forget gives back; so do those of Symlink, Mknod, Mkdir,
  // Link, Create, Tmpfile and the entries of Readdirplus. `generation` with the
  // nodeid is unique for ever, for NFS. "." and ".." come with
  // FUSE_EXPORT_SUPPORT only. Default: ENOENT.
  virtual void Lookup(const LookupRequest& request, EntryReply reply);
  // The kernel gives back `lookups` of a node. At 0 it will not name the node
  // again, except by handles that are open. No reply exists. An unmount may
  // leave the last ones out. Default: nothing.
  virtual void Forget(NodeId node, uint64_t lookups) {}
  // stat(2), also before most other operations once attr_valid is over. With
  // FUSE_GETATTR_FH in getattr_flags `fh` is an open file of the node. Default:
  // ENOSYS, which is not remembered and makes the mount useless.
  virtual void Getattr(const GetattrRequest& request, AttrReply reply);
  // chmod, chown, truncate, utimensat and what the kernel changes by itself:
  // `valid` says which fields count (FATTR_*; with FATTR_FH `fh` is an open
  // file; with FATTR_KILL_SUIDGID the set-id bits go). It may be 0: the kernel
  // then wants to see the attributes. The reply has them as they are
  // afterwards. Default: ENOSYS, which is not remembered.
  virtual void Setattr(const SetattrRequest& request, AttrReply reply);
  // statx(2). The kernel asks only where birth time is wanted; `sx_mask` of the
  // reply says what it has. Default: ENOSYS; the kernel asks Getattr from then
  // on.
  virtual void Statx(const StatxRequest& request, StatxReply reply);
  // The target of a symlink, at most 4095 bytes. With FUSE_CACHE_SYMLINKS the
  // kernel remembers it. Default: EINVAL, what readlink(2) says of other files.
  virtual void Readlink(const ReadlinkRequest& request, DataReply reply);
  // These make `name` in node() and give its entry. The kernel has looked it up
  // and knows that it is not there; somebody may be faster (EEXIST). `mode` has
  // the caller's umask applied, unless FUSE_DONT_MASK is on. Default: ENOSYS,
  // which is not remembered, here and for all that create or remove names.
  virtual void Symlink(const SymlinkRequest& request, EntryReply reply);
  virtual void Mknod(const MknodRequest& request, EntryReply reply);
  virtual void Mkdir(const MkdirRequest& request, EntryReply reply);
  // A file that is open stays usable: the node lives until Forget and Release.
  virtual void Unlink(const UnlinkRequest& request, EmptyReply reply);
  virtual void Rmdir(const RmdirRequest& request, EmptyReply reply);
  // From old_name in node() to new_name in `newdir`, replacing what is there.
  virtual void Rename(const RenameRequest& request, EmptyReply reply);
  // Rename with RENAME_* flags; without flags the kernel sends Rename. Default:
  // ENOSYS; renameat2(2) with flags gives EINVAL from then on.
  virtual void Rename2(const Rename2Request& request, EmptyReply reply);
  // Another name, in node(), for `oldnodeid`. ENOSYS is remembered (EPERM).
  virtual void Link(const LinkRequest& request, EntryReply reply);
  // access(2) and chdir(2), where the kernel does not check permissions itself
  // (default_permissions). Default: ENOSYS; the kernel then allows all of it.
  virtual void Access(const AccessRequest& request, EmptyReply reply);
  // Default: nothing to count, in blocks of 512 bytes, names of 255.
  virtual void Statfs(const StatfsRequest& request, StatfsReply reply);

  // --- Files ---

  // The reply's fh comes back with every request on the open file. `flags` have
  // O_CREAT, O_EXCL and O_NOCTTY removed; O_TRUNC too, unless
  // FUSE_ATOMIC_O_TRUNC is on (a Setattr follows then). Default: success with
  // fh 0. ENOSYS where FUSE_NO_OPEN_SUPPORT is on: the kernel then opens and
  // closes without asking, with fh 0, and there is no passthrough.
  virtual void Open(const OpenRequest& request, OpenReply reply);
  // open(2) with O_CREAT of a name that was not there: makes and opens it.
  // Default: ENOSYS; the kernel sends Mknod and Open from then on.
  virtual void Create(const CreateRequest& request, CreateReply reply);
  // open(2) with O_TMPFILE in the directory node(): a file without a name,
  // which Link may give it. Default: ENOSYS; EOPNOTSUPP from then on.
  virtual void Tmpfile(const TmpfileRequest& request, CreateReply reply);
  // `size` bytes from `offset`. Fewer mean the end of the file, except with
  // FOPEN_DIRECT_IO. Comes through readahead too, and on nobody's behalf then.
  // Default: ENOSYS, which is not remembered.
  virtual void Read(const ReadRequest& request, DataReply reply);
  // `data` at `offset`. Fewer bytes taken than given are a short write(2), or
  // an error (EIO) for data of the page cache (FUSE_WRITE_CACHE), which comes
  // on nobody's behalf and on any handle that is open for writing. With
  // FUSE_WRITE_KILL_SUIDGID the set-id bits go. Default: ENOSYS, not
  // remembered.
  virtual void Write(const WriteRequest& request, WriteReply reply);
  // close(2) of one of possibly several descriptors; what is answered is what
  // close gives. POSIX locks of `lock_owner` go. Default: ENOSYS, which reads
  // as success from then on, and locks stay with the kernel.
  virtual void Flush(const FlushRequest& request, EmptyReply reply);
  // The last descriptor is gone, and the handle with it. Nobody waits for the
  // answer. With FUSE_RELEASE_FLOCK_UNLOCK flock(2) locks of `lock_owner` go.
  // Default: success.
  virtual void Release(const ReleaseRequest& request, EmptyReply reply);
  // Dirty pages have been written back by now. Default: ENOSYS, which reads as
  // success from then on.
  virtual void Fsync(const FsyncRequest& request, EmptyReply reply);
  // `mode` is FALLOC_FL_* of fallocate(2). Default: ENOSYS, EOPNOTSUPP from
  // then on.
  virtual void Fallocate(const FallocateRequest& request, EmptyReply reply);
  // SEEK_DATA and SEEK_HOLE; the rest the kernel does itself. Default: ENOSYS;
  // the kernel takes files to have no holes from then on.
  virtual void Lseek(const LseekRequest& request, LseekReply reply);
  // From node() at off_in to nodeid_out at off_out. Fewer bytes than asked for
  // are a short copy. Default: ENOSYS; copying is reading and writing from then
  // on, as it is for a single call that gets EOPNOTSUPP or EXDEV.
  virtual void CopyFileRange(const CopyFileRangeRequest& request,
                             WriteReply reply);
  // The same with 64 bits for what was copied. Default: ENOSYS; the kernel
  // sends CopyFileRange from then on.
  virtual void CopyFileRange64(const CopyFileRange64Request& request,
                               CopyFileRangeReply reply);
  // `cmd` with in_size bytes of data; out_size may come back. What `cmd`
  // encodes as its size and direction is what is copied (restricted ioctls, all
  // that Linux sends to filesystems). On directories with FUSE_HAS_IOCTL_DIR.
  // Default: ENOSYS, which gives ENOTTY and is not remembered.
  virtual void Ioctl(const IoctlRequest& request, IoctlReply reply);
  // What of `events` (POLL*) is ready. With FUSE_POLL_SCHEDULE_NOTIFY somebody
  // waits: remember `kh` for Notifier::PollWakeup. Must not wait itself.
  // Default: ENOSYS; files are always ready from then on.
  virtual void Poll(const PollRequest& request, PollReply reply);
  // The block of the device that holds `block`, for swap files and boot
  // loaders. Only on block device mounts. Default: ENOSYS, remembered (FIBMAP
  // fails).
  virtual void Bmap(const BmapRequest& request, BmapReply reply);

  // --- Locks: sent with FUSE_POSIX_LOCKS (fcntl(2), open file descriptions'
  // too) and FUSE_FLOCK_LOCKS (flock(2), FUSE_LK_FLOCK in lk_flags) only; else
  // the kernel keeps them within the mount ---

  // Whether `lk` of `owner` would be granted: F_UNLCK, or a lock in its way.
  // Default: ENOSYS, here and below, which is not remembered.
  virtual void Getlk(const GetlkRequest& request, LockReply reply);
  // Takes or (F_UNLCK) releases a lock at once: EAGAIN where another is in its
  // way.
  virtual void Setlk(const SetlkRequest& request, EmptyReply reply);
  // Waits for it. Keep the reply, detached, until it is granted; EINTR once
  // ReplyBase::OnInterrupt says so, and let the lock be.
  virtual void Setlkw(const SetlkwRequest& request, EmptyReply reply);

  // --- Directories ---

  // Default: success with fh 0. ENOSYS where FUSE_NO_OPENDIR_SUPPORT is on: the
  // kernel opens without asking from then on, and caches entries.
  virtual void Opendir(const OpendirRequest& request, OpenReply reply);
  // Entries from `offset`, which is 0 or what an earlier entry said is next, as
  // many as fit into `size`. An offset stays good while the directory is open,
  // whatever is created and removed. Default: ENOSYS, not remembered.
  virtual void Readdir(const ReaddirRequest& request, DirectoryReply reply);
  // The same with attributes, each entry a lookup; sent with
  // FUSE_DO_READDIRPLUS, with FUSE_READDIRPLUS_AUTO only where the kernel
  // thinks that it pays. Default: ENOSYS, not remembered.
  virtual void Readdirplus(const ReaddirplusRequest& request,
                           DirectoryPlusReply reply);
  // Like Release. Default: success.
  virtual void Releasedir(const ReleasedirRequest& request, EmptyReply reply);
  // Default: ENOSYS, which reads as success from then on.
  virtual void Fsyncdir(const FsyncdirRequest& request, EmptyReply reply);
  // syncfs(2), only on block device mounts and virtio-fs. Default: ENOSYS,
  // which reads as success from then on.
  virtual void Syncfs(const SyncfsRequest& request, EmptyReply reply);

  // --- Extended attributes. POSIX ACLs come as system.posix_acl_access and
  // system.posix_acl_default; with FUSE_POSIX_ACL the kernel obeys them ---

  // `flags` is XATTR_CREATE, XATTR_REPLACE or 0. Default: ENOSYS, here and
  // below, EOPNOTSUPP from then on.
  virtual void Setxattr(const SetxattrRequest& request, EmptyReply reply);
  // ENODATA where there is none.
  virtual void Getxattr(const GetxattrRequest& request, XattrReply reply);
  // Names, each with its NUL.
  virtual void Listxattr(const ListxattrRequest& request, XattrReply reply);
  virtual void Removexattr(const RemovexattrRequest& request, EmptyReply reply);

  // --- DAX windows, which only virtio-fs has. Default: ENOSYS ---

  // `len` bytes of a file from `foffset` are to appear at `moffset` of the
  // window.
  virtual void Setupmapping(const SetupmappingRequest& request,
                            EmptyReply reply);
  virtual void Removemapping(const RemovemappingRequest& request,
                             EmptyReply reply);
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_FILE_SYSTEM_H_
