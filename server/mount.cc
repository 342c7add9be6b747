#include "server/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

struct FlagOption {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
};

// Linux 5.10; not in the C library's header of Debian 12.
constexpr unsigned long kNoSymfollow = 256;

constexpr FlagOption kFlagOptions[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"suid", 0, MS_NOSUID},
    {"nosuid", MS_NOSUID, 0},
    {"dev", 0, MS_NODEV},
    {"nodev", MS_NODEV, 0},
    {"exec", 0, MS_NOEXEC},
    {"noexec", MS_NOEXEC, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"sync", MS_SYNCHRONOUS, 0},
    {"dirsync", MS_DIRSYNC, 0},
    {"atime", 0, MS_NOATIME},
    {"noatime", MS_NOATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, 0},
    {"lazytime", MS_LAZYTIME, 0},
    {"nolazytime", 0, MS_LAZYTIME},
    {"symfollow", 0, kNoSymfollow},
    {"nosymfollow", kNoSymfollow, 0},
    {"silent", MS_SILENT, 0},
    {"loud", 0, MS_SILENT},
};

// Meant for mount(8) and those who read fstab.
constexpr std::string_view kIgnoredOptions[] = {
    "defaults", "auto",  "noauto", "user",    "nouser",  "users",   "nofail",
    "_netdev",  "owner", "group",  "nogroup", "noowner", "nousers",
};

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

absl::Status ParseNumber(std::string_view name, std::string_view text,
                         uint32_t* number) {
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *number);
  if (text.empty() || error != std::errc() ||
      end != text.data() + text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("mount option ", ToAbsl(name), ": \"", ToAbsl(text),
                     "\" is not a number of bytes"));
  }
  return absl::OkStatus();
}

absl::Status ParseOption(std::string_view option, MountOptions* options,
                         const OtherOption& other) {
  if (other) {
    absl::StatusOr<bool> taken = other(option);
    if (!taken.ok() || *taken) return taken.status();
  }
  if (option == "remount") {
    return absl::InvalidArgumentError(
        "remount is not supported; unmount and mount again");
  }
  for (const FlagOption& known : kFlagOptions) {
    if (option != known.name) continue;
    options->flags = (options->flags & ~known.clear) | known.set;
    return absl::OkStatus();
  }
  for (std::string_view ignored : kIgnoredOptions) {
    if (option == ignored) return absl::OkStatus();
  }
  if (option.starts_with("x-") || option.starts_with("X-") ||
      option.starts_with("comment=")) {
    return absl::OkStatus();
  }
  if (option == "allow_other") {
    options->allow_other = true;
    return absl::OkStatus();
  }
  if (option == "default_permissions") {
    options->default_permissions = true;
    return absl::OkStatus();
  }
  const size_t equals = option.find('=');
  std::string_view name = option;
  std::string_view value;
  if (equals != option.npos) {
    name.remove_suffix(option.size() - equals);
    value = option;
    value.remove_prefix(equals + 1);
    if (name == "max_read") return ParseNumber(name, value, &options->max_read);
    if (name == "fsname") {
      options->fsname = value;
      return absl::OkStatus();
    }
    if (name == "subtype") {
      options->subtype = value;
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown mount option \"", ToAbsl(option), "\""));
}

// The data string of mount(2).
std::string MountData(const Device& device, const MountOptions& options) {
  std::string data =
      absl::StrCat("fd=", device.fd(), ",rootmode=40000,user_id=", getuid(),
                   ",group_id=", getgid());
  if (options.allow_other) absl::StrAppend(&data, ",allow_other");
  if (options.default_permissions) {
    absl::StrAppend(&data, ",default_permissions");
  }
  if (options.max_read != 0) {
    absl::StrAppend(&data, ",max_read=", options.max_read);
  }
  return data;
}

// A line of /proc/self/mountinfo.
struct MountedAt {
  std::string device;  // "0:52"
  std::string mountpoint;
  std::string type;  // "fuse.barefuse"
};

