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

namespace barefuse::proto {

// The largest errno that a reply may carry.
inline constexpr int kMaxErrno = 511;

// CREATE and TMPFILE answer with both.
struct CreateOut {
  abi::fuse_entry_out entry{};
  abi::fuse_open_out open{};
};

// How many bytes of `T` the other side expects. The structs without an overload
// of their own never changed.
template <class T>
constexpr size_t ReplySize(const Dialect&, const T&) {
  return sizeof(T);
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_entry_out&) {
  return d.EntryOutSize();
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_attr_out&) {
  return d.AttrOutSize();
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_statfs_out&) {
  return d.StatfsOutSize();
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_init_out&) {
  return d.InitOutSize();
}

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
    Encode(dialect, out.entry);
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

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_ENCODE_REPLY_H_
