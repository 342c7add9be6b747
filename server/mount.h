// Mounting and unmounting: with mount(2) where that is allowed, else through
// fusermount3.
#ifndef BAREFUSE_SERVER_MOUNT_H_
#define BAREFUSE_SERVER_MOUNT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/device.h"
#include "server/fusermount.h"
#include "server/log.h"
#include "server/mount_options.h"

namespace barefuse {

// Makes the kernel write back what it holds of the filesystem at `path`. Blocks
// until its server has taken that, or the connection has ended.
void SyncFilesystem(const std::string& path);

struct Mounted;

// A mount, undone when this goes. Move-only.
class Mount {
 public:
  // Opens /dev/fuse and mounts it at `mountpoint`, which must be a directory.
  // With options.auto_unmount, and where mount(2) is not permitted, fusermount3
  // does both. Dead mounts of the same type (fuse.SUBTYPE), which a server left
  // there when it was killed, are detached first and reported to `log`.
  //
  // Works in a user namespace too, whose mount namespace the caller is in: the
  // kernel wants the device opened and mounted in the same one, and the
  // caller's user and group mapped.
  static absl::StatusOr<Mounted> Make(const std::string& mountpoint,
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
  // Where the table of mounts cannot be read, or a descriptor is missing, it
  // may be called again.
  //
  // The kernel asks a block device's server for FUSE_DESTROY meanwhile, so
  // somebody has to serve. DeadlineExceeded after `patience`: it is detached
  // then, and the kernel's side ends with the connection.
  absl::Status Unmount(absl::Duration patience = absl::Seconds(5));

  // Ends the connection of the mount where it is still mounted where it was
  // made, for who waits in the kernel for a server that will not answer any
  // more. Needs the rights of mount(2). By copy, for another thread than that
  // which unmounts.
  std::function<void()> Aborter() const;

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
  static absl::StatusOr<Mounted> Directly(const std::string& path,
                                          const MountOptions& options);
  static absl::StatusOr<Mounted> ByFusermount(const std::string& path,
                                              const MountOptions& options,
                                              const LogSink& log);

  Mount(std::string mountpoint, Identity identity, const MountOptions& options)
      : mountpoint_(std::move(mountpoint)),
        identity_(identity),
        block_device_(options.block_device),
        fusermount_(options.fusermount) {}

  absl::Status Find(std::string* path) const;

  std::string mountpoint_;  // absolute; empty when there is nothing to undo
  Identity identity_;
  bool block_device_;
  std::string fusermount_;  // MountOptions::fusermount
  UnmountHelper helper_;
};

// What there is after mounting. The mount goes first.
struct Mounted {
  Device device;
  Mount mount;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_MOUNT_H_
