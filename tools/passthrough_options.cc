#include <getopt.h>
#include <stdlib.h>

#include <charconv>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/passthrough_command.h"

namespace barefuse {
namespace {

constexpr std::string_view kHelp =
    R"(Usage: barefuse passthrough [OPTIONS] SOURCE MOUNTPOINT

Shows the directory SOURCE at MOUNTPOINT. Where it can, the kernel reads and
writes SOURCE's files itself, without asking the server (passthrough).

Running
  -f, --foreground       stay in the foreground; Ctrl-C unmounts
  -d, --debug            log each request and reply to stderr; implies -f
      --stats FILE       at the end, write what was counted to FILE as JSON
                         ("-": standard output, with -f)

Mounting
  -o OPTION[,OPTION...]  allow_other, fsname=NAME, subtype=NAME, max_read=N,
                         default_permissions (always on), and the kernel's own:
                         ro, noatime, noexec, suid, dev, ...
                         nosuid and nodev are on unless suid, dev are given;
                         the long options below may stand here too, as fstab
                         needs it: -o nopassthrough,timeout=5

Files
      --nopassthrough    serve all reads and writes in the server
      --backing-depth N  0: SOURCE is on an ordinary filesystem (default)
                         1: it may be on overlayfs or another passthrough
                         mount; then nothing can be stacked on MOUNTPOINT
      --direct-io        reads and writes bypass the kernel's page cache
      --nocache          names and attributes are asked for every time
      --timeout SECONDS  how long they may be trusted otherwise (default 1)

Threads
      --num-threads N    threads that serve (default: twice the cores, 2 to 8)
      --single           one thread
      --clone-fd         each thread reads its own device (default)
      --noclone-fd       all threads share one
      --transport NAME   dev-uring: read the device through io_uring
                         dev: by plain system calls
                         auto: the first that is to be had (default)

  -h, --help             show this
  -V, --version          show the version

Example
  barefuse passthrough -o allow_other /srv/data /mnt
  umount /mnt
)";

enum Long : int {
  kStats = 256,
  kNoPassthrough,
  kBackingDepth,
  kDirectIo,
  kNoCache,
  kTimeout,
  kNumThreads,
  kSingle,
  kCloneFd,
  kNoCloneFd,
  kTransport,
};

constexpr option kLongOptions[] = {
    {"help", no_argument, nullptr, 'h'},
    {"foreground", no_argument, nullptr, 'f'},
    {"debug", no_argument, nullptr, 'd'},
    {"stats", required_argument, nullptr, kStats},
    {"nopassthrough", no_argument, nullptr, kNoPassthrough},
    {"backing-depth", required_argument, nullptr, kBackingDepth},
    {"direct-io", no_argument, nullptr, kDirectIo},
    {"nocache", no_argument, nullptr, kNoCache},
    {"timeout", required_argument, nullptr, kTimeout},
    {"num-threads", required_argument, nullptr, kNumThreads},
    {"single", no_argument, nullptr, kSingle},
    {"clone-fd", no_argument, nullptr, kCloneFd},
    {"noclone-fd", no_argument, nullptr, kNoCloneFd},
    {"transport", required_argument, nullptr, kTransport},
    {nullptr, 0, nullptr, 0},
};

constexpr uint32_t kMostSeconds = 100'000'000;

template <class Number, class Limit>
absl::Status ParseNumber(std::string_view option, std::string_view text,
                         Limit low, Limit high, Number* number) {
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *number);
  if (text.empty() || error != std::errc() ||
      end != text.data() + text.size() || !(*number >= low) ||
      !(*number <= high)) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::string_view(option.data(), option.size()), ": \"",
                     absl::string_view(text.data(), text.size()),
                     "\" is not a number from ", low, " to ", high));
  }
  return absl::OkStatus();
}

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

absl::Status ParseTransport(std::string_view name, TransportKind* kind) {
  for (TransportKind known :
       {TransportKind::kAuto, TransportKind::kDevUring, TransportKind::kDev}) {
    if (name != TransportText(known)) continue;
    *kind = known;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--transport: \"", ToAbsl(name), "\" is not auto, dev-uring or dev"));
}

// One of the options above, with its value.
absl::Status Apply(int option, std::string_view value,
                   PassthroughCommand* command) {
  switch (option) {
    case 'f':
      command->foreground = true;
      break;
    case 'd':
      command->debug = command->foreground = true;
      break;
    case kStats:
      command->stats_file = value;
      break;
    case kNoPassthrough:
      command->file_system.passthrough = false;
      break;
    case kBackingDepth:
      return ParseNumber("--backing-depth", value, 0u, 1u,
                         &command->session.backing_depth);
    case kDirectIo:
      command->file_system.direct_io = true;
      break;
    case kNoCache:
      command->file_system.timeout = absl::ZeroDuration();
      break;
    case kTimeout: {
      double seconds = 0;
      absl::Status status =
          ParseNumber("--timeout", value, 0u, kMostSeconds, &seconds);
      command->file_system.timeout = absl::Seconds(seconds);
      return status;
    }
    case kNumThreads:
      return ParseNumber("--num-threads", value, 1u, 1024u,
                         &command->session.workers);
    case kSingle:
      command->session.workers = 1;
      break;
    case kCloneFd:
      command->session.clone_device = true;
      break;
    case kNoCloneFd:
      command->session.clone_device = false;
      break;
    case kTransport:
      return ParseTransport(value, &command->session.transport);
  }
  return absl::OkStatus();
}

