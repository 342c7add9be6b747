// The source's stat structures as the protocol's.
#ifndef BAREFUSE_FS_PASSTHROUGH_CONVERT_H_
#define BAREFUSE_FS_PASSTHROUGH_CONVERT_H_

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "absl/hash/hash.h"
#include "kernel_abi/fuse.h"
#include "server/request.h"

namespace barefuse {

inline abi::fuse_attr ToAttr(const struct statx& info) {
  auto seconds = [](const statx_timestamp& time) {
    return static_cast<uint64_t>(time.tv_sec);
  };
  abi::fuse_attr attr{};
  attr.ino = info.stx_ino;
  attr.size = info.stx_size;
  attr.blocks = info.stx_blocks;
  attr.atime = seconds(info.stx_atime);
  attr.mtime = seconds(info.stx_mtime);
  attr.ctime = seconds(info.stx_ctime);
  attr.atimensec = info.stx_atime.tv_nsec;
  attr.mtimensec = info.stx_mtime.tv_nsec;
  attr.ctimensec = info.stx_ctime.tv_nsec;
  attr.mode = info.stx_mode;
  attr.nlink = info.stx_nlink;
  attr.uid = info.stx_uid;
  attr.gid = info.stx_gid;
  // The kernel's 32-bit form: the low 8 bits of minor, major, then the rest.
  attr.rdev = (info.stx_rdev_minor & 0xff) | info.stx_rdev_major << 8 |
              (info.stx_rdev_minor & ~0xffu) << 12;
  attr.blksize = info.stx_blksize;
  return attr;
}

// Tells the names of one inode apart.
inline uint64_t NameKey(NodeId parent, std::string_view name) {
  return absl::HashOf(parent, name) | 1;
}

// A view made into something that a system call takes.
class CName {
 public:
  explicit CName(std::string_view name) : name_(name) {}
  const char* c_str() const { return name_.c_str(); }

 private:
  std::string name_;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_CONVERT_H_
