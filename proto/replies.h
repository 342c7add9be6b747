// The replies of the protocol as types.
//
// Most are one struct of kernel_abi/replies.h. A struct that an older minor has
// shorter is completed with zeros. Data and names are views into the bytes that
// were decoded and live exactly as long as those.
#ifndef BAREFUSE_PROTO_REPLIES_H_
#define BAREFUSE_PROTO_REPLIES_H_

#include <cstddef>
#include <cstdint>
#include <variant>

#include "kernel_abi/fuse.h"
#include "proto/operations.h"
#include "proto/requests.h"

namespace barefuse::proto {

// The largest errno that a reply may carry.
inline constexpr int kMaxErrno = 511;

// Success without more; also the body of an error.
struct EmptyOut {};

// CREATE and TMPFILE answer with both.
struct CreateOut {
  abi::fuse_entry_out entry{};
  abi::fuse_open_out open{};
  // The kernel expects the entry of CREATE in the size of the minor, that of
  // TMPFILE, which is younger than all of them, always whole.
  bool tmpfile = false;
};

// READ, READLINK, and the bytes of GETXATTR and LISTXATTR.
struct DataOut {
  Bytes data;
};

// READDIR and READDIRPLUS: records for a DirectoryReader (proto/directory.h).
struct DirectoryOut {
  Bytes records;
};
struct DirectoryPlusOut {
  Bytes records;
};

// IOCTL. With FUSE_IOCTL_RETRY in flags: in_iovs, then out_iovs iovecs, which
// say what memory of the caller the kernel is to copy before it asks again.
// Otherwise what the caller gets back.
struct IoctlOut : abi::fuse_ioctl_out {
  Bytes data;

  WireArray<abi::fuse_ioctl_iovec> iovecs() const {
    return WireArray<abi::fuse_ioctl_iovec>(data);
  }
};

// CUSE_INIT: followed by strings that describe the device ("DEVNAME=foo"), each
// with its NUL.
struct CuseInitOut : abi::cuse_init_out {
  Bytes info;
};

// Any of them. GETXATTR and LISTXATTR answer with fuse_getxattr_out where they
// were asked for the size, with DataOut where for the bytes.
using AnyReply =
    std::variant<EmptyOut, abi::fuse_init_out, abi::fuse_entry_out,
                 abi::fuse_attr_out, abi::fuse_statx_out, abi::fuse_open_out,
                 CreateOut, abi::fuse_write_out, abi::fuse_statfs_out,
                 abi::fuse_getxattr_out, abi::fuse_lk_out, abi::fuse_bmap_out,
                 IoctlOut, abi::fuse_poll_out, abi::fuse_lseek_out,
                 abi::fuse_copy_file_range_out, DataOut, DirectoryOut,
                 DirectoryPlusOut, CuseInitOut>;

// What a request has asked for, as far as its reply depends on it.
struct Asked {
  uint32_t opcode = 0;
  uint32_t size = 0;  // bytes; the most that a reply may carry
};

// From the request.
Asked WhatIsAsked(const Request& request);

// A decoded reply: `header.error` is 0 or a negative errno, with which `body`
// is EmptyOut.
struct ReplyMessage {
  abi::fuse_out_header header{};
  AnyReply body;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_REPLIES_H_
