#include "fs/passthrough/source_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "fs/passthrough/file_handle.h"

namespace barefuse {
namespace {

// Linux 6.8: ids of mounts that are never used again. Older kernels pass over
// the bit and give the id that is.
constexpr unsigned kMountIdUnique = 0x4000;

}  // namespace

unsigned StatxMask() {
  return STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | kMountIdUnique;
}

int StatFd(int fd, struct statx* info) {
  return statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, StatxMask(), info) == 0
             ? 0
             : errno;
}

const SourceMount* SourceMounts::Of(int fd, const struct statx& info) {
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (auto it = by_id_.find(info.stx_mnt_id); it != by_id_.end()) {
      return &mounts_[it->second];
    }
  }
  // Outside the lock, since it may wait for the filesystem.
  UniqueFd directory = OpenDirectory(fd, info);
  absl::MutexLock lock(&mutex_);
  auto [it, is_new] = by_id_.try_emplace(info.stx_mnt_id,
                                         static_cast<uint16_t>(mounts_.size()));
  if (is_new) {
    if (mounts_.size() > UINT16_MAX) {
      by_id_.erase(it);
      return nullptr;
    }
    SourceMount& mount = mounts_.emplace_back();
    mount.index = it->second;
    mount.device = makedev(info.stx_dev_major, info.stx_dev_minor);
    mount.directory = std::move(directory);
  }
  return &mounts_[it->second];
}

// A descriptor with which handles of the mount can be opened, if they can.
UniqueFd SourceMounts::OpenDirectory(int fd, const struct statx& info) {
  if (!S_ISDIR(info.stx_mode)) return UniqueFd();
  UniqueFd directory(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return directory;
  const FileHandle handle = FileHandle::Of(fd, info.stx_ino, false);
  UniqueFd again;
  if (handle.pinned() || handle.Open(directory.get(), &again) != 0) {
    return UniqueFd();
  }
  return directory;
}

const SourceMount& SourceMounts::At(uint16_t index) const {
  absl::ReaderMutexLock lock(&mutex_);
  return mounts_[index];
}

uint64_t SourceMounts::ShownIno(const SourceMount& mount, uint64_t ino) const {
  if (mount.index == 0 || mount.device == At(0).device) return ino;
  // Filesystems number their inodes from the bottom.
  return ino ^ (uint64_t{mount.index} << 48);
}

}  // namespace barefuse
