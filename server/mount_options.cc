#include "server/mount_options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// The kernel's sb_set_blocksize.
absl::Status CheckBlockSize(uint32_t size) {
  const auto page = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  if (std::has_single_bit(size) && size >= 512 && size <= page) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "mount option blksize: ", size, " is not a power of two, 512 .. ", page));
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
  if (option == "allow_root") {
    return absl::InvalidArgumentError(
        "allow_root is not supported, since the kernel has no such option; use "
        "allow_other, with default_permissions where other users are to be "
        "kept out by mode bits");
  }
  if (option == "default_permissions") {
    options->default_permissions = true;
    return absl::OkStatus();
  }
  if (option == "auto_unmount") {
    options->auto_unmount = true;
    return absl::OkStatus();
  }
  if (option == "blkdev") {
    options->block_device = true;
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
    if (name == "blksize") {
      absl::Status status = ParseNumber(name, value, &options->block_size);
      return status.ok() ? CheckBlockSize(options->block_size) : status;
    }
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

// What mount(2) takes as data and fusermount3 as options alike.
std::vector<std::string> SharedOptions(const MountOptions& options) {
  std::vector<std::string> list;
  if (options.allow_other) list.emplace_back("allow_other");
  if (options.default_permissions) list.emplace_back("default_permissions");
  if (options.max_read != 0) {
    list.push_back(absl::StrCat("max_read=", options.max_read));
  }
  if (options.block_device && options.block_size != 0) {
    list.push_back(absl::StrCat("blksize=", options.block_size));
  }
  return list;
}

// As fusermount3 undoes it for fsname and subtype.
std::string Escape(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == ',' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

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

absl::Status CheckMountOptions(const MountOptions& options) {
  if (!options.block_device) {
    if (options.block_size == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "a block size is for block devices only (mount option blkdev)");
  }
  if (options.block_size != 0) {
    if (absl::Status status = CheckBlockSize(options.block_size);
        !status.ok()) {
      return status;
    }
  }
  struct stat info;
  if (stat(options.fsname.c_str(), &info) != 0) {
    return ErrnoStatus(
        errno,
        absl::StrCat("the block device to mount (fsname) ", options.fsname));
  }
  if (!S_ISBLK(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the block device to mount (fsname): ", options.fsname,
                     " is no block device"));
  }
  return absl::OkStatus();
}

std::string MountType(const MountOptions& options) {
  return absl::StrCat(options.block_device ? "fuseblk" : "fuse",
                      options.subtype.empty() ? "" : ".", options.subtype);
}

std::string MountData(int device, const MountOptions& options) {
  std::vector<std::string> list = {
      absl::StrCat("fd=", device),
      "rootmode=40000",
      absl::StrCat("user_id=", getuid()),
      absl::StrCat("group_id=", getgid()),
  };
  for (std::string& option : SharedOptions(options)) {
    list.push_back(std::move(option));
  }
  return absl::StrJoin(list, ",");
}

std::string FusermountOptions(const MountOptions& options) {
  std::vector<std::string> list;
  for (const FlagOption& known : kFlagOptions) {
    // Of "silent" fusermount3 knows nothing, and nobody misses it.
    if ((options.flags & known.set & ~MS_SILENT) != 0) {
      list.emplace_back(known.name);
    }
  }
  // What it would set by itself.
  if ((options.flags & MS_NOSUID) == 0) list.emplace_back("suid");
  if ((options.flags & MS_NODEV) == 0) list.emplace_back("dev");
  for (std::string& option : SharedOptions(options)) {
    list.push_back(std::move(option));
  }
  if (options.block_device) list.emplace_back("blkdev");
  if (options.auto_unmount) list.emplace_back("auto_unmount");
  if (!options.fsname.empty()) {
    list.push_back("fsname=" + Escape(options.fsname));
  }
  if (!options.subtype.empty()) {
    list.push_back("subtype=" + Escape(options.subtype));
  }
  return absl::StrJoin(list, ",");
}

}  // namespace barefuse
