// The structs that both requests and replies contain.
#ifndef BAREFUSE_KERNEL_ABI_ATTRIBUTES_H_
#define BAREFUSE_KERNEL_ABI_ATTRIBUTES_H_

#include "kernel_abi/common.h"

namespace barefuse::abi {

// What stat(2) shows. Times are seconds and, apart, nanoseconds.
struct fuse_attr {
  uint64_t ino;
  uint64_t size;    // bytes
  uint64_t blocks;  // of 512 bytes
  uint64_t atime;
  uint64_t mtime;
  uint64_t ctime;
  uint32_t atimensec;
  uint32_t mtimensec;
  uint32_t ctimensec;
  uint32_t mode;  // type and permissions
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint32_t rdev;
  uint32_t blksize;  // since 7.9
  uint32_t flags;    // FUSE_ATTR_*
};

// A time of statx(2).
struct fuse_sx_time {
  int64_t tv_sec;
  uint32_t tv_nsec;
  int32_t __reserved;
};

// What statx(2) shows; `mask` says which fields are filled in.
struct fuse_statx {
  uint32_t mask;  // STATX_*
  uint32_t blksize;
  uint64_t attributes;  // STATX_ATTR_*
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t __spare0[1];
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  fuse_sx_time atime;
  fuse_sx_time btime;
  fuse_sx_time ctime;
  fuse_sx_time mtime;
  uint32_t rdev_major;
  uint32_t rdev_minor;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint64_t __spare2[14];
};

// What statfs(2) shows.
struct fuse_kstatfs {
  uint64_t blocks;  // of frsize bytes
  uint64_t bfree;
  uint64_t bavail;
  uint64_t files;
  uint64_t ffree;
  uint32_t bsize;    // bytes
  uint32_t namelen;  // bytes
  uint32_t frsize;   // bytes; since 7.4
  uint32_t padding;
  uint32_t spare[6];
};

// A byte range lock; `end` is included, OFFSET_MAX is to the end of the file.
struct fuse_file_lock {
  uint64_t start;
  uint64_t end;
  uint32_t type;  // F_RDLCK, F_WRLCK, F_UNLCK
  uint32_t pid;   // thread group id of the owner
};

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_ATTRIBUTES_H_
