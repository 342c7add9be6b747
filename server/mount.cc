#include "server/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/errno_status.h"
#include "server/mount_table.h"
#include "server/thread.h"

namespace barefuse {
namespace {

// The absolute path of a mountpoint. realpath(3) stats the last component,
// which a dead mount answers with ENOTCONN, so only its parent is resolved.
absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  if (char* whole = realpath(path.c_str(), nullptr)) {
    std::string result = whole;
    free(whole);
    return result;
  }
  if (errno != ENOTCONN && errno != ECONNABORTED) {
    return ErrnoStatus(errno, path);
  }
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const size_t slash = trimmed.rfind('/');
  const std::string parent =
      slash == trimmed.npos ? "." : trimmed.substr(0, slash + 1);
  const std::string name =
      slash == trimmed.npos ? trimmed : trimmed.substr(slash + 1);
  char* resolved = realpath(parent.c_str(), nullptr);
  if (resolved == nullptr) return ErrnoStatus(errno, path);
  std::string result =
      absl::StrCat(resolved, absl::EndsWith(resolved, "/") ? "" : "/", name);
  free(resolved);
  return result;
}

// Detaches the topmost mount at `path`; through fusermount3, `fusermount` if
// that is not empty, where we may not.
absl::Status Detach(const std::string& path, const std::string& fusermount) {
  if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
    return absl::OkStatus();
  }
  absl::Status status =
      ErrnoStatus(errno, absl::StrCat("cannot unmount ", path));
  if (errno != EPERM) return status;
  absl::StatusOr<std::string> program = FindFusermount(fusermount);
  return program.ok() ? FusermountUnmount(*program, path) : status;
}

// The same where the kernel waits for a server that may not answer.
absl::Status DetachPatiently(const std::string& path,
                             const std::string& fusermount,
                             absl::Duration patience) {
  struct Shared {
    absl::Notification done;
    absl::Status status;
  };
  auto shared = std::make_shared<Shared>();
  Thread thread;
  absl::Status started = thread.Start([path, fusermount, shared] {
    shared->status = Detach(path, fusermount);
    shared->done.Notify();
  });
  if (!started.ok()) return started;
  if (shared->done.WaitForNotificationWithTimeout(patience)) {
    thread.Join();
    return shared->status;
  }
  thread.Detach();  // it owns what it uses
  return absl::DeadlineExceededError(absl::StrCat(
      path, ": the filesystem did not answer its unmount (DESTROY)"));
}

// Whether the descriptor has been mounted. mount(2) of a block device that is
// mounted already succeeds, and gives the filesystem that there is; ours is
// left alone then, which a read says before anything else.
bool IsConnected(const Device& device) {
  char byte;  // too small for any request
  return read(device.fd(), &byte, sizeof byte) >= 0 || errno != EPERM;
}

// Whether this process is in a user namespace that knows nobody: the kernel
// takes no user_id then.
bool HasNoUsers() {
  std::ifstream map("/proc/self/uid_map");
  return map && map.peek() == std::ifstream::traits_type::eof();
}

absl::string_view WhoMayMount(const MountOptions& options) {
  return options.block_device
             ? "a block device can be mounted by root only, and not in a user "
               "namespace"
             : "mounting needs root, or fusermount3 (Debian's package fuse3)";
}

