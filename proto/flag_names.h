// Flags by name, for messages that people read.
#ifndef BAREFUSE_PROTO_FLAG_NAMES_H_
#define BAREFUSE_PROTO_FLAG_NAMES_H_

#include <fcntl.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "kernel_abi/fuse.h"

namespace barefuse::proto {

struct FlagName {
  uint64_t mask;
  std::string_view name;
};
using FlagNames = std::span<const FlagName>;

inline constexpr FlagName kGetattrFlags[] = {{abi::FUSE_GETATTR_FH, "FH"}};

inline constexpr FlagName kSetattrFlags[] = {
    {abi::FATTR_MODE, "MODE"},
    {abi::FATTR_UID, "UID"},
    {abi::FATTR_GID, "GID"},
    {abi::FATTR_SIZE, "SIZE"},
    {abi::FATTR_ATIME, "ATIME"},
    {abi::FATTR_MTIME, "MTIME"},
    {abi::FATTR_FH, "FH"},
    {abi::FATTR_ATIME_NOW, "ATIME_NOW"},
    {abi::FATTR_MTIME_NOW, "MTIME_NOW"},
    {abi::FATTR_LOCKOWNER, "LOCKOWNER"},
    {abi::FATTR_CTIME, "CTIME"},
    {abi::FATTR_KILL_SUIDGID, "KILL_SUIDGID"},
};

inline constexpr FlagName kRenameFlags[] = {
    {1, "NOREPLACE"}, {2, "EXCHANGE"}, {4, "WHITEOUT"}};

// Access modes are values, not bits: the visitor shows O_RDONLY when neither
// of the others is there. The kernel's O_LARGEFILE is 0 in user space.
inline constexpr FlagName kOpenFlags[] = {
    {O_WRONLY, "O_WRONLY"},     {O_RDWR, "O_RDWR"},
    {O_CREAT, "O_CREAT"},       {O_EXCL, "O_EXCL"},
    {O_NOCTTY, "O_NOCTTY"},     {O_TRUNC, "O_TRUNC"},
    {O_APPEND, "O_APPEND"},     {O_NONBLOCK, "O_NONBLOCK"},
    {O_SYNC, "O_SYNC"},         {O_DSYNC, "O_DSYNC"},
    {O_DIRECT, "O_DIRECT"},     {0100000, "O_LARGEFILE"},
    {O_TMPFILE, "O_TMPFILE"},   {O_DIRECTORY, "O_DIRECTORY"},
    {O_NOFOLLOW, "O_NOFOLLOW"}, {O_NOATIME, "O_NOATIME"},
    {O_CLOEXEC, "O_CLOEXEC"},   {O_PATH, "O_PATH"},
};

inline constexpr FlagName kWriteFlags[] = {
    {abi::FUSE_WRITE_CACHE, "CACHE"},
    {abi::FUSE_WRITE_LOCKOWNER, "LOCKOWNER"},
    {abi::FUSE_WRITE_KILL_SUIDGID, "KILL_SUIDGID"},
};

inline constexpr FlagName kReleaseFlags[] = {
    {abi::FUSE_RELEASE_FLUSH, "FLUSH"},
    {abi::FUSE_RELEASE_FLOCK_UNLOCK, "FLOCK_UNLOCK"},
};

inline constexpr FlagName kFsyncFlags[] = {
    {abi::FUSE_FSYNC_FDATASYNC, "FDATASYNC"}};

inline constexpr FlagName kOpenOutFlags[] = {
    {abi::FOPEN_DIRECT_IO, "DIRECT_IO"},
    {abi::FOPEN_KEEP_CACHE, "KEEP_CACHE"},
    {abi::FOPEN_NONSEEKABLE, "NONSEEKABLE"},
    {abi::FOPEN_CACHE_DIR, "CACHE_DIR"},
    {abi::FOPEN_STREAM, "STREAM"},
    {abi::FOPEN_NOFLUSH, "NOFLUSH"},
    {abi::FOPEN_PARALLEL_DIRECT_WRITES, "PARALLEL_DIRECT_WRITES"},
    {abi::FOPEN_PASSTHROUGH, "PASSTHROUGH"},
};

inline constexpr FlagName kOpenInFlags[] = {
    {abi::FUSE_OPEN_KILL_SUIDGID, "KILL_SUIDGID"}};

// <sys/xattr.h> has them as an enum.
inline constexpr FlagName kSetxattrFlags[] = {{1, "CREATE"}, {2, "REPLACE"}};

inline constexpr FlagName kSetxattrExtFlags[] = {
    {abi::FUSE_SETXATTR_ACL_KILL_SGID, "ACL_KILL_SGID"}};

inline constexpr FlagName kLockFlags[] = {{abi::FUSE_LK_FLOCK, "FLOCK"}};

inline constexpr FlagName kIoctlFlags[] = {
    {abi::FUSE_IOCTL_COMPAT, "COMPAT"},
    {abi::FUSE_IOCTL_UNRESTRICTED, "UNRESTRICTED"},
    {abi::FUSE_IOCTL_RETRY, "RETRY"},
    {abi::FUSE_IOCTL_32BIT, "32BIT"},
    {abi::FUSE_IOCTL_DIR, "DIR"},
    {abi::FUSE_IOCTL_COMPAT_X32, "COMPAT_X32"},
};

inline constexpr FlagName kPollFlags[] = {
    {abi::FUSE_POLL_SCHEDULE_NOTIFY, "SCHEDULE_NOTIFY"}};

inline constexpr FlagName kMappingFlags[] = {
    {abi::FUSE_SETUPMAPPING_FLAG_WRITE, "WRITE"},
    {abi::FUSE_SETUPMAPPING_FLAG_READ, "READ"},
};

inline constexpr FlagName kAttrFlags[] = {
    {abi::FUSE_ATTR_SUBMOUNT, "SUBMOUNT"},
    {abi::FUSE_ATTR_DAX, "DAX"},
};

inline constexpr FlagName kInvalEntryFlags[] = {
    {abi::FUSE_EXPIRE_ONLY, "EXPIRE_ONLY"}};

constexpr std::string_view LockTypeName(uint32_t type) {
  switch (type) {
    case F_RDLCK:
      return "F_RDLCK";
    case F_WRLCK:
      return "F_WRLCK";
    case F_UNLCK:
      return "F_UNLCK";
  }
  return "?";
}

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_FLAG_NAMES_H_
