// What the two sides agreed to speak, as far as the layout of messages goes.
// Every size that depends on the version is decided here.
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
  uint32_t minor = abi::FUSE_KERNEL_MINOR_VERSION;  // the lower of the two
  uint64_t flags = 0;  // FUSE_* capabilities of INIT that are on
  uint32_t name_max = kLongNameMax;

  bool Has(uint64_t capability) const {
    return (flags & capability) == capability;
  }

  // Replies follow the negotiated minor, exactly.
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

  // The size of the fixed struct of a request whose payload starts behind it.
  // The kernel shrinks just these (WRITE, MKNOD, CREATE by the negotiated
  // minor; SETXATTR by capability), so the size is certain, as it must be
  // where other bytes follow.
  size_t FixedSize(const Operation& operation) const {
    if (operation.opcode == abi::FUSE_SETXATTR) {
      return Has(abi::FUSE_SETXATTR_EXT) ? operation.fixed_size
                                         : operation.old_fixed_size;
    }
    return operation.grew != 0 && minor < operation.grew
               ? operation.old_fixed_size
               : operation.fixed_size;
  }

  // Where nothing follows the fixed struct, the kernel sends its own version's
  // size whatever was negotiated, and the length of the body tells which.
  static bool IsWholeSize(const Operation& operation, size_t size) {
    return size == operation.fixed_size ||
           (operation.grew != 0 && size == operation.old_fixed_size);
  }
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DIALECT_H_
