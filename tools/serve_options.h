// The options that every filesystem's command has.
#ifndef BAREFUSE_TOOLS_SERVE_OPTIONS_H_
#define BAREFUSE_TOOLS_SERVE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/session.h"
#include "tools/command_line.h"

namespace barefuse {

// How long names and attributes may be trusted at most: seconds.
inline constexpr uint32_t kMostSeconds = 100'000'000;

enum class SandboxMode {
  kOff,
  kAuto,  // where it can be had
  kOn,    // or not at all
};

// Whether to serve from a sandbox (tools/sandbox.h).
struct SandboxOptions {
  SandboxMode mode = SandboxMode::kOff;
  std::string source;          // the directory that it is to see
  bool follows_mounts = true;  // mounts made below it later, too
};

// What a command line says beside what concerns the filesystem.
struct ServeOptions {
  SessionOptions session;
  std::string mountpoint;  // a directory, or /dev/fd/N
  bool foreground = false;
  bool debug = false;
  SandboxOptions sandbox;
  std::string stats_file;  // where to write what was counted; empty for nowhere
  bool only_check = false;  // mount(8) has been told to fake it
  bool help = false;
  bool version = false;
};

// In the order of the help, with the filesystem's own between them. `line` and
// `options` outlive the parsing.
void AddMountOptions(Caller caller, ServeOptions* options, CommandLine* line);
void AddSessionOptions(ServeOptions* options, CommandLine* line);

// Whether nothing is to be served, and so the rest need not make sense.
inline bool OnlyTells(const ServeOptions& options) {
  return options.help || options.version;
}

// What no single option can know.
absl::Status CheckServeOptions(const ServeOptions& options);

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_SERVE_OPTIONS_H_
