// The interface that a filesystem implements: one function per operation.
//
// Every function with a reply answers it exactly once, at once or later, on
// any thread (server/reply.h). Functions are called on the session's worker
// threads, several at a time; one that blocks holds up everything that its
// worker would have served. Request and the views in it are valid until the
// reply is given. errno values are positive.
//
// A default that answers ENOSYS is remembered by the kernel for as long as the
// mount lives: it stops sending the operation and does what is said here.
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
  virtual void Init(Connection& connection) {}
  // The kernel's goodbye (FUSE_DESTROY), only on block device mounts.
  virtual void Destroy() {}

  // --- Names and inodes ---

  // The node that `name` in the directory node() is. An entry with nodeid 0
  // lets the kernel remember for entry_valid that there is none; ENOENT does
  // not. Each reply with a nodeid takes one lookup, which Forget gives back.
  // Default: ENOENT.
  virtual void Lookup(const LookupRequest& request, EntryReply reply);
  // The kernel gives back `lookups` of a node. At 0 it will not name the node
  // again. No reply exists. An unmount may leave the last ones out.
  virtual void Forget(NodeId node, uint64_t lookups) {}
  // stat(2). Default: ENOSYS, which makes the mount useless.
  virtual void Getattr(const GetattrRequest& request, AttrReply reply);
  // chmod, chown, truncate, utimensat: `valid` says which (FATTR_*). The reply
  // has the attributes as they are afterwards. Default: ENOSYS.
  virtual void Setattr(const SetattrRequest& request, AttrReply reply);
  // Default: ENOSYS. The kernel asks only where birth time is wanted, and
  // falls back to Getattr for ever.
  virtual void Statx(const StatxRequest& request, StatxReply reply);
  // Default: EINVAL.
  virtual void Readlink(const ReadlinkRequest& request, DataReply reply);
  // Default: ENOSYS, here and for all that create or remove names.
  virtual void Symlink(const SymlinkRequest& request, EntryReply reply);
  virtual void Mknod(const MknodRequest& request, EntryReply reply);
  virtual void Mkdir(const MkdirRequest& request, EntryReply reply);
  virtual void Unlink(const UnlinkRequest& request, EmptyReply reply);
  virtual void Rmdir(const RmdirRequest& request, EmptyReply reply);
  virtual void Rename(const RenameRequest& request, EmptyReply reply);
  // Rename with RENAME_* flags. Default: ENOSYS; renameat2(2) with flags then
  // gives EINVAL.
  virtual void Rename2(const Rename2Request& request, EmptyReply reply);
  virtual void Link(const LinkRequest& request, EntryReply reply);
  // Default: ENOSYS; the kernel then allows every access(2), unless it checks
  // permissions itself (default_permissions), when it never asks.
  virtual void Access(const AccessRequest& request, EmptyReply reply);
  // Default: nothing to count, in blocks of 512 bytes, names of 255.
  virtual void Statfs(const StatfsRequest& request, StatfsReply reply);

  // --- Files ---

  // The reply's fh comes back with every request on the open file. Flags have
  // O_CREAT, O_EXCL and O_NOCTTY removed; O_TRUNC too, unless
  // FUSE_ATOMIC_O_TRUNC is on. Default: success with fh 0.
  virtual void Open(const OpenRequest& request, OpenReply reply);
  // open(2) with O_CREAT of a name that was not there. Default: ENOSYS; the
  // kernel then sends Mknod and Open.
  virtual void Create(const CreateRequest& request, CreateReply reply);
  // A file without a name. Default: ENOSYS; O_TMPFILE gives EOPNOTSUPP then.
  virtual void Tmpfile(const TmpfileRequest& request, CreateReply reply);
  // Fewer bytes than asked for mean the end of the file, except with
  // FOPEN_DIRECT_IO. Default: ENOSYS.
  virtual void Read(const ReadRequest& request, DataReply reply);
  // Default: ENOSYS. Data from the page cache (FUSE_WRITE_CACHE) comes on
  // nobody's behalf and on any handle that is open for writing.
  virtual void Write(const WriteRequest& request, WriteReply reply);
  // close(2) of one of possibly several descriptors; what is answered is what
  // close gives. Default: ENOSYS, which reads as success.
  virtual void Flush(const FlushRequest& request, EmptyReply reply);
  // The last descriptor is gone. Nobody waits for the answer. Default:
  // success.
  virtual void Release(const ReleaseRequest& request, EmptyReply reply);
  // Default: ENOSYS, which reads as success.
  virtual void Fsync(const FsyncRequest& request, EmptyReply reply);
  // Default: ENOSYS, which gives EOPNOTSUPP.
  virtual void Fallocate(const FallocateRequest& request, EmptyReply reply);
  // SEEK_DATA and SEEK_HOLE. Default: ENOSYS; the kernel then takes files to
  // have no holes.
  virtual void Lseek(const LseekRequest& request, LseekReply reply);
  // Default: ENOSYS; the kernel then copies by reading and writing.
  virtual void CopyFileRange(const CopyFileRangeRequest& request,
                             WriteReply reply);
  // The same with 64 bits for what was copied. Default: ENOSYS; the kernel
  // then sends CopyFileRange.
  virtual void CopyFileRange64(const CopyFileRange64Request& request,
                               CopyFileRangeReply reply);
  // Default: ENOSYS, which gives ENOTTY.
  virtual void Ioctl(const IoctlRequest& request, IoctlReply reply);
  // Default: ENOSYS; the file is then always ready.
  virtual void Poll(const PollRequest& request, PollReply reply);
  // Only on block device mounts. Default: ENOSYS.
  virtual void Bmap(const BmapRequest& request, BmapReply reply);

  // --- Locks: sent with FUSE_POSIX_LOCKS and FUSE_FLOCK_LOCKS only ---

  // Default: ENOSYS; the kernel then keeps locks itself, within the mount.
  virtual void Getlk(const GetlkRequest& request, LockReply reply);
  virtual void Setlk(const SetlkRequest& request, EmptyReply reply);
  virtual void Setlkw(const SetlkwRequest& request, EmptyReply reply);

  // --- Directories ---

  // Default: success with fh 0.
  virtual void Opendir(const OpendirRequest& request, OpenReply reply);
  // Entries from `offset`, which is 0 or what an earlier entry said is next.
  // Default: ENOSYS.
  virtual void Readdir(const ReaddirRequest& request, DirectoryReply reply);
  // The same with attributes; sent with FUSE_DO_READDIRPLUS. Default: ENOSYS.
  virtual void Readdirplus(const ReaddirplusRequest& request,
                           DirectoryPlusReply reply);
  // Default: success.
  virtual void Releasedir(const ReleasedirRequest& request, EmptyReply reply);
  // Default: ENOSYS, which reads as success.
  virtual void Fsyncdir(const FsyncdirRequest& request, EmptyReply reply);
  // syncfs(2), only on block device mounts and virtio-fs. Default: ENOSYS.
  virtual void Syncfs(const SyncfsRequest& request, EmptyReply reply);

  // --- Extended attributes ---

  // Default: ENOSYS, which gives EOPNOTSUPP.
  virtual void Setxattr(const SetxattrRequest& request, EmptyReply reply);
  virtual void Getxattr(const GetxattrRequest& request, XattrReply reply);
  virtual void Listxattr(const ListxattrRequest& request, XattrReply reply);
  virtual void Removexattr(const RemovexattrRequest& request, EmptyReply reply);

  // --- DAX windows, which only virtio-fs has. Default: ENOSYS ---

  virtual void Setupmapping(const SetupmappingRequest& request,
                            EmptyReply reply);
  virtual void Removemapping(const RemovemappingRequest& request,
                             EmptyReply reply);
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_FILE_SYSTEM_H_