// The kernel writes blanks and backslashes as octal escapes.
std::string Unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result +=
          static_cast<char>((text[i + 1] - '0') << 6 |
                            (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// All mounts that this process sees, in the order of mounting.
absl::StatusOr<std::vector<MountedAt>> Mounts() {
  constexpr char kTable[] = "/proc/self/mountinfo";
  std::vector<MountedAt> mounts;
  std::ifstream file(kTable);
  if (!file) return ErrnoStatus(errno, kTable);
  for (std::string line; std::getline(file, line);) {
    // 36 35 98:0 /root /mountpoint options ... - type source options
    std::istringstream columns(line);
    MountedAt found;
    std::string id, parent, root, mountpoint, column;
    columns >> id >> parent >> found.device >> root >> mountpoint;
    while (columns >> column && column != "-") {
    }
    columns >> found.type;
    found.mountpoint = Unescape(mountpoint);
    mounts.push_back(std::move(found));
  }
  return mounts;
}

// The type of the topmost mount at `path` ("fuse.barefuse"), or "".
std::string MountTypeAt(const std::string& path) {
  std::string type;
  absl::StatusOr<std::vector<MountedAt>> mounts = Mounts();
  if (!mounts.ok()) return type;
  for (const MountedAt& found : *mounts) {
    if (found.mountpoint == path) type = found.type;
  }
  return type;
}

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

// A server that was killed leaves a mount that answers ENOTCONN to everything.
// Several may lie on top of each other. The same answer of another type's mount
// is not ours to judge: its server may be alive, and the network behind it not.
absl::Status DetachDeadMounts(const std::string& mountpoint,
                              const std::string& type, const LogSink& log) {
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
    if (umount2(mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
      return ErrnoStatus(
          errno, absl::StrCat("cannot detach the dead mount at ", mountpoint));
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

absl::Status ParseMountOptions(std::string_view list, MountOptions* options,
                               const OtherOption& other) {
  std::string option;
  auto flush = [&]() -> absl::Status {
    absl::Status status =
        option.empty() ? absl::OkStatus() : ParseOption(option, options, other);
    option.clear();
    return status;
  };
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '\\' && i + 1 < list.size()) {
      option += list[++i];
    } else if (list[i] == ',') {
      if (absl::Status status = flush(); !status.ok()) return status;
    } else {
      option += list[i];
    }
  }
  return flush();
}

absl::StatusOr<Mount> Mount::Make(const Device& device,
                                  const std::string& mountpoint,
                                  const MountOptions& options,
                                  const LogSink& log) {
  absl::StatusOr<std::string> path = AbsolutePath(mountpoint);
  if (!path.ok()) return path.status();
  const std::string type =
      options.subtype.empty() ? "fuse" : absl::StrCat("fuse.", options.subtype);
  if (absl::Status status = DetachDeadMounts(*path, type, log); !status.ok()) {
    return status;
  }
  if (mount(options.fsname.c_str(), path->c_str(), type.c_str(), options.flags,
            MountData(device, options).c_str()) != 0) {
    if (errno == EPERM) {
      return absl::PermissionDeniedError(
          absl::StrCat("cannot mount at ", *path,
                       ": permission denied; mounting needs root"));
    }
    return ErrnoStatus(errno, absl::StrCat("cannot mount at ", *path));
  }
  absl::StatusOr<Identity> identity = IdentityAt(*path);
  if (!identity.ok()) {
    umount2(path->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    return identity.status();
  }
  return Mount(*std::move(path), *identity);
}

Mount::Mount(Mount&& other) noexcept
    : mountpoint_(std::exchange(other.mountpoint_, {})),
      identity_(other.identity_) {}

Mount& Mount::operator=(Mount&& other) noexcept {
  if (this != &other) {
    Unmount().IgnoreError();
    mountpoint_ = std::exchange(other.mountpoint_, {});
    identity_ = other.identity_;
  }
  return *this;
}

void SyncFilesystem(const std::string& path) {
  UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root) syncfs(root.get());
}

absl::Status Mount::Unmount() {
  if (mountpoint_.empty()) return absl::OkStatus();
  auto detach = [](const std::string& path) {
    if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
      return absl::OkStatus();
    }
    return ErrnoStatus(errno, absl::StrCat("cannot unmount ", path));
  };
  // Where it was made, as a rule. This takes no descriptor.
  if (absl::StatusOr<Identity> there = IdentityAt(mountpoint_);
      there.ok() && *there == identity_) {
    return detach(std::exchange(mountpoint_, {}));
  }
  // Its path may have changed: directories above it can be renamed.
  absl::StatusOr<std::vector<MountedAt>> mounts = Mounts();
  if (!mounts.ok()) return mounts.status();  // to be tried again
  mountpoint_.clear();
  const std::string device =
      absl::StrCat(identity_.device_major, ":", identity_.device_minor);
  absl::Status status;
  for (const MountedAt& found : *mounts) {
    if (found.device != device) continue;
    absl::StatusOr<Identity> there = IdentityAt(found.mountpoint);
    if (there.ok() && *there == identity_) {
      status.Update(detach(found.mountpoint));
    } else if (there.ok() && there->device_minor != identity_.device_minor) {
      status.Update(absl::FailedPreconditionError(
          absl::StrCat("cannot unmount ", found.mountpoint,
                       ": another mount covers it; unmount both by hand")));
    }
  }
  return status;
}

}  // namespace barefuse
