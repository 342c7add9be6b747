// The filesystems below the source.
#ifndef BAREFUSE_FS_PASSTHROUGH_SOURCE_MOUNTS_H_
#define BAREFUSE_FS_PASSTHROUGH_SOURCE_MOUNTS_H_

#include <sys/stat.h>

#include <cstdint>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "server/unique_fd.h"

namespace barefuse {

// What statx(2) is asked for: all that FUSE has room for, and the mount.
unsigned StatxMask();
// statx(2) of what `fd`, which may be O_PATH, is of. Gives 0 or an errno.
int StatFd(int fd, struct statx* info);
// st_dev.
uint64_t DeviceOf(const struct statx& info);

// Whether the directory `fd` is the root of its filesystem, or of its
// subvolume, so that nothing is in it that cannot be reached from there.
bool IsWholeFilesystem(int fd);

// Whether `fd` is of a file in the upper layer of an overlayfs, whose names
// stay together. Not before Linux 6.6.
bool IsUpper(int fd);

// One mount of a filesystem: the source's own, or one below it.
struct SourceMount {
  uint16_t index = 0;  // 0 is the source's own
  // An open directory of it where its inodes can be opened by their handles;
  // where there is none, each inode that is known must be held open.
  UniqueFd directory;
  // Not of files but of the kernel's insides (procfs, sysfs): what may be done
  // there is asked of who does it, and that would be the server.
  bool pseudo = false;
  // Names that share an inode number may part when one is written to: overlayfs
  // without an index copies lower files up by their names. Unless IsUpper.
  bool parts_links = false;

  bool has_handles() const { return bool{directory}; }
};

// Mounts get a number when they are first seen, and keep it. Any thread.
class SourceMounts {
 public:
  // The mount on which the inode is that `fd` is of; `info` is what StatFd
  // gave. nullptr where there are too many (65,536).
  const SourceMount* Of(int fd, const struct statx& info);
  // The mount with a number that Of gave.
  const SourceMount& At(uint16_t index) const;

  // The inode number to show for number `ino` of `device`. The whole source
  // shows as one filesystem (the kernel keeps submounts to virtio-fs), so the
  // numbers of other devices than the source's own are changed so that they do
  // not meet.
  uint64_t ShownIno(uint64_t device, uint64_t ino);

 private:
  static UniqueFd OpenDirectory(int fd, const struct statx& info);

  mutable absl::Mutex mutex_;
  // Never moved, so that pointers to them stay good.
  std::deque<SourceMount> mounts_ ABSL_GUARDED_BY(mutex_);
  // With the device: before Linux 6.8 ids are used again.
  absl::flat_hash_map<std::pair<uint64_t, uint64_t>, uint16_t> by_id_
      ABSL_GUARDED_BY(mutex_);
  // The source's own has the first number, 0.
  absl::flat_hash_map<uint64_t, uint16_t> devices_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_SOURCE_MOUNTS_H_
