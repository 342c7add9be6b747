// What the kernel does to inodes only by a path, for those that are held by an
// O_PATH descriptor. Private to fs/passthrough.
#ifndef BAREFUSE_FS_PASSTHROUGH_PROC_FDS_H_
#define BAREFUSE_FS_PASSTHROUGH_PROC_FDS_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/request.h"
#include "server/unique_fd.h"

namespace barefuse {

// /proc/self/fd, held open, so that whatever is mounted at /proc later is not
// met. The names in it stand for what the descriptors are of, and lead nowhere
// else. Functions are as the system calls of their names: -1 and errno, or what
// they give. Any thread.
class ProcFds {
 public:
  // `shows_callers`: the process ids of requests are those of this /proc.
  static absl::StatusOr<std::unique_ptr<ProcFds>> Open(bool shows_callers);

  // Opens what `fd` is of anew; an empty one and errno.
  UniqueFd Reopen(int fd, int flags) const;
  int Chmod(int fd, mode_t mode) const;
  int Link(int fd, int parent, const char* name) const;

  // Whether a caller is a member of `group`. Of supplementary groups /proc
  // tells, where it shows the caller; where it does not, they are not known,
  // and the answer is no.
  bool IsInGroup(const Ids& caller, gid_t group) const;

  // By the path: EIO where something else has been mounted at /proc.
  int Truncate(int fd, off_t size) const;

  // Linux 6.13 takes a directory for these. Older kernels are given the path:
  // EIO where something else has been mounted at /proc.
  ssize_t Getxattr(int fd, const char* name, void* value, size_t size) const;
  ssize_t Listxattr(int fd, char* list, size_t size) const;
  int Setxattr(int fd, const char* name, const void* value, size_t size,
               int flags) const;
  int Removexattr(int fd, const char* name) const;

 private:
  ProcFds(UniqueFd directory, bool shows_callers)
      : directory_(std::move(directory)), shows_callers_(shows_callers) {}
  // Whether /proc is one of the kernel's; else EIO.
  bool IsAtPath() const;

  const UniqueFd directory_;
  const bool shows_callers_;
  // Whether the kernel has shown that it is an older one.
  mutable std::atomic<bool> by_path_{false};
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_PROC_FDS_H_
