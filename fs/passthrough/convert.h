// The source's stat structures as the protocol's.
#ifndef BAREFUSE_FS_PASSTHROUGH_CONVERT_H_
#define BAREFUSE_FS_PASSTHROUGH_CONVERT_H_

#include <sys/stat.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "kernel_abi/fuse.h"

namespace barefuse {

inline abi::fuse_attr ToAttr(const struct stat& info) {
  abi::fuse_attr attr{};
  attr.ino = info.st_ino;
  attr.size = static_cast<uint64_t>(info.st_size);
  attr.blocks = static_cast<uint64_t>(info.st_blocks);
  attr.atime = static_cast<uint64_t>(info.st_atim.tv_sec);
  attr.mtime = static_cast<uint64_t>(info.st_mtim.tv_sec);
  attr.ctime = static_cast<uint64_t>(info.st_ctim.tv_sec);
  attr.atimensec = static_cast<uint32_t>(info.st_atim.tv_nsec);
  attr.mtimensec = static_cast<uint32_t>(info.st_mtim.tv_nsec);
  attr.ctimensec = static_cast<uint32_t>(info.st_ctim.tv_nsec);
  attr.mode = info.st_mode;
  attr.nlink = static_cast<uint32_t>(info.st_nlink);
  attr.uid = info.st_uid;
  attr.gid = info.st_gid;
  // The kernel's 32-bit form: the low 8 bits of minor, major, then the rest.
  attr.rdev = static_cast<uint32_t>(info.st_rdev);
  attr.blksize = static_cast<uint32_t>(info.st_blksize);
  return attr;
}

// A view made into something that a system call takes.
class CName {
 public:
  explicit CName(std::string_view name) : name_(name) {}
  const char* c_str() const { return name_.c_str(); }

 private:
  std::string name_;
};

// "17" or, for calls that know no directory descriptor, "/proc/self/fd/17".
class FdName {
 public:
  explicit FdName(int fd) {
    std::snprintf(text_, sizeof text_, "/proc/self/fd/%d", fd);
  }
  const char* path() const { return text_; }
  const char* name() const { return text_ + sizeof("/proc/self/fd/") - 1; }

 private:
  char text_[32];
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_CONVERT_H_
