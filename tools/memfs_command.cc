#include "tools/memfs_command.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tools/serve.h"

namespace barefuse {
namespace {

constexpr char kUsage[] = R"(Usage: barefuse memfs [OPTIONS] MOUNTPOINT

An empty filesystem in memory, like tmpfs. What is in it goes when it is
unmounted.

)";

constexpr char kExample[] = R"(
Example
  barefuse memfs --size 256M /mnt
  umount /mnt
)";

constexpr uint64_t kMostBytes = uint64_t{1} << 50;
constexpr uint64_t kMostInodes = 1'000'000'000'000;

// Fills `line` with what can be said, to be applied to `command`.
void Describe(Caller caller, MemfsCommand* command, std::string* source,
              CommandLine* line) {
  MemfsOptions& memfs = command->file_system;
  AddMountOptions(caller, command, line);
  line->Add({"Files",
             {{.name = "size",
               .value = "BYTES",
               .help = "room for content, names and attributes",
               .kind = Size(&memfs.size_limit, 4 << 10, kMostBytes,
                            "half of the memory")},
              {.name = "inodes",
               .value = "N",
               .help = "most files and directories, the root among them",
               .kind = Number(&memfs.inode_limit, 1, kMostInodes)},
              {.name = "mode",
               .value = "MODE",
               .help = "permissions of the root, in octal; 1777 for a place "
                       "like /tmp",
               .kind = Mode(&memfs.root_mode)},
              {.name = "uid",
               .value = "N",
               .help = "whose the root is",
               .kind = Number(&memfs.root_uid, 0, 0xfffffffe, "your own")},
              {.name = "gid",
               .value = "N",
               .help = "its group",
               .kind = Number(&memfs.root_gid, 0, 0xfffffffe, "your own")},
              {.name = "timeout",
               .value = "SECONDS",
               .help = "how long the kernel may trust names and attributes; "
                       "nobody else changes them",
               .kind = Seconds(&memfs.timeout, kMostSeconds)},
              {.name = "direct-io",
               .help = "reads and writes bypass the kernel's page cache",
               .kind = Assign(&memfs.direct_io, true)},
              {.name = "writeback",
               .help = "the kernel collects what is written before it hands "
                       "it over",
               .kind = Assign(&memfs.writeback_cache, true)},
              {.name = "test-ioctls",
               .help = "ioctls to test notifications with "
                       "(fs/memfs/ioctls.h)",
               .kind = Assign(&memfs.test_ioctls, true)}}});
  AddSessionOptions(command, line);
  if (caller == Caller::kMount8) line->AddOperand("SOURCE", source);
  line->AddOperand("MOUNTPOINT", &command->mountpoint);
}

}  // namespace

std::string MemfsHelp() {
  MemfsCommand command;
  std::string source;
  CommandLine line;
  Describe(Caller::kPerson, &command, &source, &line);
  return absl::StrCat(kUsage, line.Help(), kExample);
}

absl::StatusOr<MemfsCommand> ParseMemfsCommand(
    const std::vector<std::string>& arguments, Caller caller) {
  MemfsCommand command;
  command.file_system.root_uid = geteuid();
  command.file_system.root_gid = getegid();
  MountOptions& mount = command.session.mount;
  mount.default_permissions = true;  // memfs leaves checking to the kernel
  mount.subtype = "barefuse-memfs";
  mount.fsname.clear();

  std::string source = "memfs";
  CommandLine line;
  Describe(caller, &command, &source, &line);
  absl::Status status = line.Parse(arguments);
  if (status.ok() && !OnlyTells(command)) status = CheckServeOptions(command);
  if (!status.ok()) return status;
  if (mount.fsname.empty()) mount.fsname = source;
  return command;
}

int RunMemfs(const MemfsCommand& command) {
  return Serve(command,
               [&](bool) -> absl::StatusOr<std::shared_ptr<FileSystem>> {
                 return Memfs::Create(command.file_system);
               });
}

}  // namespace barefuse
