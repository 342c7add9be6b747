// Included first by every header of kernel_abi/.
#ifndef BAREFUSE_KERNEL_ABI_COMMON_H_
#define BAREFUSE_KERNEL_ABI_COMMON_H_

#include <cstddef>
#include <cstdint>

// The constants here have the kernel's names but are C++ constants in a
// namespace. The system's header defines some of the same names as macros,
// which would rewrite them.
#ifdef _LINUX_FUSE_H
#error \
    "include barefuse's kernel_abi headers instead of <linux/fuse.h>: both name the same interface"
#endif

namespace barefuse::abi {

inline constexpr uint32_t FUSE_KERNEL_VERSION = 7;
inline constexpr uint32_t FUSE_KERNEL_MINOR_VERSION = 45;

// The node id of the mount's root directory.
inline constexpr uint64_t FUSE_ROOT_ID = 1;

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_COMMON_H_
