// The barefuse program: finds the subcommand.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "kernel_abi/fuse.h"
#include "tools/passthrough_command.h"
#include "tools/version.h"

namespace barefuse {
namespace {

constexpr std::string_view kHelp =
    R"(Usage: barefuse COMMAND [OPTIONS] ...

A FUSE server without libfuse.

Commands
  passthrough   show a directory at another place

  barefuse COMMAND --help tells more of each.

Options
  -h, --help     show this
  -V, --version  show the version

Example
  barefuse passthrough /srv/data /mnt
)";

void Print(FILE* to, std::string_view text) {
  fwrite(text.data(), 1, text.size(), to);
}

int PrintVersion() {
  printf("barefuse %s (FUSE protocol %u.%u)\n", kVersion,
         abi::FUSE_KERNEL_VERSION, abi::FUSE_KERNEL_MINOR_VERSION);
  return kExitOk;
}

int Passthrough(const std::vector<std::string>& arguments, Caller caller) {
  for (const std::string& argument : arguments) {
    if (argument == "--version" || argument == "-V") return PrintVersion();
    if (argument == "--") break;
  }
  absl::StatusOr<PassthroughCommand> command =
      ParsePassthroughCommand(arguments, caller);
  if (!command.ok()) {
    fprintf(stderr, "barefuse: %s\nTry \"barefuse passthrough --help\".\n",
            std::string(command.status().message()).c_str());
    return kExitUsage;
  }
  if (command->help) {
    Print(stdout, PassthroughHelp());
    return kExitOk;
  }
  return RunPassthrough(*command);
}

// mount(8) wants 1 for wrong usage or rights and 32 for a failed mount.
int MountHelper(const std::vector<std::string>& arguments) {
  switch (Passthrough(arguments, Caller::kMount8)) {
    case kExitOk:
      return 0;
    case kExitUsage:
      return 1;
    default:
      return 32;
  }
}

// A descriptor that is opened must not become 0, 1 or 2 because the program was
// started without them: messages would go into it, and the background closes
// them.
void OccupyStandardDescriptors() {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

int Main(int argc, char** argv) {
  OccupyStandardDescriptors();
  std::string_view program = argc > 0 ? argv[0] : "barefuse";
  if (size_t slash = program.rfind('/'); slash != program.npos) {
    program.remove_prefix(slash + 1);
  }
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0),
                                           argv + argc);
  if (program == "mount.fuse.barefuse") return MountHelper(arguments);
  if (arguments.empty()) {
    Print(stderr, kHelp);
    return kExitUsage;
  }
  const std::string& command = arguments[0];
  if (command == "passthrough") {
    return Passthrough({arguments.begin() + 1, arguments.end()},
                       Caller::kPerson);
  }
  if (command == "--help" || command == "-h" || command == "help") {
    Print(stdout, kHelp);
    return kExitOk;
  }
  if (command == "--version" || command == "-V") return PrintVersion();
  fprintf(stderr,
          "barefuse: unknown command \"%s\"\nTry \"barefuse --help\".\n",
          command.c_str());
  return kExitUsage;
}

}  // namespace
}  // namespace barefuse

int main(int argc, char** argv) { return barefuse::Main(argc, argv); }
