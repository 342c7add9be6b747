#include "fs/passthrough/source_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "fs/passthrough/file_handle.h"
#include "server/mount_table.h"

namespace barefuse {
namespace {

using statfs_t = struct statfs;

// Linux 6.8: ids of mounts that are never used again. Older kernels pass over
// the bit and give the id that is.
constexpr unsigned kMountIdUnique = 0x4000;

// Whether a handle finds its inode as long as that has a name. Others (FUSE,
// vfat) know it only while they have it in memory.
bool KeepsHandles(int directory) {
  constexpr decltype(statfs_t::f_type) kTypes[] = {
      EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
      F2FS_SUPER_MAGIC, TMPFS_MAGIC,
      0x2fc12fc1,  // zfs
      0xca451a4e,  // bcachefs
  };
  statfs_t info;
  if (fstatfs(directory, &info) != 0) return false;
  return std::find(std::begin(kTypes), std::end(kTypes), info.f_type) !=
         std::end(kTypes);
}

bool IsPseudo(int fd) {
  constexpr decltype(statfs_t::f_type) kTypes[] = {
      PROC_SUPER_MAGIC, SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
      DEBUGFS_MAGIC,    TRACEFS_MAGIC,  SECURITYFS_MAGIC,   BPF_FS_MAGIC,
      BINFMTFS_MAGIC,   PSTOREFS_MAGIC, EFIVARFS_MAGIC,     SELINUX_MAGIC,
      SMACK_MAGIC,      NSFS_MAGIC,
      0x62656570,  // configfs
      0x65735543,  // fusectl
      0x6e667364,  // nfsd
      0x07655821,  // resctrl
      0x67596969,  // rpc_pipefs
  };
  statfs_t info;
  if (fstatfs(fd, &info) != 0) return true;
  return std::find(std::begin(kTypes), std::end(kTypes), info.f_type) !=
         std::end(kTypes);
}

// Whether a mount is of overlayfs and has no index of its lower files.
bool PartsLinks(int fd, uint64_t mount_id) {
  statfs_t info;
  if (fstatfs(fd, &info) != 0 || info.f_type != OVERLAYFS_SUPER_MAGIC) {
    return false;
  }
  absl::StatusOr<std::vector<MountedAt>> mounts = Mounts();
  if (!mounts.ok()) return true;
  for (const MountedAt& mount : *mounts) {
    if (mount.id == mount_id) {
      return ("," + mount.options + ",").find(",index=on,") ==
             std::string::npos;
    }
  }
  return true;
}

}  // namespace

unsigned StatxMask() {
  return STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | kMountIdUnique;
}

int StatFd(int fd, struct statx* info) {
  return statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, StatxMask(), info) == 0
             ? 0
             : errno;
}

uint64_t DeviceOf(const struct statx& info) {
  return makedev(info.stx_dev_major, info.stx_dev_minor);
}

bool IsWholeFilesystem(int fd) {
  struct statx info;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &info) != 0 ||
      (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
    return false;
  }
  statfs_t type;
  constexpr uint64_t kSubvolumeRoot = 256;  // BTRFS_FIRST_FREE_OBJECTID
  if (fstatfs(fd, &type) == 0 && type.f_type == BTRFS_SUPER_MAGIC) {
    return info.stx_ino == kSubvolumeRoot;
  }
  absl::StatusOr<std::vector<MountedAt>> mounts = Mounts();
  if (!mounts.ok()) return false;
  for (const MountedAt& mount : *mounts) {
    if (mount.id == info.stx_mnt_id) return mount.root == "/";
  }
  return false;
}

bool IsUpper(int fd) {
  // What identifies a file to fanotify(7), of which overlayfs tells where it is
  // (fs/overlayfs/overlayfs.h, struct ovl_fh).
  constexpr int kAtHandleFid = 0x200;
  constexpr int kOverlayHandle = 0xf8;  // OVL_FILEID_V1
  constexpr size_t kFlags = 6;  // behind 3 bytes, version, magic, length
  constexpr unsigned char kUpper = 1 << 2;  // OVL_FH_FLAG_PATH_UPPER
  constexpr unsigned kRoom = 128;           // MAX_HANDLE_SZ
  alignas(file_handle) unsigned char buffer[sizeof(file_handle) + kRoom] = {};
  auto* handle = reinterpret_cast<file_handle*>(buffer);
  handle->handle_bytes = kRoom;
  int id;
  return name_to_handle_at(fd, "", handle, &id, AT_EMPTY_PATH | kAtHandleFid) ==
             0 &&
         handle->handle_type == kOverlayHandle &&
         handle->handle_bytes > kFlags &&
         (buffer[sizeof(file_handle) + kFlags] & kUpper) != 0;
}

const SourceMount* SourceMounts::Of(int fd, const struct statx& info) {
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (auto it = by_id_.find({info.stx_mnt_id, DeviceOf(info)});
        it != by_id_.end()) {
      return &mounts_[it->second];
    }
  }
  // Outside the lock, since it may wait for the filesystem.
  UniqueFd directory = OpenDirectory(fd, info);
  const bool pseudo = IsPseudo(fd);
  struct statx other;  // with the id that the table of mounts has
  const bool parts_links =
      statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &other) != 0 ||
      PartsLinks(fd, other.stx_mnt_id);
  absl::MutexLock lock(&mutex_);
  auto [it, is_new] =
      by_id_.try_emplace(std::pair(info.stx_mnt_id, DeviceOf(info)),
                         static_cast<uint16_t>(mounts_.size()));
  if (is_new) {
    if (mounts_.size() > UINT16_MAX) {
      by_id_.erase(it);
      return nullptr;
    }
    SourceMount& mount = mounts_.emplace_back();
    mount.index = it->second;
    devices_.try_emplace(DeviceOf(info),
                         static_cast<uint16_t>(devices_.size()));
    mount.directory = std::move(directory);
    mount.pseudo = pseudo;
    mount.parts_links = parts_links;
  }
  return &mounts_[it->second];
}

// A descriptor with which handles of the mount can be opened, if they can.
UniqueFd SourceMounts::OpenDirectory(int fd, const struct statx& info) {
  if (!S_ISDIR(info.stx_mode)) return UniqueFd();
  UniqueFd directory(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || !KeepsHandles(directory.get())) return UniqueFd();
  const FileHandle handle =
      FileHandle::Of(fd, DeviceOf(info), info.stx_ino, false);
  if (handle.pinned() || !handle.Open(directory.get())) {
    return UniqueFd();
  }
  return directory;
}

const SourceMount& SourceMounts::At(uint16_t index) const {
  absl::ReaderMutexLock lock(&mutex_);
  return mounts_[index];
}

uint64_t SourceMounts::ShownIno(uint64_t device, uint64_t ino) {
  uint16_t number;
  {
    absl::ReaderMutexLock lock(&mutex_);
    auto it = devices_.find(device);
    number = it == devices_.end() ? UINT16_MAX : it->second;
  }
  if (number == UINT16_MAX) {
    absl::MutexLock lock(&mutex_);
    number =
        devices_.try_emplace(device, static_cast<uint16_t>(devices_.size()))
            .first->second;
  }
  // Filesystems number their inodes from the bottom.
  return ino ^ (uint64_t{number} << 48);
}

}  // namespace barefuse
