#include "proto/encode_reply.h"

#include <cerrno>

namespace barefuse::proto {

void ReplyHead::FinishError(uint64_t unique, int error) {
  if (error < 1 || error > kMaxErrno) error = EIO;
  size_ = sizeof(abi::fuse_out_header);
  WriteHeader(unique, -error, size_);
}

}  // namespace barefuse::proto
