// What the two sides agreed to speak, as far as the layout of messages goes.
// Every size that depends on the version is decided here.
//
// Two minors matter. Replies follow the negotiated one, the lower of the two
// sides'. Requests follow the kernel's own: it sends the structs that it was
// built with, and shrinks only those behind which other bytes follow (WRITE,
// MKNOD, CREATE by the negotiated minor, SETXATTR by a capability). A server is
// not told by the protocol which of two sizes a message with nothing behind its
// struct will have, so both are accepted.
#ifndef BAREFUSE_PROTO_DIALECT_H_
#define BAREFUSE_PROTO_DIALECT_H_

#include <cstddef>
#include <cstdint>

#include "kernel_abi/fuse.h"
#include "proto/operations.h"

namespace barefuse::proto {

// The longest name that the kernel sends, without its NUL (FUSE_NAME_LOW_MAX
// and PATH_MAX - 1; the larger once max_pages is above 1).
inline constexpr uint32_t kShortNameMax = 1024;
inline constexpr uint32_t kLongNameMax = 4095;

// An immutable value, made by the INIT exchange.
struct Dialect {
  uint32_t minor = abi::FUSE_KERNEL_MINOR_VERSION;         // negotiated
  uint32_t kernel_minor = abi::FUSE_KERNEL_MINOR_VERSION;  // the kernel's own
  uint64_t flags = 0;  // FUSE_* capabilities of INIT that are on
  uint32_t name_max = kLongNameMax;

  bool Has(uint64_t capability) const {
    return (flags & capability) == capability;
  }

  // --- Replies ---

  size_t EntryOutSize() const {
    return minor < 9 ? abi::FUSE_COMPAT_ENTRY_OUT_SIZE
                     : sizeof(abi::fuse_entry_out);
  }
  size_t AttrOutSize() const {
    return minor < 9 ? abi::FUSE_COMPAT_ATTR_OUT_SIZE
                     : sizeof(abi::fuse_attr_out);
  }
  size_t StatfsOutSize() const {
    return minor < 4 ? abi::FUSE_COMPAT_STATFS_SIZE
                     : sizeof(abi::fuse_statfs_out);
  }
  size_t InitOutSize() const {
    if (minor < 5) return abi::FUSE_COMPAT_INIT_OUT_SIZE;
    if (minor < 23) return abi::FUSE_COMPAT_22_INIT_OUT_SIZE;
    return sizeof(abi::fuse_init_out);
  }

  // --- Requests ---

  // The size of the fixed struct of a request whose payload starts behind it.
  // It must be certain, since other bytes follow.
  size_t FixedSize(const Operation& operation) const {
    if (operation.opcode == abi::FUSE_SETXATTR) {
      return Has(abi::FUSE_SETXATTR_EXT) ? operation.fixed_size
                                         : operation.old_fixed_size;
    }
    return minor < operation.grew ? operation.old_fixed_size
                                  : operation.fixed_size;
  }

  // Where nothing follows, the length of the body tells which it is.
  static bool IsWholeSize(const Operation& operation, size_t size) {
    return size == operation.fixed_size ||
           (operation.grew != 0 && size == operation.old_fixed_size);
  }

  // How long the kernel's side makes the fixed struct.
  size_t SentSize(const Operation& operation) const {
    if (operation.opcode == abi::FUSE_INIT) return InitInSize(kernel_minor);
    if (operation.payload != Payload::kNone) return FixedSize(operation);
    return kernel_minor < operation.grew ? operation.old_fixed_size
                                         : operation.fixed_size;
  }

  // INIT comes before anything is agreed. What a longer one of a later version
  // has behind 64 bytes is not known.
  static size_t InitInSize(uint32_t kernel_minor) {
    if (kernel_minor < 6) return 8;
    return kernel_minor < 36 ? 16 : sizeof(abi::fuse_init_in);
  }
  static size_t KnownInitInSize(size_t size) {
    if (size >= sizeof(abi::fuse_init_in)) return sizeof(abi::fuse_init_in);
    return size >= 16 ? 16 : 8;
  }

  // Whether the header says how many bytes of extensions there are. Before, a
  // security context simply fills the rest of the message.
  bool HasExtensionLength() const { return kernel_minor >= 38; }
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DIALECT_H_
