// The ioctls of /dev/fuse.
#ifndef BAREFUSE_KERNEL_ABI_DEVICE_H_
#define BAREFUSE_KERNEL_ABI_DEVICE_H_

#include "kernel_abi/common.h"

namespace barefuse::abi {

// The argument of BACKING_OPEN.
struct fuse_backing_map {
  int32_t fd;        // of the backing file; O_PATH will do
  uint32_t flags;    // 0
  uint64_t padding;  // 0
};

inline constexpr uint32_t FUSE_DEV_IOC_MAGIC = 229;

namespace internal {
// An ioctl number as asm-generic/ioctl.h lays it out: direction, size, type,
// number. Direction 1 hands data to the kernel, 2 gets it back.
constexpr uint32_t DeviceIoctl(uint32_t direction, uint32_t number,
                               size_t size) {
  return direction << 30 | static_cast<uint32_t>(size) << 16 |
         FUSE_DEV_IOC_MAGIC << 8 | number;
}
}  // namespace internal

// Makes a freshly opened /dev/fuse a second descriptor of the connection whose
// descriptor is pointed to.
inline constexpr uint32_t FUSE_DEV_IOC_CLONE =
    internal::DeviceIoctl(2, 0, sizeof(uint32_t));
// Registers a backing file, gives its id. 7.40, needs CAP_SYS_ADMIN.
inline constexpr uint32_t FUSE_DEV_IOC_BACKING_OPEN =
    internal::DeviceIoctl(1, 1, sizeof(fuse_backing_map));
// Takes the id pointed to back; files that are open keep it.
inline constexpr uint32_t FUSE_DEV_IOC_BACKING_CLOSE =
    internal::DeviceIoctl(1, 2, sizeof(uint32_t));
// Before mount(2): makes it wait for the reply to INIT.
inline constexpr uint32_t FUSE_DEV_IOC_SYNC_INIT =
    internal::DeviceIoctl(0, 3, 0);

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_DEVICE_H_
