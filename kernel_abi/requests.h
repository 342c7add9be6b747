// What the kernel sends: the header and the fixed struct of each request. What
// follows a struct (names, data, arrays) is said beside it and is no member.
#ifndef BAREFUSE_KERNEL_ABI_REQUESTS_H_
#define BAREFUSE_KERNEL_ABI_REQUESTS_H_

#include "kernel_abi/attributes.h"

namespace barefuse::abi {

// In front of every request.
struct fuse_in_header {
  uint32_t len;  // bytes, this header included
  uint32_t opcode;
  uint64_t unique;  // echoed by the reply
  uint64_t nodeid;
  uint32_t uid;
  uint32_t gid;
  uint32_t pid;
  uint16_t total_extlen;  // of 8 bytes; since 7.38
  uint16_t padding;
};

struct fuse_forget_in {
  uint64_t nlookup;  // lookups to give back
};

struct fuse_forget_one {
  uint64_t nodeid;
  uint64_t nlookup;
};

// Followed by `count` fuse_forget_one.
struct fuse_batch_forget_in {
  uint32_t count;
  uint32_t dummy;
};

// Since 7.9; before, GETATTR has no body.
struct fuse_getattr_in {
  uint32_t getattr_flags;  // FUSE_GETATTR_*
  uint32_t dummy;
  uint64_t fh;
};

struct fuse_statx_in {
  uint32_t getattr_flags;  // FUSE_GETATTR_*
  uint32_t reserved;
  uint64_t fh;
  uint32_t sx_flags;  // AT_STATX_*
  uint32_t sx_mask;   // STATX_*
};

// Followed by the name. 8 bytes before 7.12.
struct fuse_mknod_in {
  uint32_t mode;
  uint32_t rdev;
  uint32_t umask;
  uint32_t padding;
};

// Followed by the name. The umask came with 7.12.
struct fuse_mkdir_in {
  uint32_t mode;
  uint32_t umask;
};

// Followed by the old and the new name.
struct fuse_rename_in {
  uint64_t newdir;  // node id
};

// Followed by the old and the new name.
struct fuse_rename2_in {
  uint64_t newdir;  // node id
  uint32_t flags;   // RENAME_*
  uint32_t padding;
};

// Followed by the new name.
struct fuse_link_in {
  uint64_t oldnodeid;
};

struct fuse_setattr_in {
  uint32_t valid;  // FATTR_*
  uint32_t padding;
  uint64_t fh;
  uint64_t size;
  uint64_t lock_owner;
  uint64_t atime;
  uint64_t mtime;
  uint64_t ctime;
  uint32_t atimensec;
  uint32_t mtimensec;
  uint32_t ctimensec;
  uint32_t mode;
  uint32_t unused4;
  uint32_t uid;
  uint32_t gid;
  uint32_t unused5;
};

// OPEN and OPENDIR.
struct fuse_open_in {
  uint32_t flags;       // O_*
  uint32_t open_flags;  // FUSE_OPEN_*
};

// Followed by the name. 8 bytes before 7.12.
struct fuse_create_in {
  uint32_t flags;  // O_*
  uint32_t mode;
  uint32_t umask;
  uint32_t open_flags;  // FUSE_OPEN_*
};

// RELEASE and RELEASEDIR. 16 bytes before 7.8.
struct fuse_release_in {
  uint64_t fh;
  uint32_t flags;          // O_*
  uint32_t release_flags;  // FUSE_RELEASE_*
  uint64_t lock_owner;
};

// 16 bytes before 7.7.
struct fuse_flush_in {
  uint64_t fh;
  uint32_t unused;
  uint32_t padding;
  uint64_t lock_owner;
};

// READ, READDIR and READDIRPLUS. 24 bytes before 7.9.
struct fuse_read_in {
  uint64_t fh;
  uint64_t offset;
  uint32_t size;        // bytes
  uint32_t read_flags;  // FUSE_READ_*
  uint64_t lock_owner;
  uint32_t flags;  // O_* of the open file
  uint32_t padding;
};

// Followed by `size` bytes. 24 bytes before 7.9.
struct fuse_write_in {
  uint64_t fh;
  uint64_t offset;
  uint32_t size;         // bytes
  uint32_t write_flags;  // FUSE_WRITE_*
  uint64_t lock_owner;
  uint32_t flags;  // O_* of the open file
  uint32_t padding;
};

// FSYNC and FSYNCDIR.
struct fuse_fsync_in {
  uint64_t fh;
  uint32_t fsync_flags;  // FUSE_FSYNC_*
  uint32_t padding;
};

// Followed by the name and `size` bytes. 8 bytes without FUSE_SETXATTR_EXT.
struct fuse_setxattr_in {
  uint32_t size;            // bytes
  uint32_t flags;           // XATTR_*
  uint32_t setxattr_flags;  // FUSE_SETXATTR_*
  uint32_t padding;
};

// GETXATTR, followed by the name; LISTXATTR.
struct fuse_getxattr_in {
  uint32_t size;  // bytes; 0 asks for the size
  uint32_t padding;
};

// GETLK, SETLK and SETLKW. 40 bytes before 7.9.
struct fuse_lk_in {
  uint64_t fh;
  uint64_t owner;
  fuse_file_lock lk;
  uint32_t lk_flags;  // FUSE_LK_*
  uint32_t padding;
};

struct fuse_access_in {
  uint32_t mask;  // R_OK, W_OK, X_OK
  uint32_t padding;
};

// 8 bytes before 7.6, 16 before 7.36.
struct fuse_init_in {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;  // bytes
  uint32_t flags;
  uint32_t flags2;
  uint32_t unused[11];
};

struct cuse_init_in {
  uint32_t major;
  uint32_t minor;
  uint32_t unused;
  uint32_t flags;  // CUSE_*
};

struct fuse_interrupt_in {
  uint64_t unique;  // of the request to interrupt
};

struct fuse_bmap_in {
  uint64_t block;
  uint32_t blocksize;
  uint32_t padding;
};

// Followed by `in_size` bytes.
struct fuse_ioctl_in {
  uint64_t fh;
  uint32_t flags;  // FUSE_IOCTL_*
  uint32_t cmd;
  uint64_t arg;
  uint32_t in_size;
  uint32_t out_size;
};

struct fuse_poll_in {
  uint64_t fh;
  uint64_t kh;      // the kernel's handle, for FUSE_NOTIFY_POLL
  uint32_t flags;   // FUSE_POLL_*
  uint32_t events;  // POLL*; since 7.21
};

struct fuse_fallocate_in {
  uint64_t fh;
  uint64_t offset;
  uint64_t length;
  uint32_t mode;  // FALLOC_FL_*
  uint32_t padding;
};

struct fuse_lseek_in {
  uint64_t fh;
  uint64_t offset;
  uint32_t whence;  // SEEK_DATA or SEEK_HOLE
  uint32_t padding;
};

// COPY_FILE_RANGE and COPY_FILE_RANGE_64.
struct fuse_copy_file_range_in {
  uint64_t fh_in;
  uint64_t off_in;
  uint64_t nodeid_out;
  uint64_t fh_out;
  uint64_t off_out;
  uint64_t len;
  uint64_t flags;
};

// Offsets in the file and in the DAX window.
struct fuse_setupmapping_in {
  uint64_t fh;
  uint64_t foffset;
  uint64_t len;
  uint64_t flags;  // FUSE_SETUPMAPPING_FLAG_*
  uint64_t moffset;
};

// Followed by `count` fuse_removemapping_one.
struct fuse_removemapping_in {
  uint32_t count;
};

struct fuse_removemapping_one {
  uint64_t moffset;
  uint64_t len;
};

struct fuse_syncfs_in {
  uint64_t padding;
};

// NOTIFY_REPLY, followed by `size` bytes. Lies over fuse_write_in.
struct fuse_notify_retrieve_in {
  uint64_t dummy1;
  uint64_t offset;
  uint32_t size;
  uint32_t dummy2;
  uint64_t dummy3;
  uint64_t dummy4;
};

// In front of `nr_secctx` contexts; `size` counts them and itself.
struct fuse_secctx_header {
  uint32_t size;
  uint32_t nr_secctx;
};

// Followed by the name with its NUL and `size` bytes of context.
struct fuse_secctx {
  uint32_t size;
  uint32_t padding;
};

// In front of every other extension; `size` counts itself too.
struct fuse_ext_header {
  uint32_t size;
  uint32_t type;  // FUSE_EXT_*
};

// Followed by `nr_groups` group ids of 4 bytes.
struct fuse_supp_groups {
  uint32_t nr_groups;
};

// What older kernels send, and the kernel still sends where an older minor was
// negotiated.
inline constexpr uint32_t FUSE_COMPAT_MKNOD_IN_SIZE = 8;
inline constexpr uint32_t FUSE_COMPAT_WRITE_IN_SIZE = 24;
inline constexpr uint32_t FUSE_COMPAT_SETXATTR_IN_SIZE = 8;

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_REQUESTS_H_