// A server that was killed leaves a mount that answers ENOTCONN to everything.
// Several may lie on top of each other. The same answer of another type's mount
// is not ours to judge: its server may be alive, and the network behind it not.
absl::Status DetachDeadMounts(const std::string& mountpoint,
                              const MountOptions& options, const LogSink& log) {
  const std::string type = MountType(options);
  constexpr int kMost = 64;
  for (int i = 0; i < kMost; ++i) {
    struct stat info;
    if (stat(mountpoint.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) return absl::OkStatus();
      return absl::FailedPreconditionError(
          absl::StrCat(mountpoint, ": not a directory"));
    }
    const int error = errno;
    if (error != ENOTCONN && error != ECONNABORTED) {
      return ErrnoStatus(error, mountpoint);
    }
    if (const std::string found = MountTypeAt(mountpoint); found != type) {
      return absl::FailedPreconditionError(absl::StrCat(
          mountpoint, ": the ", found, " mount there does not answer (",
          strerror(error), "); unmount it first"));
    }
    if (absl::Status status = Detach(mountpoint, options.fusermount);
        !status.ok()) {
      return absl::Status(
          status.code(),
          absl::StrCat("the mount there is dead: ", status.message()));
    }
    log(LogLevel::kInfo, absl::StrCat("detached a dead mount at ", mountpoint,
                                      " (its server is gone)"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(mountpoint, ": too many dead mounts on top of each other"));
}

}  // namespace

absl::StatusOr<Mount::Identity> Mount::IdentityAt(const std::string& path) {
  // Linux 6.8: an id that is never used again, where the older one is free for
  // the next mount as soon as this one is gone. Not in the headers of 6.1.
  constexpr unsigned kMountIdUnique = 0x4000;
  struct statx info;
  // The server is not asked anything; the mount may be dead.
  if (statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
            STATX_MNT_ID | kMountIdUnique, &info) != 0) {
    return ErrnoStatus(errno, path);
  }
  return Identity{info.stx_mnt_id, info.stx_dev_major, info.stx_dev_minor};
}

// PermissionDenied where fusermount3 may have more luck.
absl::StatusOr<Mounted> Mount::Directly(const std::string& path,
                                        const MountOptions& options) {
  absl::StatusOr<Device> device = Device::Open();
  if (!device.ok()) return device.status();
  const std::string what = absl::StrCat("cannot mount at ", path);
  if (mount(options.fsname.c_str(), path.c_str(), MountType(options).c_str(),
            options.flags, MountData(device->fd(), options).c_str()) != 0) {
    const int error = errno;
    if (error == EPERM) {
      return absl::PermissionDeniedError(
          absl::StrCat(what, ": ", WhoMayMount(options)));
    }
    absl::Status status =
        ErrnoStatus(error, options.block_device
                               ? absl::StrCat(what, ", device ", options.fsname)
                               : what);
    if (error != EINVAL || !HasNoUsers()) return status;
    return absl::InvalidArgumentError(
        absl::StrCat(status.message(),
                     "; the user namespace maps no users "
                     "(/proc/self/uid_map)"));
  }
  absl::StatusOr<Identity> identity = IdentityAt(path);
  if (identity.ok() && IsConnected(*device)) {
    return Mounted{*std::move(device), Mount(path, *identity, options)};
  }
  umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (!identity.ok()) return identity.status();
  return absl::AlreadyExistsError(
      absl::StrCat(what, ": ", options.fsname, " is mounted already"));
}

absl::StatusOr<Mounted> Mount::ByFusermount(const std::string& path,
                                            const MountOptions& options,
                                            const LogSink& log) {
  absl::StatusOr<std::string> program = FindFusermount(options.fusermount);
  if (!program.ok()) {
    return absl::Status(
        options.auto_unmount ? absl::StatusCode::kNotFound
                             : absl::StatusCode::kPermissionDenied,
        absl::StrCat("cannot mount at ", path, ": ", program.status().message(),
                     "; ",
                     options.auto_unmount
                         ? "auto_unmount needs fusermount3 (Debian's package "
                           "fuse3)"
                         : WhoMayMount(options)));
  }
  absl::StatusOr<Fusermounted> made = FusermountMount(*program, path, options);
  if (!made.ok()) return made.status();
  if (!made->warnings.empty()) log(LogLevel::kWarning, made->warnings);
  absl::StatusOr<Device> device = Device::Adopt(std::move(made->device));
  absl::StatusOr<Identity> identity = IdentityAt(path);
  if (!device.ok() || !identity.ok() || !IsConnected(*device)) {
    Detach(path, options.fusermount).IgnoreError();
    if (!device.ok()) return device.status();
    if (!identity.ok()) return identity.status();
    return absl::AlreadyExistsError(absl::StrCat(
        "cannot mount at ", path, ": ", options.fsname, " is mounted already"));
  }
  Mounted mounted{*std::move(device), Mount(path, *identity, options)};
  mounted.mount.helper_ = std::move(made->helper);
  if (made->keeper) {
    if (absl::Status status = mounted.device.Keep(std::move(made->keeper));
        !status.ok()) {
      return status;
    }
  }
  return mounted;
}

