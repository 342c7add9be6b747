#include "tests/abi/system_header.h"

#include <linux/fuse.h>
#include <sys/ioctl.h>  // _IOR, which the header uses and does not include

#include <cstddef>

namespace barefuse::abi_test {
namespace {

constexpr SystemLayoutRow kLayout[] = {
#include "tests/abi/system_layout.inc"
};

constexpr SystemConstantRow kConstants[] = {
#include "tests/abi/system_constants.inc"
};

}  // namespace

uint32_t SystemMinorVersion() { return FUSE_KERNEL_MINOR_VERSION; }

std::span<const SystemLayoutRow> SystemLayout() { return kLayout; }

std::span<const SystemConstantRow> SystemConstants() { return kConstants; }

}  // namespace barefuse::abi_test
