// What the server sends: the header and the struct of each reply and
// notification. What follows a struct is said beside it and is no member.
#ifndef BAREFUSE_KERNEL_ABI_REPLIES_H_
#define BAREFUSE_KERNEL_ABI_REPLIES_H_

#include "kernel_abi/attributes.h"

namespace barefuse::abi {

// In front of every reply and notification.
struct fuse_out_header {
  uint32_t len;     // bytes, this header included
  int32_t error;    // 0, -errno, or a notify code
  uint64_t unique;  // the request's, or 0
};

// A name found. Nodeid 0 caches that there is none. 120 bytes before 7.9.
struct fuse_entry_out {
  uint64_t nodeid;
  uint64_t generation;   // with nodeid unique for ever
  uint64_t entry_valid;  // seconds
  uint64_t attr_valid;   // seconds
  uint32_t entry_valid_nsec;
  uint32_t attr_valid_nsec;
  fuse_attr attr;
};

// 96 bytes before 7.9.
struct fuse_attr_out {
  uint64_t attr_valid;  // seconds
  uint32_t attr_valid_nsec;
  uint32_t dummy;
  fuse_attr attr;
};

struct fuse_statx_out {
  uint64_t attr_valid;  // seconds
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  fuse_statx stat;
};

struct fuse_open_out {
  uint64_t fh;
  uint32_t open_flags;  // FOPEN_*
  int32_t backing_id;   // with FOPEN_PASSTHROUGH; since 7.40
};

struct fuse_write_out {
  uint32_t size;  // bytes
  uint32_t padding;
};

// 48 bytes before 7.4.
struct fuse_statfs_out {
  fuse_kstatfs st;
};

// When size 0 was asked.
struct fuse_getxattr_out {
  uint32_t size;  // bytes
  uint32_t padding;
};

struct fuse_lk_out {
  fuse_file_lock lk;
};

// 8 bytes before 7.5, 24 before 7.23.
struct fuse_init_out {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;  // bytes
  uint32_t flags;
  uint16_t max_background;        // requests
  uint16_t congestion_threshold;  // requests
  uint32_t max_write;             // bytes
  uint32_t time_gran;             // nanoseconds
  uint16_t max_pages;
  uint16_t map_alignment;  // log2 of bytes
  uint32_t flags2;
  uint32_t max_stack_depth;  // since 7.40
  uint16_t request_timeout;  // seconds; since 7.43
  uint16_t unused[11];
};

// Followed by the description of the device.
struct cuse_init_out {
  uint32_t major;
  uint32_t minor;
  uint32_t unused;
  uint32_t flags;  // CUSE_*
  uint32_t max_read;
  uint32_t max_write;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint32_t spare[10];
};

struct fuse_bmap_out {
  uint64_t block;
};

struct fuse_ioctl_iovec {
  uint64_t base;
  uint64_t len;
};

// Followed by bytes, or by iovecs where FUSE_IOCTL_RETRY is set.
struct fuse_ioctl_out {
  int32_t result;
  uint32_t flags;  // FUSE_IOCTL_*
  uint32_t in_iovs;
  uint32_t out_iovs;
};

struct fuse_poll_out {
  uint32_t revents;  // POLL*
  uint32_t padding;
};

struct fuse_lseek_out {
  uint64_t offset;
};

// Of COPY_FILE_RANGE_64.
struct fuse_copy_file_range_out {
  uint64_t bytes_copied;
};

// Followed by `namelen` bytes without NUL, padded to 8 bytes.
struct fuse_dirent {
  uint64_t ino;
  uint64_t off;  // where READDIR goes on
  uint32_t namelen;
  uint32_t type;  // DT_*
};

// Followed by the name, as fuse_dirent.
struct fuse_direntplus {
  fuse_entry_out entry_out;
  fuse_dirent dirent;
};

struct fuse_notify_poll_wakeup_out {
  uint64_t kh;
};

// A negative `off` drops the attributes alone.
struct fuse_notify_inval_inode_out {
  uint64_t ino;  // node id
  int64_t off;
  int64_t len;
};

// Followed by the name and a NUL.
struct fuse_notify_inval_entry_out {
  uint64_t parent;
  uint32_t namelen;
  uint32_t flags;  // FUSE_EXPIRE_ONLY
};

// Followed by the name and a NUL.
struct fuse_notify_delete_out {
  uint64_t parent;
  uint64_t child;
  uint32_t namelen;
  uint32_t padding;
};

// Followed by `size` bytes.
struct fuse_notify_store_out {
  uint64_t nodeid;
  uint64_t offset;
  uint32_t size;
  uint32_t padding;
};

struct fuse_notify_retrieve_out {
  uint64_t notify_unique;
  uint64_t nodeid;
  uint64_t offset;
  uint32_t size;
  uint32_t padding;
};

// Followed by `count` node ids of 8 bytes.
struct fuse_notify_prune_out {
  uint32_t count;
  uint32_t padding;
  uint64_t spare;
};

// Where the name of a directory entry starts.
inline constexpr size_t FUSE_NAME_OFFSET = sizeof(fuse_dirent);
inline constexpr size_t FUSE_NAME_OFFSET_DIRENTPLUS = sizeof(fuse_direntplus);

// What kernels of older versions expect.
inline constexpr uint32_t FUSE_COMPAT_ENTRY_OUT_SIZE = 120;
inline constexpr uint32_t FUSE_COMPAT_ATTR_OUT_SIZE = 96;
inline constexpr uint32_t FUSE_COMPAT_STATFS_SIZE = 48;
inline constexpr uint32_t FUSE_COMPAT_INIT_OUT_SIZE = 8;
inline constexpr uint32_t FUSE_COMPAT_22_INIT_OUT_SIZE = 24;

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_REPLIES_H_
