// What a server of a directory needs of the machine, and nothing else.
#ifndef BAREFUSE_TOOLS_SANDBOX_H_
#define BAREFUSE_TOOLS_SANDBOX_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/unique_fd.h"

namespace barefuse {

// Where EnterSandbox puts the directory that is served.
inline constexpr char kSandboxSource[] = "/source";

// A copy of the mounts at and below the directory `source`, as a descriptor for
// EnterSandbox. Mounts that are made below it later show up in it if `follow`,
// and the copy is on a filesystem that tells (shared propagation).
absl::StatusOr<UniqueFd> CopyMounts(const std::string& source, bool follow);

// Moves the process into a mount namespace of its own, whose root holds three
// things: the mounts of `source` at kSandboxSource, on which devices and
// symlinks do nothing; a /proc of the process' own; and /dev with fuse and
// null. The root itself is read-only. The process must have one thread, and be
// the first of a new process namespace.
absl::Status EnterSandbox(UniqueFd source);

// Gives up all capabilities but those that serving files takes. For the calling
// thread, and those that it starts. What is left and why: docs/passthrough.md.
absl::Status DropCapabilities();

// Forbids all threads, from now on, the system calls that serving does not
// take, with EPERM; also to gain rights by execve(2) (no_new_privs). New rings
// of io_uring cannot be made any more; what those that there are may do is up
// to their own restrictions, since seccomp does not see it.
absl::Status FilterSystemCalls();

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_SANDBOX_H_