absl::StatusOr<Mounted> Mount::Make(const std::string& mountpoint,
                                    const MountOptions& options,
                                    const LogSink& log) {
  if (absl::Status status = CheckMountOptions(options); !status.ok()) {
    return status;
  }
  absl::StatusOr<std::string> path = AbsolutePath(mountpoint);
  if (!path.ok()) return path.status();
  if (absl::Status status = DetachDeadMounts(*path, options, log);
      !status.ok()) {
    return status;
  }
  if (!options.auto_unmount) {
    absl::StatusOr<Mounted> mounted = Directly(*path, options);
    if (!absl::IsPermissionDenied(mounted.status())) return mounted;
  }
  if (options.block_device && (!options.auto_unmount || geteuid() != 0)) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot mount at ", *path, ": ", WhoMayMount(options)));
  }
  return ByFusermount(*path, options, log);
}

Mount::Mount(Mount&& other) noexcept
    : mountpoint_(std::exchange(other.mountpoint_, {})),
      identity_(other.identity_),
      block_device_(other.block_device_),
      fusermount_(std::move(other.fusermount_)),
      helper_(std::move(other.helper_)) {}

Mount& Mount::operator=(Mount&& other) noexcept {
  if (this != &other) {
    Unmount().IgnoreError();
    mountpoint_ = std::exchange(other.mountpoint_, {});
    identity_ = other.identity_;
    block_device_ = other.block_device_;
    fusermount_ = std::move(other.fusermount_);
    helper_ = std::move(other.helper_);
  }
  return *this;
}

void SyncFilesystem(const std::string& path) {
  UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root) syncfs(root.get());
}

// Where it is: "" where it is not any more. FailedPrecondition where something
// covers it; other errors are those of reading the table.
absl::Status Mount::Find(std::string* path) const {
  path->clear();
  // Where it was made, as a rule. This takes no descriptor.
  if (absl::StatusOr<Identity> there = IdentityAt(mountpoint_);
      there.ok() && *there == identity_) {
    *path = mountpoint_;
    return absl::OkStatus();
  }
  // Its path may have changed: directories above it can be renamed.
  absl::StatusOr<std::vector<MountedAt>> mounts = Mounts();
  if (!mounts.ok()) return mounts.status();
  const std::string device =
      absl::StrCat(identity_.device_major, ":", identity_.device_minor);
  absl::Status covered;
  for (const MountedAt& found : *mounts) {
    if (found.device != device) continue;
    absl::StatusOr<Identity> there = IdentityAt(found.mountpoint);
    if (!there.ok()) continue;
    if (*there == identity_) {
      *path = found.mountpoint;
      return absl::OkStatus();
    }
    if (there->device_major != identity_.device_major ||
        there->device_minor != identity_.device_minor) {
      covered = absl::FailedPreconditionError(
          absl::StrCat("cannot unmount ", found.mountpoint,
                       ": another mount covers it; unmount both by hand"));
    }
  }
  return covered;
}

absl::Status Mount::Unmount(absl::Duration patience) {
  if (mountpoint_.empty()) return absl::OkStatus();
  std::string path;
  absl::Status status = Find(&path);
  if (!status.ok() && !absl::IsFailedPrecondition(status)) {
    return status;  // to be tried again
  }
  if (!path.empty()) {
    status = block_device_ ? DetachPatiently(path, fusermount_, patience)
                           : Detach(path, fusermount_);
    // For want of a descriptor to run fusermount3 with.
    if (absl::IsResourceExhausted(status)) return status;
  }
  mountpoint_.clear();
  helper_.End();
  return status;
}

std::function<void()> Mount::Aborter() const {
  return [path = mountpoint_, identity = identity_] {
    absl::StatusOr<Identity> there = IdentityAt(path);
    if (!there.ok() || !(*there == identity)) return;
    // Aborts before it finds out that the mount is busy, if it is.
    umount2(path.c_str(), MNT_FORCE | UMOUNT_NOFOLLOW);
  };
}

}  // namespace barefuse
