// Mounting and unmounting, with mount(2).
#ifndef BAREFUSE_SERVER_MOUNT_H_
#define BAREFUSE_SERVER_MOUNT_H_

#include <sys/mount.h>

#include <cstdint>
#include <functional>
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
// InvalidArgument names the option that is not known. `other`, if given, is
// asked first, and says whether it took the option or what is wrong with it.
using OtherOption = std::function<absl::StatusOr<bool>(std::string_view)>;
absl::Status ParseMountOptions(std::string_view list, MountOptions* options,
                               const OtherOption& other = nullptr);

// Makes the kernel write back what it holds of the filesystem at `path`. Blocks
// until its server has taken that, or the connection has ended.
void SyncFilesystem(const std::string& path);

// A mount, undone when this goes. Move-only.
class Mount {
 public:
  // Mounts the connection of `device` at `mountpoint`, which must be a
  // directory. Dead mounts of the same type (fuse.SUBTYPE), which a server left
  // there when it was killed, are detached first and reported to `log`.
  static absl::StatusOr<Mount> Make(const Device& device,
                                    const std::string& mountpoint,
                                    const MountOptions& options,
                                    const LogSink& log);
  Mount(Mount&& other) noexcept;
  Mount& operator=(Mount&& other) noexcept;
  ~Mount() { Unmount().IgnoreError(); }

  const std::string& mountpoint() const { return mountpoint_; }

  // Detaches it wherever it has been moved to, unless somebody has done so
  // already: another mount that has come to the same place is left alone.
  // Files that are open stay usable as long as the connection lives.
  // FailedPrecondition where it is covered by another mount: it stays then.
  // Where the table of mounts cannot be read it may be called again.
  absl::Status Unmount();

 private:
  // What is mounted at a path. Told apart by the mount's unique id where the
  // kernel has that (6.8), else by device number and an id that may be used
  // again.
  struct Identity {
    uint64_t mount_id = 0;
    uint32_t device_major = 0;
    uint32_t device_minor = 0;
    bool operator==(const Identity&) const = default;
  };
  static absl::StatusOr<Identity> IdentityAt(const std::string& path);

  Mount(std::string mountpoint, Identity identity)
      : mountpoint_(std::move(mountpoint)), identity_(identity) {}

  std::string mountpoint_;  // absolute; empty when there is nothing to undo
  Identity identity_;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_MOUNT_H_