// What -o may say beside mount options: the program's own options by their
// long names. Whether it was one of them.
absl::StatusOr<bool> ApplyNamed(std::string_view text,
                                PassthroughCommand* command) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  for (const option& known : kLongOptions) {
    if (known.name == nullptr || known.val == 'h' || name != known.name) {
      continue;
    }
    const bool has_value = equals != text.npos;
    if (has_value != (known.has_arg == required_argument)) {
      return absl::InvalidArgumentError(
          absl::StrCat("mount option ", ToAbsl(name),
                       has_value ? " takes no value" : " needs a value"));
    }
    absl::Status status =
        Apply(known.val, has_value ? text.substr(equals + 1) : "", command);
    if (!status.ok()) return status;
    return true;
  }
  return false;
}

// Makes a name that is shown in the mount table mean something everywhere.
std::string Absolute(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string result = resolved;
  free(resolved);
  return result;
}

// What getopt_long has just refused, by saying `said`. `seen` is the argument
// that it looked at last.
absl::Status Refusal(int said, const std::string& seen) {
  const bool is_long = seen.starts_with("--");
  const std::string culprit =
      is_long || optopt == 0
          ? seen
          : absl::StrCat("-", std::string(1, static_cast<char>(optopt)));
  if (said == ':') {
    return absl::InvalidArgumentError(
        absl::StrCat("option ", culprit, " needs a value"));
  }
  // A long option that it knows, but not with a value.
  if (is_long && optopt != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("option \"", culprit, "\" takes no value"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown option \"", culprit, "\""));
}

absl::Status CheckArguments(const PassthroughCommand& command) {
  if (command.file_system.source.empty()) {
    return absl::InvalidArgumentError("SOURCE is an empty string");
  }
  if (command.mountpoint.empty()) {
    return absl::InvalidArgumentError("MOUNTPOINT is an empty string");
  }
  if (command.stats_file == "-" && !command.foreground) {
    return absl::InvalidArgumentError("--stats - needs -f");
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view PassthroughHelp() { return kHelp; }

absl::StatusOr<PassthroughCommand> ParsePassthroughCommand(
    const std::vector<std::string>& arguments, Caller caller) {
  PassthroughCommand command;
  // The kernel checks permissions: the server acts with rights of its own.
  command.session.mount.default_permissions = true;
  command.session.mount.subtype = "barefuse";
  command.session.mount.fsname.clear();

  std::vector<std::string> copies = arguments;
  std::string name = "barefuse";
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int argc = static_cast<int>(argv.size()) - 1;

  // mount(8) adds: -n no mtab, -s sloppy, -v verbose, -r, -w and -t TYPE. Being
  // sloppy, which is to pass over unknown options, would hide mistakes.
  const char* short_options =
      caller == Caller::kMount8 ? ":hfdo:nsvrwt:" : ":hfdo:r";
  auto own = [&command](std::string_view text) {
    return ApplyNamed(text, &command);
  };
  optind = 0;  // start afresh
  opterr = 0;  // the messages are ours
  for (;;) {
    const int c =
        getopt_long(argc, argv.data(), short_options, kLongOptions, nullptr);
    if (c == -1) break;
    absl::Status status;
    switch (c) {
      case 'h':
        command.help = true;
        return command;
      case 'o':
        status = ParseMountOptions(optarg, &command.session.mount, own);
        break;
      case 'n':
      case 's':
      case 'v':
      case 'w':
      case 't':
        break;
      case 'r':
        command.session.mount.flags |= MS_RDONLY;
        break;
      case ':':
      case '?':
        return Refusal(c, argv[static_cast<size_t>(optind) - 1]);
      default:
        status = Apply(c, optarg != nullptr ? optarg : "", &command);
    }
    if (!status.ok()) return status;
  }
  const int left = argc - optind;
  if (left != 2) {
    return absl::InvalidArgumentError(
        left < 1 ? "SOURCE and MOUNTPOINT are missing"
        : left == 1
            ? "MOUNTPOINT is missing"
            : absl::StrCat("unexpected argument \"",
                           argv[static_cast<size_t>(optind) + 2], "\""));
  }
  command.file_system.source = argv[static_cast<size_t>(optind)];
  command.mountpoint = argv[static_cast<size_t>(optind) + 1];
  if (command.session.mount.fsname.empty()) {
    command.session.mount.fsname = Absolute(command.file_system.source);
  }
  if (absl::Status status = CheckArguments(command); !status.ok()) {
    return status;
  }
  return command;
}

}  // namespace barefuse
