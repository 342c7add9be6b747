#include "tools/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errno_status.h"
#include "tools/report.h"
#include "tools/serve_job.h"

namespace barefuse {
namespace {

// The signals that end the program, as a descriptor. They are blocked in this
// thread before there are others, and so in all.
absl::StatusOr<UniqueFd> CatchSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    // Ignored is ignored: nohup(1), for instance.
    struct sigaction action;
    if (sigaction(number, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN) {
      continue;
    }
    sigaddset(&set, number);
  }
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return ErrnoStatus(errno, "sigprocmask");
  }
  // A reader of our output that went away is no reason to leave a dead mount.
  signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, "signalfd");
  return fd;
}

// Where MOUNTPOINT is a descriptor: sees that it is there before we open ones
// that could take its number, and moves it out of the way of the standard ones,
// which the background puts /dev/null in the place of.
absl::Status KeepDescriptor(std::string* mountpoint) {
  std::optional<int> fd = InheritedDescriptor(*mountpoint);
  if (!fd.has_value()) return absl::OkStatus();
  if (*fd > STDERR_FILENO) {
    if (fcntl(*fd, F_GETFD) >= 0) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("MOUNTPOINT ", *mountpoint));
  }
  const int moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (moved < 0 || !null || dup2(null.get(), *fd) < 0) {
    return ErrnoStatus(errno, absl::StrCat("MOUNTPOINT ", *mountpoint));
  }
  *mountpoint = absl::StrCat("/dev/fd/", moved);
  return absl::OkStatus();
}

std::string Absolute(std::string path) {
  if (path.empty() || path == "-" || path[0] == '/') return path;
  if (char* directory = getcwd(nullptr, 0)) {
    path = absl::StrCat(directory, "/", path);
    free(directory);
  }
  return path;
}

// In this process, with all that it may do.
int ServeHere(ServeJob& job) {
  const std::string& mountpoint = job.options.mountpoint;
  absl::StatusOr<std::shared_ptr<FileSystem>> file_system = job.make(false);
  if (!file_system.ok()) return Complain(file_system.status());
  // A peer may take its time, unlike the kernel.
  if (std::optional<int> fd = InheritedDescriptor(mountpoint);
      fd.has_value() && !AwaitReadable(*fd, job.signals.get())) {
    return Complain(absl::CancelledError("stopped before INIT came"));
  }
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Mount(
      *std::move(file_system), mountpoint, std::move(job.options.session));
  if (!session.ok()) return Complain(session.status());
  Settle(job);
  AwaitReadable((*session)->done_fd(), job.signals.get());
  (*session)->Stop();
  const StopReason reason = (*session)->Wait();
  WriteStatistics(job, StatisticsJson((*session)->statistics(), reason));
  return ReportEnd(reason, *job.log);
}

}  // namespace

bool AwaitReadable(int fd, int other) {
  pollfd events[] = {{fd, POLLIN, 0}, {other, POLLIN, 0}};
  while (poll(events, 2, -1) < 0 && errno == EINTR) {
  }
  return events[0].revents != 0;
}

void Settle(ServeJob& job) {
  if (!job.background.has_value()) return;
  job.log->GoToBackground();
  job.background->Detach();
}

int ReportEnd(const StopReason& reason, const ServeLog& log) {
  const std::string text(StopKindText(reason.kind));
  log(LogLevel::kDebug,
      absl::StrCat("session ended: ", text, reason.detail.empty() ? "" : ": ",
                   reason.detail));
  switch (reason.kind) {
    case StopReason::Kind::kFailed:
      log(LogLevel::kError, reason.detail);
      return kExitFailed;
    case StopReason::Kind::kAborted:
      log(LogLevel::kError, "the connection was aborted");
      return kExitFailed;
    default:
      // The session itself has told of handlers that were left behind.
      return kExitOk;
  }
}

void WriteStatistics(const ServeJob& job, const std::string& json) {
  const std::string& file = job.options.stats_file;
  if (file.empty()) return;
  if (absl::Status written = WriteFile(file, json); !written.ok()) {
    (*job.log)(LogLevel::kError, std::string(written.message()));
  }
}

int Complain(const absl::Status& status) {
  fprintf(stderr, "barefuse: %s\n", std::string(status.message()).c_str());
  return kExitFailed;
}

int Serve(ServeOptions options, const MakeFileSystem& make) {
  if (options.only_check) return kExitOk;
  if (absl::Status status = KeepDescriptor(&options.mountpoint); !status.ok()) {
    return Complain(status);
  }
  // Paths are taken before the background changes the directory.
  std::optional<Background> background;
  if (!options.foreground) {
    absl::StatusOr<Background> started = Background::Start();
    if (!started.ok()) return Complain(started.status());
    background = *std::move(started);
  }
  options.stats_file = Absolute(options.stats_file);
  // Rather than at the end, from the background.
  if (absl::Status status = CheckWritable(options.stats_file); !status.ok()) {
    return Complain(status);
  }
  absl::StatusOr<UniqueFd> signals = CatchSignals();
  if (!signals.ok()) return Complain(signals.status());

  ServeJob job{.options = std::move(options),
               .make = make,
               .log = std::make_shared<ServeLog>(options.debug),
               .signals = *std::move(signals),
               .background = std::move(background)};
  SessionOptions& session = job.options.session;
  session.debug = job.options.debug;
  session.log = [log = job.log](LogLevel level, std::string_view line) {
    (*log)(level, line);
  };
  // Who is not root has nothing to give up.
  const SandboxMode mode = job.options.sandbox.mode;
  if (mode == SandboxMode::kOff ||
      (mode == SandboxMode::kAuto && geteuid() != 0)) {
    return ServeHere(job);
  }
  absl::StatusOr<int> status = ServeConfined(job);
  if (status.ok()) return *status;
  const absl::Status why_not = absl::UnavailableError(
      absl::StrCat("no sandbox: ", status.status().message()));
  if (mode == SandboxMode::kOn) return Complain(why_not);
  (*job.log)(LogLevel::kInfo, std::string(why_not.message()));
  return ServeHere(job);
}

}  // namespace barefuse
