// What filesystems can hold, and how they count, where they differ.
#ifndef BAREFUSE_TESTS_KERNEL_SUITE_LIMITS_H_
#define BAREFUSE_TESTS_KERNEL_SUITE_LIMITS_H_

#include <errno.h>
#include <linux/limits.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace barefuse {

// Where a limit is not round, some round number below it that tests keep to;
// then what a test tries beyond is well above it.
struct Limits {
  size_t symlink_target = 4095;
  // Bytes of the value of one extended attribute. One that is longer gives
  // ENOSPC.
  size_t xattr_value = XATTR_SIZE_MAX;
  // Small extended attributes that a file has room for.
  int xattrs = 1000;
  // The last second; what is beyond becomes this.
  int64_t last_time = INT64_MAX;
  // The numbers of device nodes. Larger ones give EINVAL.
  unsigned major = 0xfff;
  unsigned minor = 0xfffff;
  // What a rename onto a directory with entries gives.
  int not_empty = ENOTEMPTY;
  // Whether directories count the names in their subdirectories as links;
  // otherwise each has one link.
  bool directories_count_links = true;
  // Whether statfs(2) counts files.
  bool counts_files = true;
  // Whether what is overwritten needs no new room.
  bool overwrites_in_place = true;
  // Whether mknod(2) makes whiteouts; otherwise it gives EPERM.
  bool mknod_whiteouts = true;
  // Whether RENAME_WHITEOUT leaves one; otherwise it is refused, with EINVAL.
  bool rename_whiteouts = true;
  // What is listed beside system.posix_acl_access, to root.
  std::string_view acl_companion = "";
};

// Of memfs and of the filesystems in SourceFileSystem::Types(), as they are
// made there.
constexpr Limits LimitsOf(std::string_view type) {
  Limits limits;
  if (type == "ext4" || type == "overlay") {
    // All attributes of a file share one block. The two topmost bits of the
    // nanoseconds' word extend the 32 bits of seconds.
    limits.xattr_value = 4000;
    limits.xattrs = 60;
    limits.last_time = 15032385535;
  }
  if (type == "overlay") {
    // It could not tell them from its own.
    limits.mknod_whiteouts = limits.rename_whiteouts = false;
  }
  if (type == "xfs") {
    // "bigtime": 64 bits of nanoseconds since 1901.
    limits.last_time = 16299260424;
    limits.symlink_target = 1023;
    limits.major = 0x1ff;
    limits.minor = 0x3ffff;
    limits.not_empty = EEXIST;
    limits.acl_companion = "trusted.SGI_ACL_FILE";
  }
  if (type == "btrfs") {
    // An attribute lies in one node of the tree.
    limits.xattr_value = 16000;
    limits.directories_count_links = false;
    limits.counts_files = false;
    limits.overwrites_in_place = false;
  }
  if (type == "memfs") limits.rename_whiteouts = false;
  return limits;
}

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_SUITE_LIMITS_H_
