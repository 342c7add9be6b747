#include "tools/serve_options.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace barefuse {
namespace {

ValueKind TransportName(TransportKind* to) {
  std::vector<std::pair<std::string, TransportKind>> kinds;
  for (TransportKind kind :
       {TransportKind::kAuto, TransportKind::kDevUring, TransportKind::kDev}) {
    kinds.emplace_back(TransportText(kind), kind);
  }
  return Choice(to, std::move(kinds));
}

ValueKind Debug(ServeOptions* options) {
  return {[options](std::string_view, std::string_view) {
    options->debug = options->foreground = true;
    return absl::OkStatus();
  }};
}

ValueKind ReadOnly(MountOptions* mount) {
  return {[mount](std::string_view, std::string_view) {
    mount->flags |= MS_RDONLY;
    return absl::OkStatus();
  }};
}

// Mount options, and those of the line by their long names.
ValueKind MountList(MountOptions* mount, const CommandLine* line) {
  return {[mount, line](std::string_view, std::string_view list) {
    return ParseMountOptions(list, mount, [line](std::string_view text) {
      return line->ApplyListed(text);
    });
  }};
}

// What mount(8) adds. Being sloppy (-s), which is to pass over unknown options,
// would hide mistakes; there is no mtab to leave alone (-n).
OptionGroup Mount8Options(ServeOptions* options) {
  ValueKind nothing{
      [](std::string_view, std::string_view) { return absl::OkStatus(); }};
  return {"",
          {{.short_name = 'f', .kind = Assign(&options->only_check, true)},
           {.short_name = 'n', .kind = nothing},
           {.short_name = 's', .kind = nothing},
           {.short_name = 'v', .kind = nothing},
           {.short_name = 'w', .kind = nothing},
           {.short_name = 't', .value = "TYPE", .kind = nothing}}};
}

}  // namespace

void AddMountOptions(Caller caller, ServeOptions* options, CommandLine* line) {
  SessionOptions& session = options->session;
  const bool mount8 = caller == Caller::kMount8;
  if (mount8) line->Add(Mount8Options(options));
  line->Add(
      {"Running",
       {{.name = "foreground",
         .short_name = mount8 ? '\0' : 'f',
         .help = "stay in the foreground; Ctrl-C unmounts",
         .kind = Assign(&options->foreground, true)},
        {.name = "debug",
         .short_name = 'd',
         .help = "log each request and reply to stderr; implies -f",
         .kind = Debug(options)},
        {.name = "stats",
         .value = "FILE",
         .help = "at the end, write what was counted to FILE as JSON (\"-\": "
                 "standard output, with -f)",
         .kind = Text(&options->stats_file)},
        {.name = "stop-timeout",
         .value = "SECONDS",
         .help = "how long the end may take while requests are still served; "
                 "what has not returned by then is left behind",
         .kind = Seconds(&session.stop_timeout, 3600)}}});
  line->Add(
      {"Mounting",
       {{.short_name = 'o',
         .value = "OPTION[,OPTION...]",
         .help =
             "allow_other, auto_unmount (the mount goes when the server is "
             "killed), fsname=NAME, subtype=NAME, max_read=BYTES, "
             "default_permissions (always on), blkdev (fsname is a block "
             "device, of blksize=BYTES), and the kernel's own: ro, noatime, "
             "noexec, suid, dev, ...\n"
             "nosuid and nodev are on unless suid, dev are given; the long "
             "options may stand here too, as fstab needs it: "
             "num-threads=2,stats=/tmp/s",
         .kind = MountList(&session.mount, line)},
        {.short_name = 'r',
         .help = "the same as -o ro",
         .kind = ReadOnly(&session.mount)}}});
}

void AddSessionOptions(ServeOptions* options, CommandLine* line) {
  SessionOptions& session = options->session;
  line->Add(
      {"Threads",
       {{.name = "num-threads",
         .value = "N",
         .help = "threads that serve",
         .kind = Number(&session.workers, 1, 1024, "twice the cores, 2 to 8")},
        {.name = "single",
         .help = "one thread",
         .kind = Assign(&session.workers, 1u)},
        {.name = "clone-fd",
         .help = "each thread reads its own device (default)",
         .kind = Assign(&session.clone_device, true)},
        {.name = "noclone-fd",
         .help = "all threads share one",
         .kind = Assign(&session.clone_device, false)},
        {.name = "transport",
         .value = "NAME",
         .help = "dev-uring: read the device through io_uring\n"
                 "dev: by plain system calls\n"
                 "auto: the first that is to be had (default)",
         .kind = TransportName(&session.transport)},
        {.name = "slots",
         .value = "N",
         .help = "requests that one thread can have under way",
         .kind = Number(&session.slots_per_worker, 2, 4096)},
        {.name = "offload-threads",
         .value = "N",
         .help = "threads for what may block; 0: it blocks those that serve",
         .kind = Number(&session.offload_threads, 0, 1024)},
        {.name = "parked-requests",
         .value = "N",
         .help = "requests that may wait beside those in slots",
         .kind = Number(&session.parked_requests, 0, 65536)},
        {.name = "busy-poll",
         .value = "MICROSECONDS",
         .help = "how long a thread looks for the next request before it "
                 "sleeps: processor time for latency",
         .kind = Microseconds(&session.busy_poll, 1'000'000)}}});
  line->Add(
      {"What the kernel is told",
       {{.name = "max-write",
         .value = "BYTES",
         .help = "most data of one request",
         .kind = Size(&session.max_write, 4 << 10, 1 << 20)},
        {.name = "max-pages",
         .value = "N",
         .help = "most pages of one request",
         .kind = Number(&session.max_pages, 1, 256, "what --max-write takes")},
        {.name = "max-readahead",
         .value = "BYTES",
         .help = "most data that is read ahead",
         .kind = Size(&session.max_readahead, 0, 1 << 30,
                      "what the kernel offers")},
        {.name = "max-background",
         .value = "N",
         .help = "requests under way on nobody's behalf, such as readahead",
         .kind = Number(&session.max_background, 1, 65535)},
        {.name = "congestion-threshold",
         .value = "N",
         .help = "from how many of those on it holds back",
         .kind = Number(&session.congestion_threshold, 1, 65535,
                        "three quarters of them")},
        {.name = "request-timeout",
         .value = "SECONDS",
         .help = "abort the connection where a request has had no answer for "
                 "so long, which the kernel rounds up to 15 at least; 0: never",
         .kind = WholeSeconds(&session.request_timeout, 65535)},
        {.name = "max-minor",
         .value = "N",
         .help = "speak FUSE 7.N at most, for tests",
         .kind =
             Number(&session.max_minor, 1, abi::FUSE_KERNEL_MINOR_VERSION)}}});
  line->Add({"",
             {{.name = "help",
               .short_name = 'h',
               .help = "show this",
               .kind = Assign(&options->help, true),
               .in_list = false,
               .ends = true},
              {.name = "version",
               .short_name = 'V',
               .help = "show the version",
               .kind = Assign(&options->version, true),
               .in_list = false,
               .ends = true}}});
}

absl::Status CheckServeOptions(const ServeOptions& options) {
  if (options.stats_file == "-" && !options.foreground) {
    return absl::InvalidArgumentError("--stats - needs -f");
  }
  const MountOptions& mount = options.session.mount;
  if (mount.block_size != 0 && !mount.block_device) {
    return CheckMountOptions(mount);
  }
  return absl::OkStatus();
}

}  // namespace barefuse
