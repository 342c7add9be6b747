// The requests of the protocol as types, one for each row of the table in
// proto/operations.h.
//
// A request with a fixed struct inherits it, so its fields have the kernel's
// names: `read.offset`, `create.mode`. A struct that an older kernel sends
// shorter is completed with zeros. Names, data and arrays are views into the
// bytes that were decoded and live exactly as long as those.
#ifndef BAREFUSE_PROTO_REQUESTS_H_
#define BAREFUSE_PROTO_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <variant>

#include "kernel_abi/fuse.h"
#include "proto/operations.h"

namespace barefuse::proto {

using Bytes = std::span<const std::byte>;

// The extensions behind the name of a creating request: security contexts
// (FUSE_SECURITY_CTX) and the parent's group (FUSE_CREATE_SUPP_GROUP), as the
// bytes of the wire.
struct Extensions {
  Bytes bytes;
};

// `count` structs of the wire, which may be unaligned: read by copy.
template <class T>
class WireArray {
 public:
  WireArray() = default;
  explicit WireArray(Bytes bytes) : bytes_(bytes) {}

  size_t size() const { return bytes_.size() / sizeof(T); }
  // Requires i < size().
  T operator[](size_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + i * sizeof(T), sizeof(T));
    return value;
  }
  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

// The names of a request never contain a slash or a NUL and are never empty.
// "." and ".." are possible in LOOKUP where FUSE_EXPORT_SUPPORT is on.
struct Lookup {
  std::string_view name;
};
struct Forget : abi::fuse_forget_in {};
struct Getattr : abi::fuse_getattr_in {};
struct Setattr : abi::fuse_setattr_in {};
struct Readlink {};
struct Symlink {
  std::string_view name;
  std::string_view target;  // any bytes but NUL
  Extensions extensions;
};
struct Mknod : abi::fuse_mknod_in {
  std::string_view name;
  Extensions extensions;
};
struct Mkdir : abi::fuse_mkdir_in {
  std::string_view name;
  Extensions extensions;
};
struct Unlink {
  std::string_view name;
};
struct Rmdir {
  std::string_view name;
};
struct Rename : abi::fuse_rename_in {
  std::string_view old_name;
  std::string_view new_name;
};
struct Link : abi::fuse_link_in {
  std::string_view name;
};
struct Open : abi::fuse_open_in {};
struct Read : abi::fuse_read_in {};
struct Write : abi::fuse_write_in {
  Bytes data;  // exactly `size` bytes
};
struct Statfs {};
struct Release : abi::fuse_release_in {};
struct Fsync : abi::fuse_fsync_in {};
struct Setxattr : abi::fuse_setxattr_in {
  std::string_view name;
  Bytes value;  // exactly `size` bytes
};
struct Getxattr : abi::fuse_getxattr_in {
  std::string_view name;
};
struct Listxattr : abi::fuse_getxattr_in {};
struct Removexattr {
  std::string_view name;
};
struct Flush : abi::fuse_flush_in {};
struct Init : abi::fuse_init_in {};
struct Opendir : abi::fuse_open_in {};
struct Readdir : abi::fuse_read_in {};
struct Releasedir : abi::fuse_release_in {};
struct Fsyncdir : abi::fuse_fsync_in {};
struct Getlk : abi::fuse_lk_in {};
struct Setlk : abi::fuse_lk_in {};
struct Setlkw : abi::fuse_lk_in {};
struct Access : abi::fuse_access_in {};
struct Create : abi::fuse_create_in {
  std::string_view name;
  Extensions extensions;
};
struct Interrupt {
  uint64_t victim = 0;  // the unique of the request that was interrupted
};
struct Bmap : abi::fuse_bmap_in {};
struct Destroy {};
struct Ioctl : abi::fuse_ioctl_in {
  Bytes data;  // exactly `in_size` bytes
};
struct Poll : abi::fuse_poll_in {};
struct NotifyReply : abi::fuse_notify_retrieve_in {
  Bytes data;  // exactly `size` bytes
};
struct BatchForget : abi::fuse_batch_forget_in {
  WireArray<abi::fuse_forget_one> items;  // exactly `count` of them
};
struct Fallocate : abi::fuse_fallocate_in {};
struct Readdirplus : abi::fuse_read_in {};
struct Rename2 : abi::fuse_rename2_in {
  std::string_view old_name;
  std::string_view new_name;
};
struct Lseek : abi::fuse_lseek_in {};
struct CopyFileRange : abi::fuse_copy_file_range_in {};
struct Setupmapping : abi::fuse_setupmapping_in {};
struct Removemapping : abi::fuse_removemapping_in {
  WireArray<abi::fuse_removemapping_one> items;  // exactly `count` of them
};
struct Syncfs : abi::fuse_syncfs_in {};
struct Tmpfile : abi::fuse_create_in {
  std::string_view name;  // "/": the kernel's placeholder for no name
  Extensions extensions;
};
struct Statx : abi::fuse_statx_in {};
struct CopyFileRange64 : abi::fuse_copy_file_range_in {};
struct CuseInit : abi::cuse_init_in {};

// Any of them. The first alternative stands for "nothing decoded yet".
namespace internal {
template <class... Ts>
using OperationVariant = std::variant<std::monostate, Ts...>;
struct EndOfList {};
}  // namespace internal

#define BAREFUSE_COMMA_TYPE(CONSTANT, Type, ...) Type,
using AnyOperation = internal::OperationVariant<BAREFUSE_OPERATIONS(
    BAREFUSE_COMMA_TYPE) internal::EndOfList>;
#undef BAREFUSE_COMMA_TYPE

// Whether a type is one of the requests above, and its opcode.
template <class Op>
inline constexpr bool kIsOperation = false;
template <class Op>
inline constexpr uint32_t kOpcodeOf = 0;
#define BAREFUSE_OPCODE_OF(CONSTANT, Type, ...)    \
  template <>                                      \
  inline constexpr bool kIsOperation<Type> = true; \
  template <>                                      \
  inline constexpr uint32_t kOpcodeOf<Type> = abi::CONSTANT;
BAREFUSE_OPERATIONS(BAREFUSE_OPCODE_OF)
#undef BAREFUSE_OPCODE_OF

// The row of a request type.
template <class Op>
constexpr const Operation& OperationOf() {
  return kOperations[OperationIndex(kOpcodeOf<Op>)];
}

// A decoded request: whose it is, and what it asks.
struct Request {
  abi::fuse_in_header header{};
  AnyOperation operation;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_REQUESTS_H_
