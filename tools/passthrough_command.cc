#include "tools/passthrough_command.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tools/mount_place.h"
#include "tools/sandbox.h"
#include "tools/serve.h"

namespace barefuse {
namespace {

constexpr char kUsage[] =
    R"(Usage: barefuse passthrough [OPTIONS] SOURCE MOUNTPOINT

Shows the directory SOURCE at MOUNTPOINT. Where it can, the kernel reads and
writes SOURCE's files itself, without asking the server (passthrough).

)";

constexpr char kExample[] = R"(
Example
  barefuse passthrough -o allow_other /srv/data /mnt
  umount /mnt
)";

// Fills `line` with what can be said, to be applied to `command`.
void Describe(Caller caller, PassthroughCommand* command, CommandLine* line) {
  PassthroughOptions& file_system = command->file_system;
  AddMountOptions(caller, command, line);
  line->Add(
      {"Files",
       {{.name = "nopassthrough",
         .help = "serve all reads and writes in the server",
         .kind = Assign(&file_system.passthrough, false)},
        {.name = "backing-depth",
         .value = "N",
         .help = "0: SOURCE is on an ordinary filesystem\n"
                 "1: it may be on overlayfs or another passthrough mount; then "
                 "nothing can be stacked on MOUNTPOINT",
         .kind = Number(&command->session.backing_depth, 0, 1)},
        {.name = "direct-io",
         .help = "reads and writes bypass the kernel's page cache",
         .kind = Assign(&file_system.direct_io, true)}}});
  line->Add(
      {"What the kernel may keep",
       {{.name = "cache",
         .value = "MODE",
         .help = "never: names and attributes are asked for every time\n"
                 "auto: for a moment; data of files that have changed is read "
                 "anew when they are opened (default)\n"
                 "always: for long, the entries of directories too; for a "
                 "SOURCE that is changed here only",
         .kind = Choice(&file_system.cache, {{"never", CacheMode::kNever},
                                             {"auto", CacheMode::kAuto},
                                             {"always", CacheMode::kAlways}})},
        {.name = "timeout",
         .value = "SECONDS",
         .help = "how long names and attributes may be trusted, and so the "
                 "longest time until changes made in SOURCE show",
         .kind = Seconds(&file_system.timeout, kMostSeconds,
                         "by --cache: 0, 1 or 86400")},
        {.name = "attr-timeout",
         .value = "SECONDS",
         .help = "attributes alone",
         .kind =
             Seconds(&file_system.attr_timeout, kMostSeconds, "as --timeout")},
        {.name = "writeback",
         .help = "writes are gathered in the kernel; no file is passed "
                 "through then, and SOURCE must be changed here only",
         .kind = Assign(&file_system.writeback, true)}}});
  line->Add(
      {"Safety",
       {{.name = "sandbox",
         .help = "serve from a process that can see nothing but SOURCE, or "
                 "not at all; default: where it can be had (root)",
         .kind = Assign(&command->sandbox.mode, SandboxMode::kOn)},
        {.name = "nosandbox",
         .help = "from one that can do all that you may",
         .kind = Assign(&command->sandbox.mode, SandboxMode::kOff)}}});
  line->Add({"Users",
             {{.name = "idmap",
               .help = "let the mount be mounted elsewhere with other user and "
                       "group ids (mount --bind -o X-mount.idmap=...)",
               .kind = Assign(&file_system.idmap, true)}}});
  AddSessionOptions(command, line);
  line->AddOperand("SOURCE", &file_system.source);
  line->AddOperand("MOUNTPOINT", &command->mountpoint);
}

std::string Resolved(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string result = resolved == nullptr ? "" : resolved;
  free(resolved);
  return result;
}

// Open files and directories take a descriptor each, and so do inodes without
// file handles. As many as the system allows, where we may; else as many as we
// were given.
void RaiseFileLimit() {
  std::ifstream most("/proc/sys/fs/nr_open");
  rlim_t number = 0;
  if (most >> number) {
    const rlimit all{number, number};
    if (setrlimit(RLIMIT_NOFILE, &all) == 0) return;
  }
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

std::string PassthroughHelp() {
  PassthroughCommand command;
  CommandLine line;
  Describe(Caller::kPerson, &command, &line);
  return absl::StrCat(kUsage, line.Help(), kExample);
}

absl::StatusOr<PassthroughCommand> ParsePassthroughCommand(
    const std::vector<std::string>& arguments, Caller caller) {
  PassthroughCommand command;
  MountOptions& mount = command.session.mount;
  // The kernel checks permissions: the server acts with rights of its own.
  mount.default_permissions = true;
  mount.subtype = "barefuse";
  mount.fsname.clear();
  command.sandbox.mode = SandboxMode::kAuto;

  CommandLine line;
  Describe(caller, &command, &line);
  absl::Status status = line.Parse(arguments);
  if (status.ok() && !OnlyTells(command)) status = CheckServeOptions(command);
  if (!status.ok()) return status;
  // A name that is shown in the mount table should mean something everywhere.
  const std::string& source = command.file_system.source;
  if (mount.fsname.empty()) mount.fsname = Resolved(source);
  if (mount.fsname.empty()) mount.fsname = source;
  return command;
}

int RunPassthrough(const PassthroughCommand& command) {
  PassthroughOptions options = command.file_system;
  options.own_tree = !InheritedDescriptor(command.mountpoint) &&
                     ShowsIn(options.source, command.mountpoint);
  ServeOptions serve = command;
  serve.sandbox.source = options.source;
  // It would see itself.
  serve.sandbox.follows_mounts = !options.own_tree;
  auto make = [options](bool sandboxed) mutable
      -> absl::StatusOr<std::shared_ptr<FileSystem>> {
    if (sandboxed) {
      options.source = kSandboxSource;
      options.own_tree = false;
      options.callers_in_proc = false;
    }
    RaiseFileLimit();
    umask(0);  // modes arrive with the caller's umask applied
    // The server's own groups must not let the creations of others keep
    // set-group-id bits. Only root may, and only root's server acts for
    // others.
    if (geteuid() == 0) setgroups(0, nullptr);
    return Passthrough::Create(options);
  };
  return Serve(std::move(serve), make);
}

}  // namespace barefuse
