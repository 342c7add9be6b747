// Mounting as a user who may not call mount(2): by fusermount3, which is
// installed setuid root. It opens /dev/fuse, mounts, and hands the descriptor
// over through a socket.
#ifndef BAREFUSE_SERVER_FUSERMOUNT_H_
#define BAREFUSE_SERVER_FUSERMOUNT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/mount_options.h"
#include "server/unique_fd.h"

namespace barefuse {

// The fusermount3 that stays for auto_unmount. It is told to go, and waited
// for, when this goes: after the unmount, since it would do that else. Nobody
// is waited for on kernels before 5.3, which have no pidfd. Move-only.
class UnmountHelper {
 public:
  UnmountHelper() = default;  // none
  explicit UnmountHelper(UniqueFd pidfd) : pidfd_(std::move(pidfd)) {}
  UnmountHelper(UnmountHelper&&) noexcept = default;
  UnmountHelper& operator=(UnmountHelper&& other) noexcept;
  ~UnmountHelper() { End(); }

  void End();

 private:
  UniqueFd pidfd_;
};

// The program: `wanted` if that is not empty, else what there is. NotFound
// where there is none.
absl::StatusOr<std::string> FindFusermount(const std::string& wanted);

struct Fusermounted {
  UniqueFd device;  // O_CLOEXEC
  // With auto_unmount: when its last descriptor is closed, which is to be after
  // the device's, the helper unmounts.
  UniqueFd keeper;
  UnmountHelper helper;
  std::string warnings;  // what the program had to say; mostly nothing
};

// Mounts at `mountpoint`, which is absolute. Blocks until the program has done
// so. What it writes to its stderr is in the status, not on ours. Any thread;
// the process may have others. FailedPrecondition where the program refuses.
absl::StatusOr<Fusermounted> FusermountMount(const std::string& program,
                                             const std::string& mountpoint,
                                             const MountOptions& options);

// Detaches what is mounted at `mountpoint`, which must be this user's.
absl::Status FusermountUnmount(const std::string& program,
                               const std::string& mountpoint);

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_FUSERMOUNT_H_
