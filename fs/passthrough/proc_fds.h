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
  static absl::StatusOr<std::unique_ptr<ProcFds>> Open();

  // Opens what `fd` is of anew; an empty one and errno.
  UniqueFd Reopen(int fd, int flags) const;
  int Chmod(int fd, mode_t mode) const;
  int Link(int fd, int parent, const char* name) const;

  // Whether a caller is a member of `group`. Of supplementary groups /proc
  // tells, where it shows the caller; where it does not, they are not known,
  // and the answer is no.
  bool IsInGroup(const Ids& caller, gid_t group) const;

  // Linux 6.13 takes a directory for these. Older kernels are given the path,
  // and so see the /proc that is there.
  ssize_t Getxattr(int fd, const char* name, void* value, size_t size) const;
  ssize_t Listxattr(int fd, char* list, size_t size) const;
  int Setxattr(int fd, const char* name, const void* value, size_t size,
               int flags) const;
  int Removexattr(int fd, const char* name) const;

 private:
  explicit ProcFds(UniqueFd directory) : directory_(std::move(directory)) {}

  const UniqueFd directory_;
  // Whether the kernel has shown that it is an older one.
  mutable std::atomic<bool> by_path_{false};
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_PROC_FDS_H_
