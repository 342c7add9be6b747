// What this machine's <linux/fuse.h> says, without including it.
#ifndef BAREFUSE_TESTS_ABI_SYSTEM_HEADER_H_
#define BAREFUSE_TESTS_ABI_SYSTEM_HEADER_H_

#include <cstdint>
#include <span>

#include "tests/abi/rows.h"

namespace barefuse::abi_test {

// The minor version of the interface that the header is of.
uint32_t SystemMinorVersion();

// The part of the 7.45 interface that the header has, in the order of the CSV
// files.
std::span<const SystemLayoutRow> SystemLayout();
std::span<const SystemConstantRow> SystemConstants();

}  // namespace barefuse::abi_test

#endif  // BAREFUSE_TESTS_ABI_SYSTEM_HEADER_H_
