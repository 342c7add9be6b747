// The barefuse program: finds the subcommand.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "kernel_abi/fuse.h"
#include "tools/memfs_command.h"
#include "tools/passthrough_command.h"
#include "tools/version.h"

namespace barefuse {
namespace {

using Arguments = std::vector<std::string>;

void Print(FILE* to, std::string_view text) {
  fwrite(text.data(), 1, text.size(), to);
}

int PrintVersion() {
  printf("barefuse %s (FUSE protocol %u.%u)\n", kVersion,
         abi::FUSE_KERNEL_VERSION, abi::FUSE_KERNEL_MINOR_VERSION);
  return kExitOk;
}

struct Command {
  std::string_view name;
  std::string_view summary;
  std::string_view mount_helper;  // argv[0] when mount(8) calls
  int (*run)(const Command& self, const Arguments& arguments, Caller caller);
};

template <auto Parse, auto Help, auto RunParsed>
int Run(const Command& self, const Arguments& arguments, Caller caller) {
  auto parsed = Parse(arguments, caller);
  if (!parsed.ok()) {
    fprintf(stderr, "barefuse: %s\nTry \"barefuse %s --help\".\n",
            std::string(parsed.status().message()).c_str(),
            std::string(self.name).c_str());
    return kExitUsage;
  }
  if (parsed->version) return PrintVersion();
  if (!parsed->help) return RunParsed(*parsed);
  Print(stdout, Help());
  return kExitOk;
}

constexpr Command kCommands[] = {
    {"passthrough", "show a directory at another place", "mount.fuse.barefuse",
     Run<ParsePassthroughCommand, PassthroughHelp, RunPassthrough>},
    {"memfs", "keep files in memory, like tmpfs", "mount.fuse.barefuse-memfs",
     Run<ParseMemfsCommand, MemfsHelp, RunMemfs>},
};

std::string HelpText() {
  std::string help =
      "Usage: barefuse COMMAND [OPTIONS] ...\n\n"
      "A FUSE server without libfuse.\n\n"
      "Commands\n";
  for (const Command& command : kCommands) {
    std::string line = "  " + std::string(command.name);
    line.resize(16, ' ');
    help += line + std::string(command.summary) + "\n";
  }
  return help +
         "\n  barefuse COMMAND --help tells more of each.\n\n"
         "Options\n"
         "  -h, --help     show this\n"
         "  -V, --version  show the version\n\n"
         "Examples\n"
         "  barefuse passthrough /srv/data /mnt\n"
         "  barefuse memfs --size 256M /mnt\n";
}

// mount(8) wants 1 for wrong usage or rights and 32 for a failed mount.
int MountHelper(const Command& command, const Arguments& arguments) {
  switch (command.run(command, arguments, Caller::kMount8)) {
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
  const Arguments arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  for (const Command& command : kCommands) {
    if (program == command.mount_helper) return MountHelper(command, arguments);
  }
  if (arguments.empty()) {
    Print(stderr, HelpText());
    return kExitUsage;
  }
  const std::string& word = arguments[0];
  for (const Command& command : kCommands) {
    if (word != command.name) continue;
    return command.run(command, {arguments.begin() + 1, arguments.end()},
                       Caller::kPerson);
  }
  if (word == "--help" || word == "-h" || word == "help") {
    Print(stdout, HelpText());
    return kExitOk;
  }
  if (word == "--version" || word == "-V") return PrintVersion();
  fprintf(stderr,
          "barefuse: unknown command \"%s\"\nTry \"barefuse --help\".\n",
          word.c_str());
  return kExitUsage;
}

}  // namespace
}  // namespace barefuse

int main(int argc, char** argv) { return barefuse::Main(argc, argv); }
