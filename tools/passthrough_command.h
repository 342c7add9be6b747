// `barefuse passthrough`.
#ifndef BAREFUSE_TOOLS_PASSTHROUGH_COMMAND_H_
#define BAREFUSE_TOOLS_PASSTHROUGH_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fs/passthrough/passthrough.h"
#include "tools/serve_options.h"

namespace barefuse {

// What the command line says.
struct PassthroughCommand : ServeOptions {
  PassthroughOptions file_system;
};

// Reads the arguments. InvalidArgument is a sentence about the first mistake.
absl::StatusOr<PassthroughCommand> ParsePassthroughCommand(
    const std::vector<std::string>& arguments, Caller caller = Caller::kPerson);

std::string PassthroughHelp();

// Mounts and serves until the end. Gives the exit status; what goes wrong is
// said on standard error.
int RunPassthrough(const PassthroughCommand& command);

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_PASSTHROUGH_COMMAND_H_
