// What can be said about a mount.
#ifndef BAREFUSE_SERVER_MOUNT_OPTIONS_H_
#define BAREFUSE_SERVER_MOUNT_OPTIONS_H_

#include <sys/mount.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace barefuse {

// What can be said with -o.
struct MountOptions {
  // The first column of /proc/mounts. With block_device, the device's path.
  std::string fsname = "barefuse";
  std::string subtype = "barefuse";            // the type is fuse.SUBTYPE
  unsigned long flags = MS_NOSUID | MS_NODEV;  // MS_*
  // Users other than the mounting one; in a user namespace, those of that
  // namespace.
  bool allow_other = false;
  bool default_permissions = false;  // the kernel checks mode bits
  uint32_t max_read = 0;             // bytes; 0 is no limit of its own

  // Unmounts also when the server dies, by SIGKILL for instance. Done by
  // fusermount3, which stays as a process of its own. For users other than root
  // it takes allow_other where fusermount3 is older than 3.15.
  bool auto_unmount = false;

  // A fuseblk mount, of the block device that fsname names: the filesystem gets
  // FUSE_DESTROY, for which umount(2) waits, SYNCFS and BMAP. Root only.
  bool block_device = false;
  // Bytes of a block of it: a power of two between the device's logical block
  // and the page. 0 is the kernel's default, 512.
  uint32_t block_size = 0;

  // The program that mounts where mount(2) may not be called. Empty:
  // fusermount3 or fusermount, looked for in PATH, then in the usual places.
  std::string fusermount{};
};

// Reads a comma-separated list as mount(8) takes it into `*options`: the
// kernel's generic options (ro, noatime, suid, ...), FUSE's (allow_other,
// default_permissions, max_read=N, auto_unmount, blkdev, blksize=N), fsname=,
// subtype=. A backslash takes the next character as it is, so that a name may
// contain a comma. What only concerns mount(8) and fstab (auto, user, nofail,
// _netdev, x-...) is skipped. InvalidArgument names the option that is not
// known. `other`, if given, is asked first, and says whether it took the option
// or what is wrong with it.
using OtherOption = std::function<absl::StatusOr<bool>(std::string_view)>;
absl::Status ParseMountOptions(std::string_view list, MountOptions* options,
                               const OtherOption& other = nullptr);

// InvalidArgument where the options contradict each other, or what they name
// is not there.
absl::Status CheckMountOptions(const MountOptions& options);

// "fuse.SUBTYPE", "fuseblk.SUBTYPE"; without a subtype "fuse" or "fuseblk".
std::string MountType(const MountOptions& options);

// The data of mount(2) for the connection of the descriptor `device`.
std::string MountData(int device, const MountOptions& options);

// The list that fusermount3 takes with -o.
std::string FusermountOptions(const MountOptions& options);

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_MOUNT_OPTIONS_H_
