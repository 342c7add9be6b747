// FUSE over io_uring, since 7.42: the headers in front of each ring entry and
// the command that registers and commits one.
#ifndef BAREFUSE_KERNEL_ABI_URING_H_
#define BAREFUSE_KERNEL_ABI_URING_H_

#include "kernel_abi/common.h"

namespace barefuse::abi {

// The state of a ring entry.
struct fuse_uring_ent_in_out {
  uint64_t flags;
  uint64_t commit_id;   // names the request when it is committed
  uint32_t payload_sz;  // bytes in use
  uint32_t padding;
  uint64_t reserved;
};

// Room for fuse_in_header or fuse_out_header, and for the fixed struct.
inline constexpr size_t FUSE_URING_IN_OUT_HEADER_SZ = 128;
inline constexpr size_t FUSE_URING_OP_IN_OUT_SZ = 128;

// The first iovec of an entry; the second is the payload.
struct fuse_uring_req_header {
  char in_out[FUSE_URING_IN_OUT_HEADER_SZ];
  char op_in[FUSE_URING_OP_IN_OUT_SZ];
  fuse_uring_ent_in_out ring_ent_in_out;
};

// io_uring_sqe.cmd_op
enum fuse_uring_cmd : uint32_t {
  FUSE_IO_URING_CMD_INVALID = 0,
  FUSE_IO_URING_CMD_REGISTER = 1,
  FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2,
};

// io_uring_sqe.cmd
struct fuse_uring_cmd_req {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t qid;  // the queue: a core's number
  uint8_t padding[6];
};

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_URING_H_
