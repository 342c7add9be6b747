// What a request asks for, and what a notification tells.
#ifndef BAREFUSE_KERNEL_ABI_OPCODES_H_
#define BAREFUSE_KERNEL_ABI_OPCODES_H_

#include "kernel_abi/common.h"

namespace barefuse::abi {

// fuse_in_header.opcode. 7 and 19 were never given out.
enum fuse_opcode : uint32_t {
  FUSE_LOOKUP = 1,
  FUSE_FORGET = 2,  // no reply
  FUSE_GETATTR = 3,
  FUSE_SETATTR = 4,
  FUSE_READLINK = 5,
  FUSE_SYMLINK = 6,
  FUSE_MKNOD = 8,
  FUSE_MKDIR = 9,
  FUSE_UNLINK = 10,
  FUSE_RMDIR = 11,
  FUSE_RENAME = 12,
  FUSE_LINK = 13,
  FUSE_OPEN = 14,
  FUSE_READ = 15,
  FUSE_WRITE = 16,
  FUSE_STATFS = 17,
  FUSE_RELEASE = 18,
  FUSE_FSYNC = 20,
  FUSE_SETXATTR = 21,
  FUSE_GETXATTR = 22,
  FUSE_LISTXATTR = 23,
  FUSE_REMOVEXATTR = 24,
  FUSE_FLUSH = 25,
  FUSE_INIT = 26,
  FUSE_OPENDIR = 27,
  FUSE_READDIR = 28,
  FUSE_RELEASEDIR = 29,
  FUSE_FSYNCDIR = 30,            // 7.2
  FUSE_GETLK = 31,               // 7.7
  FUSE_SETLK = 32,               // 7.7
  FUSE_SETLKW = 33,              // 7.7
  FUSE_ACCESS = 34,              // 7.3
  FUSE_CREATE = 35,              // 7.3
  FUSE_INTERRUPT = 36,           // 7.7, at most a special reply
  FUSE_BMAP = 37,                // 7.8
  FUSE_DESTROY = 38,             // 7.8
  FUSE_IOCTL = 39,               // 7.11
  FUSE_POLL = 40,                // 7.11
  FUSE_NOTIFY_REPLY = 41,        // 7.15, no reply: it is one
  FUSE_BATCH_FORGET = 42,        // 7.16, no reply
  FUSE_FALLOCATE = 43,           // 7.19
  FUSE_READDIRPLUS = 44,         // 7.21
  FUSE_RENAME2 = 45,             // 7.23
  FUSE_LSEEK = 46,               // 7.24
  FUSE_COPY_FILE_RANGE = 47,     // 7.28
  FUSE_SETUPMAPPING = 48,        // 7.31, virtio-fs with DAX only
  FUSE_REMOVEMAPPING = 49,       // 7.31, virtio-fs with DAX only
  FUSE_SYNCFS = 50,              // 7.34
  FUSE_TMPFILE = 51,             // 7.37
  FUSE_STATX = 52,               // 7.39
  FUSE_COPY_FILE_RANGE_64 = 53,  // 7.45

  CUSE_INIT = 4096,  // 7.12, character devices only

  // INIT and CUSE_INIT as they look from a machine of the other byte order.
  CUSE_INIT_BSWAP_RESERVED = 1u << 20,
  FUSE_INIT_BSWAP_RESERVED = 26u << 24,
};

// fuse_out_header.error of a notification, whose unique is 0.
enum fuse_notify_code : uint32_t {
  FUSE_NOTIFY_POLL = 1,         // 7.11
  FUSE_NOTIFY_INVAL_INODE = 2,  // 7.12
  FUSE_NOTIFY_INVAL_ENTRY = 3,  // 7.12
  FUSE_NOTIFY_STORE = 4,        // 7.15
  FUSE_NOTIFY_RETRIEVE = 5,     // 7.15
  FUSE_NOTIFY_DELETE = 6,       // 7.18
  FUSE_NOTIFY_RESEND = 7,       // 7.40
  FUSE_NOTIFY_INC_EPOCH = 8,    // 7.44
  FUSE_NOTIFY_PRUNE = 9,        // 7.45
};

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_OPCODES_H_
