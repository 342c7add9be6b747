// Runs a filesystem for a command: from the command line to the exit status.
#ifndef BAREFUSE_TOOLS_SERVE_H_
#define BAREFUSE_TOOLS_SERVE_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "server/file_system.h"
#include "tools/serve_options.h"

namespace barefuse {

// Called once, in the process that serves. Its working directory is still the
// one that the command was given in, unless it is in a sandbox: all that it can
// see of the machine then is SandboxOptions::source, at kSandboxSource.
using MakeFileSystem =
    std::function<absl::StatusOr<std::shared_ptr<FileSystem>>(bool sandboxed)>;

// Mounts what `make` gives and serves it until the mount ends or a signal
// (INT, TERM, HUP) comes; unless told otherwise, from the background, where it
// goes once the mount works. Gives the exit status; what goes wrong is said on
// standard error, and from the background in syslog(3). The process must have
// one thread only.
int Serve(ServeOptions options, const MakeFileSystem& make);

// Says "barefuse: MESSAGE" on standard error; gives kExitFailed.
int Complain(const absl::Status& status);

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_SERVE_H_
