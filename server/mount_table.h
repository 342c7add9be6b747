// The table of mounts, /proc/self/mountinfo.
#ifndef BAREFUSE_SERVER_MOUNT_TABLE_H_
#define BAREFUSE_SERVER_MOUNT_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace barefuse {

// A line of it.
struct MountedAt {
  std::string device;  // "0:52"
  std::string root;    // what of the filesystem is mounted: "/", "/directory"
  std::string mountpoint;
  std::string type;  // "fuse.barefuse"
};

// All mounts that this process sees, in the order of mounting.
absl::StatusOr<std::vector<MountedAt>> Mounts();

// The type of the topmost mount at `path` ("fuse.barefuse"), or "".
std::string MountTypeAt(const std::string& path);

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_MOUNT_TABLE_H_
