// The FUSE interface of the Linux kernel up to version 7.45, whole.
//
// Written from the protocol; names of structs, fields and constants are the
// kernel's, inside the namespace barefuse::abi. Structs are plain bytes in the
// machine's byte order. Include this instead of <linux/fuse.h>, not beside it.
#ifndef BAREFUSE_KERNEL_ABI_FUSE_H_
#define BAREFUSE_KERNEL_ABI_FUSE_H_

#include "kernel_abi/attributes.h"
#include "kernel_abi/common.h"
#include "kernel_abi/device.h"
#include "kernel_abi/flags.h"
#include "kernel_abi/layout_asserts.h"
#include "kernel_abi/opcodes.h"
#include "kernel_abi/replies.h"
#include "kernel_abi/requests.h"
#include "kernel_abi/uring.h"

#endif  // BAREFUSE_KERNEL_ABI_FUSE_H_
