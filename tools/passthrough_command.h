// `barefuse passthrough`.
#ifndef BAREFUSE_TOOLS_PASSTHROUGH_COMMAND_H_
#define BAREFUSE_TOOLS_PASSTHROUGH_COMMAND_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fs/passthrough/passthrough.h"
#include "server/session.h"

namespace barefuse {

// What the command line says.
struct PassthroughCommand {
  PassthroughOptions file_system;
  SessionOptions session;
  std::string mountpoint;
  bool foreground = false;
  bool debug = false;
  std::string stats_file;  // where to write what was counted; empty for nowhere
  bool help = false;
};

// Whose words the arguments are.
enum class Caller {
  kPerson,  // behind "barefuse passthrough"
  kMount8,  // given to mount.fuse.barefuse, with options of mount(8)'s own
};

// Reads the arguments. InvalidArgument is a sentence about the first mistake.
absl::StatusOr<PassthroughCommand> ParsePassthroughCommand(
    const std::vector<std::string>& arguments, Caller caller = Caller::kPerson);

std::string_view PassthroughHelp();

// Mounts and serves until the end. Gives the exit status; what goes wrong is
// said on standard error.
int RunPassthrough(const PassthroughCommand& command);

// Exit statuses.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // it could not be mounted, or broke off
inline constexpr int kExitUsage = 2;   // the command line is wrong

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_PASSTHROUGH_COMMAND_H_
