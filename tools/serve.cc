#include "tools/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errno_status.h"
#include "tools/background.h"
#include "tools/report.h"

namespace barefuse {
namespace {

// Where messages go: to the terminal, and from the background to syslog.
class Log {
 public:
  explicit Log(bool debug) : debug_(debug) {}

  void operator()(LogLevel level, std::string_view line) const {
    if (level == LogLevel::kDebug && debug_) {
      fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    } else if (!background_) {
      LogToStderr(level, line);
    } else if (level != LogLevel::kDebug) {
      const int priority = level == LogLevel::kError     ? LOG_ERR
                           : level == LogLevel::kWarning ? LOG_WARNING
                                                         : LOG_INFO;
      syslog(LOG_DAEMON | priority, "%.*s", static_cast<int>(line.size()),
             line.data());
    }
  }

  void GoToBackground() { background_ = true; }

 private:
  const bool debug_;
  std::atomic<bool> background_{false};
};

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

// Waits until `fd` has something to read. False: a signal has come.
bool AwaitReadable(int fd, int signals) {
  pollfd events[] = {{fd, POLLIN, 0}, {signals, POLLIN, 0}};
  while (poll(events, 2, -1) < 0 && errno == EINTR) {
  }
  return events[1].revents == 0;
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

// What there is to say of a session's end, and the exit status.
int ReportEnd(const StopReason& reason, const Log& log) {
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

}  // namespace

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
  const std::string stats_file = Absolute(options.stats_file);
  // Rather than at the end, from the background.
  if (absl::Status status = CheckWritable(stats_file); !status.ok()) {
    return Complain(status);
  }
  absl::StatusOr<UniqueFd> signals = CatchSignals();
  if (!signals.ok()) return Complain(signals.status());

  auto log = std::make_shared<Log>(options.debug);
  options.session.debug = options.debug;
  options.session.log = [log](LogLevel level, std::string_view line) {
    (*log)(level, line);
  };
  absl::StatusOr<std::shared_ptr<FileSystem>> file_system = make();
  if (!file_system.ok()) return Complain(file_system.status());
  // A peer may take its time, unlike the kernel.
  if (std::optional<int> fd = InheritedDescriptor(options.mountpoint);
      fd.has_value() && !AwaitReadable(*fd, signals->get())) {
    return Complain(absl::CancelledError("stopped before INIT came"));
  }
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Mount(
      *std::move(file_system), options.mountpoint, std::move(options.session));
  if (!session.ok()) return Complain(session.status());

  if (background.has_value()) {
    log->GoToBackground();
    background->Detach();
  }
  AwaitReadable((*session)->done_fd(), signals->get());
  (*session)->Stop();
  const StopReason reason = (*session)->Wait();
  if (!stats_file.empty()) {
    absl::Status written =
        WriteFile(stats_file, StatisticsJson((*session)->statistics(), reason));
    if (!written.ok()) (*log)(LogLevel::kError, std::string(written.message()));
  }
  return ReportEnd(reason, *log);
}

}  // namespace barefuse
