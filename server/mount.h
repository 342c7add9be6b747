// Mounting and unmounting, with mount(2).
#ifndef BAREFUSE_SERVER_MOUNT_H_
#define BAREFUSE_SERVER_MOUNT_H_

#include <sys/mount.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/device.h"
#include "server/log.h"

namespace barefuse {

// What can be said with -o.
struct MountOptions {
  std::string fsname = "barefuse";   // the first column of /proc/mounts
  std::string subtype = "barefuse";  // the type is fuse.SUBTYPE
  unsigned long flags = MS_NOSUID | MS_NODEV;  // MS_*
  bool allow_other = false;          // users other than the mounting one
  bool default_permissions = false;  // the kernel checks mode bits
  uint32_t max_read = 0;             // bytes; 0 is no limit of its own
};

// Reads a comma-separated list as mount(8) takes it into `*options`: the
// kernel's generic options (ro, noatime, suid, ...), FUSE's (allow_other,
// default_permissions, max_read=N), fsname=, subtype=. A backslash takes the
// next character as it is, so that a name may contain a comma. What only
// concerns mount(8) and fstab (auto, user, nofail, _netdev, x-...) is skipped.
// InvalidArgument names the option that is not known.
absl::Status ParseMountOptions(std::string_view list, MountOptions* options);

// A mount, undone when this goes. Move-only.
class Mount {
 public:
  // Mounts the connection of `device` at `mountpoint`, which must be a
  // directory. A dead FUSE mount that its server left there is detached first
  // and reported to `log`.
  static absl::StatusOr<Mount> Make(const Device& device,
                                    const std::string& mountpoint,
                                    const MountOptions& options,
                                    const LogSink& log);
  Mount(Mount&& other) noexcept;
  Mount& operator=(Mount&& other) noexcept;
  ~Mount() { Unmount(); }

  const std::string& mountpoint() const { return mountpoint_; }

  // Detaches it, unless somebody has done so already: another mount that has
  // come to the same place is left alone. Files that are open stay usable as
  // long as the connection lives. The filesystem should still be served while
  // this runs, so that the kernel can write back what it holds.
  void Unmount();

 private:
  Mount(std::string mountpoint, uint64_t mount_id)
      : mountpoint_(std::move(mountpoint)), mount_id_(mount_id) {}

  std::string mountpoint_;  // absolute; empty when there is nothing to undo
  uint64_t mount_id_ = 0;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_MOUNT_H_
