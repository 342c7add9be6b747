// The flags and constants of the messages, grouped by the field that carries
// them. A number such as 7.12 is the minor version that brought a flag.
#ifndef BAREFUSE_KERNEL_ABI_FLAGS_H_
#define BAREFUSE_KERNEL_ABI_FLAGS_H_

#include "kernel_abi/common.h"

namespace barefuse::abi {

// fuse_setattr_in.valid: which fields are to be set.
inline constexpr uint32_t FATTR_MODE = 1u << 0;
inline constexpr uint32_t FATTR_UID = 1u << 1;
inline constexpr uint32_t FATTR_GID = 1u << 2;
inline constexpr uint32_t FATTR_SIZE = 1u << 3;
inline constexpr uint32_t FATTR_ATIME = 1u << 4;
inline constexpr uint32_t FATTR_MTIME = 1u << 5;
inline constexpr uint32_t FATTR_FH = 1u << 6;  // fh is an open file
inline constexpr uint32_t FATTR_ATIME_NOW = 1u << 7;
inline constexpr uint32_t FATTR_MTIME_NOW = 1u << 8;
inline constexpr uint32_t FATTR_LOCKOWNER = 1u << 9;
inline constexpr uint32_t FATTR_CTIME = 1u << 10;
inline constexpr uint32_t FATTR_KILL_SUIDGID = 1u << 11;

// fuse_open_out.open_flags: how the kernel treats an open file.
inline constexpr uint32_t FOPEN_DIRECT_IO = 1u << 0;   // no page cache
inline constexpr uint32_t FOPEN_KEEP_CACHE = 1u << 1;  // keep cached pages
inline constexpr uint32_t FOPEN_NONSEEKABLE = 1u << 2;
inline constexpr uint32_t FOPEN_CACHE_DIR = 1u << 3;  // cache READDIR
inline constexpr uint32_t FOPEN_STREAM = 1u << 4;     // no file position
inline constexpr uint32_t FOPEN_NOFLUSH = 1u << 5;    // no FLUSH on close
inline constexpr uint32_t FOPEN_PARALLEL_DIRECT_WRITES = 1u << 6;
inline constexpr uint32_t FOPEN_PASSTHROUGH = 1u << 7;  // see backing_id

// INIT capabilities: the low half travels in `flags`, the high in `flags2`,
// which exists once FUSE_INIT_EXT is set.
inline constexpr uint64_t FUSE_ASYNC_READ = 1ull << 0;
inline constexpr uint64_t FUSE_POSIX_LOCKS = 1ull << 1;
inline constexpr uint64_t FUSE_FILE_OPS = 1ull << 2;
inline constexpr uint64_t FUSE_ATOMIC_O_TRUNC = 1ull << 3;
inline constexpr uint64_t FUSE_EXPORT_SUPPORT = 1ull << 4;  // "." and ".."
inline constexpr uint64_t FUSE_BIG_WRITES = 1ull << 5;
inline constexpr uint64_t FUSE_DONT_MASK = 1ull << 6;  // umask is ours
inline constexpr uint64_t FUSE_SPLICE_WRITE = 1ull << 7;
inline constexpr uint64_t FUSE_SPLICE_MOVE = 1ull << 8;
inline constexpr uint64_t FUSE_SPLICE_READ = 1ull << 9;
inline constexpr uint64_t FUSE_FLOCK_LOCKS = 1ull << 10;
inline constexpr uint64_t FUSE_HAS_IOCTL_DIR = 1ull << 11;
inline constexpr uint64_t FUSE_AUTO_INVAL_DATA = 1ull << 12;
inline constexpr uint64_t FUSE_DO_READDIRPLUS = 1ull << 13;
inline constexpr uint64_t FUSE_READDIRPLUS_AUTO = 1ull << 14;
inline constexpr uint64_t FUSE_ASYNC_DIO = 1ull << 15;
inline constexpr uint64_t FUSE_WRITEBACK_CACHE = 1ull << 16;
inline constexpr uint64_t FUSE_NO_OPEN_SUPPORT = 1ull << 17;
inline constexpr uint64_t FUSE_PARALLEL_DIROPS = 1ull << 18;
inline constexpr uint64_t FUSE_HANDLE_KILLPRIV = 1ull << 19;
inline constexpr uint64_t FUSE_POSIX_ACL = 1ull << 20;
inline constexpr uint64_t FUSE_ABORT_ERROR = 1ull << 21;  // ECONNABORTED
inline constexpr uint64_t FUSE_MAX_PAGES = 1ull << 22;
inline constexpr uint64_t FUSE_CACHE_SYMLINKS = 1ull << 23;
inline constexpr uint64_t FUSE_NO_OPENDIR_SUPPORT = 1ull << 24;
inline constexpr uint64_t FUSE_EXPLICIT_INVAL_DATA = 1ull << 25;
inline constexpr uint64_t FUSE_MAP_ALIGNMENT = 1ull << 26;
inline constexpr uint64_t FUSE_SUBMOUNTS = 1ull << 27;
inline constexpr uint64_t FUSE_HANDLE_KILLPRIV_V2 = 1ull << 28;
inline constexpr uint64_t FUSE_SETXATTR_EXT = 1ull << 29;
inline constexpr uint64_t FUSE_INIT_EXT = 1ull << 30;
inline constexpr uint64_t FUSE_INIT_RESERVED = 1ull << 31;
inline constexpr uint64_t FUSE_SECURITY_CTX = 1ull << 32;
inline constexpr uint64_t FUSE_HAS_INODE_DAX = 1ull << 33;
inline constexpr uint64_t FUSE_CREATE_SUPP_GROUP = 1ull << 34;
inline constexpr uint64_t FUSE_HAS_EXPIRE_ONLY = 1ull << 35;
inline constexpr uint64_t FUSE_DIRECT_IO_ALLOW_MMAP = 1ull << 36;
inline constexpr uint64_t FUSE_PASSTHROUGH = 1ull << 37;
inline constexpr uint64_t FUSE_NO_EXPORT_SUPPORT = 1ull << 38;
inline constexpr uint64_t FUSE_HAS_RESEND = 1ull << 39;
inline constexpr uint64_t FUSE_ALLOW_IDMAP = 1ull << 40;
inline constexpr uint64_t FUSE_OVER_IO_URING = 1ull << 41;
inline constexpr uint64_t FUSE_REQUEST_TIMEOUT = 1ull << 42;
// The name that 7.39 had for it.
inline constexpr uint64_t FUSE_DIRECT_IO_RELAX = FUSE_DIRECT_IO_ALLOW_MMAP;

// cuse_init_in.flags and cuse_init_out.flags.
inline constexpr uint32_t CUSE_UNRESTRICTED_IOCTL = 1u << 0;
// The most bytes of device description in CUSE_INIT's reply.
inline constexpr uint32_t CUSE_INIT_INFO_MAX = 4096;

// fuse_release_in.release_flags.
inline constexpr uint32_t FUSE_RELEASE_FLUSH = 1u << 0;
inline constexpr uint32_t FUSE_RELEASE_FLOCK_UNLOCK = 1u << 1;

// fuse_getattr_in.getattr_flags and fuse_statx_in.getattr_flags.
inline constexpr uint32_t FUSE_GETATTR_FH = 1u << 0;

// fuse_lk_in.lk_flags: flock(2) rather than fcntl(2).
inline constexpr uint32_t FUSE_LK_FLOCK = 1u << 0;

// fuse_write_in.write_flags.
inline constexpr uint32_t FUSE_WRITE_CACHE = 1u << 0;  // from the page cache
inline constexpr uint32_t FUSE_WRITE_LOCKOWNER = 1u << 1;
inline constexpr uint32_t FUSE_WRITE_KILL_SUIDGID = 1u << 2;  // 7.33
inline constexpr uint32_t FUSE_WRITE_KILL_PRIV = FUSE_WRITE_KILL_SUIDGID;

// fuse_read_in.read_flags.
inline constexpr uint32_t FUSE_READ_LOCKOWNER = 1u << 1;

// fuse_ioctl_in.flags and fuse_ioctl_out.flags.
inline constexpr uint32_t FUSE_IOCTL_COMPAT = 1u << 0;  // 32-bit caller
inline constexpr uint32_t FUSE_IOCTL_UNRESTRICTED = 1u << 1;
inline constexpr uint32_t FUSE_IOCTL_RETRY = 1u << 2;  // reply: with iovecs
inline constexpr uint32_t FUSE_IOCTL_32BIT = 1u << 3;
inline constexpr uint32_t FUSE_IOCTL_DIR = 1u << 4;
inline constexpr uint32_t FUSE_IOCTL_COMPAT_X32 = 1u << 5;
// The most iovecs of either direction in a retry.
inline constexpr uint32_t FUSE_IOCTL_MAX_IOV = 256;

// fuse_poll_in.flags: a FUSE_NOTIFY_POLL is awaited.
inline constexpr uint32_t FUSE_POLL_SCHEDULE_NOTIFY = 1u << 0;

// fuse_fsync_in.fsync_flags.
inline constexpr uint32_t FUSE_FSYNC_FDATASYNC = 1u << 0;

// fuse_attr.flags.
inline constexpr uint32_t FUSE_ATTR_SUBMOUNT = 1u << 0;
inline constexpr uint32_t FUSE_ATTR_DAX = 1u << 1;

// fuse_open_in.open_flags and fuse_create_in.open_flags.
inline constexpr uint32_t FUSE_OPEN_KILL_SUIDGID = 1u << 0;

// fuse_setxattr_in.setxattr_flags: clear SGID as the ACL demands.
inline constexpr uint32_t FUSE_SETXATTR_ACL_KILL_SGID = 1u << 0;

// fuse_notify_inval_entry_out.flags: let the entry expire, do not drop it.
inline constexpr uint32_t FUSE_EXPIRE_ONLY = 1u << 0;

// fuse_ext_header.type. A value up to FUSE_MAX_NR_SECCTX is not a type but the
// number of security contexts that follow a fuse_secctx_header, which has the
// same layout.
enum fuse_ext_type : uint32_t {
  FUSE_MAX_NR_SECCTX = 31,
  FUSE_EXT_GROUPS = 32,
};

// fuse_setupmapping_in.flags.
inline constexpr uint64_t FUSE_SETUPMAPPING_FLAG_WRITE = 1ull << 0;
inline constexpr uint64_t FUSE_SETUPMAPPING_FLAG_READ = 1ull << 1;

// fuse_in_header.unique: this bit marks a request that is sent again after
// FUSE_NOTIFY_RESEND. It is part of the unique and is echoed.
inline constexpr uint64_t FUSE_UNIQUE_RESEND = 1ull << 63;

// fuse_in_header.uid and .gid where FUSE_ALLOW_IDMAP is on and the request
// does not create anything.
inline constexpr uint32_t FUSE_INVALID_UIDGID = ~0u;

// The smallest buffer, in bytes, that a read from the device may have.
inline constexpr uint32_t FUSE_MIN_READ_BUFFER = 8192;

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_FLAGS_H_
