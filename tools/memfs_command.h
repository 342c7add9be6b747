// `barefuse memfs`.
#ifndef BAREFUSE_TOOLS_MEMFS_COMMAND_H_
#define BAREFUSE_TOOLS_MEMFS_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fs/memfs/memfs.h"
#include "tools/serve_options.h"

namespace barefuse {

// What the command line says. The root belongs to the process's user unless it
// says otherwise.
struct MemfsCommand : ServeOptions {
  MemfsOptions file_system;
};

// Reads the arguments. InvalidArgument is a sentence about the first mistake.
// mount(8) names a source, which is shown in the mount table.
absl::StatusOr<MemfsCommand> ParseMemfsCommand(
    const std::vector<std::string>& arguments, Caller caller = Caller::kPerson);

std::string MemfsHelp();

// Mounts and serves until the end. Gives the exit status; what goes wrong is
// said on standard error.
int RunMemfs(const MemfsCommand& command);

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_MEMFS_COMMAND_H_
