// Typed replies to bytes: the server's side of the protocol.
//
// A reply is a fuse_out_header, a fixed struct whose size follows the
// negotiated minor, and perhaps data. The functions here write the first two;
// data travels beside them, without a copy.
#ifndef BAREFUSE_PROTO_ENCODE_REPLY_H_
#define BAREFUSE_PROTO_ENCODE_REPLY_H_

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "kernel_abi/fuse.h"
#include "proto/dialect.h"
#include "proto/error.h"
#include "proto/reply_layout.h"

namespace barefuse::proto {

// Header and fixed struct of one reply, ready to be sent.
class ReplyHead {
 public:
  static constexpr size_t kCapacity =
      sizeof(abi::fuse_out_header) + sizeof(abi::fuse_statx_out);

  // Without a struct. Each Encode replaces what was there.
  void Encode(const Dialect&) { size_ = sizeof(abi::fuse_out_header); }
  template <class T>
  void Encode(const Dialect& dialect, const T& out) {
    static_assert(sizeof(abi::fuse_out_header) + sizeof(T) <= kCapacity);
    size_ = sizeof(abi::fuse_out_header);
    Append(&out, ReplySize(dialect, out));
  }
  void Encode(const Dialect& dialect, const CreateOut& out) {
    Encode(dialect);
    Append(&out.entry,
           out.tmpfile ? sizeof out.entry : ReplySize(dialect, out.entry));
    Append(&out.open, sizeof out.open);
  }

  // Writes the header: the answer to `unique`, with `data_size` bytes of data
  // to follow.
  void Finish(uint64_t unique, size_t data_size) {
    WriteHeader(unique, 0, size_ + data_size);
  }
  // Makes it an error reply, which is the header alone. An errno outside 1 ..
  // kMaxErrno, which the kernel would refuse, becomes EIO.
  void FinishError(uint64_t unique, int error);

  std::span<const std::byte> bytes() const { return {bytes_.data(), size_}; }
  abi::fuse_out_header header() const {
    abi::fuse_out_header header;
    std::memcpy(&header, bytes_.data(), sizeof header);
    return header;
  }

 private:
  void Append(const void* from, size_t size) {
    std::memcpy(bytes_.data() + size_, from, size);
    size_ += size;
  }
  void WriteHeader(uint64_t unique, int32_t error, size_t length) {
    abi::fuse_out_header header{static_cast<uint32_t>(length), error, unique};
    std::memcpy(bytes_.data(), &header, sizeof header);
  }

  alignas(8) std::array<std::byte, kCapacity> bytes_;
  size_t size_ = sizeof(abi::fuse_out_header);
};

// Writes a whole reply in one piece, for those who do not keep its data apart:
// header.unique, header.error (0 or a negative errno, with which the body is
// left out) and the body. The kind of body must be the one that the request is
// owed; that is not checked here. Unique 0 is a fault: nobody would be
// answered.
Encoded EncodeReply(const ReplyMessage& reply, const Dialect& dialect,
                    std::span<std::byte> buffer);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_ENCODE_REPLY_H_
