#include "tools/passthrough_command.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <optional>

#include "absl/strings/match.h"
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

int Complain(const absl::Status& status) {
  fprintf(stderr, "barefuse: %s\n", std::string(status.message()).c_str());
  return kExitFailed;
}

// Every inode that the kernel knows takes a descriptor.
void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

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

void WaitForEnd(Session& session, int signals) {
  pollfd events[] = {{session.done_fd(), POLLIN, 0}, {signals, POLLIN, 0}};
  while (poll(events, 2, -1) < 0 && errno == EINTR) {
  }
  session.Stop();
}

// Requests for names on the way to our own mountpoint would come back to us:
// the server would wait for itself.
absl::Status CheckPlaces(const PassthroughCommand& command) {
  auto resolve = [](const std::string& path) {
    char* resolved = realpath(path.c_str(), nullptr);
    std::string result = resolved == nullptr ? "" : resolved;
    free(resolved);
    if (!result.empty() && result.back() != '/') result += '/';
    return result;
  };
  const std::string source = resolve(command.file_system.source);
  const std::string mountpoint = resolve(command.mountpoint);
  // Paths that do not resolve are complained of later, with their reason.
  if (!source.empty() && mountpoint != source &&
      absl::StartsWith(mountpoint, source)) {
    return absl::InvalidArgumentError(
        absl::StrCat("MOUNTPOINT ", command.mountpoint, " is inside SOURCE ",
                     command.file_system.source,
                     ", which would contain itself; that is not supported"));
  }
  return absl::OkStatus();
}

}  // namespace

int RunPassthrough(const PassthroughCommand& command) {
  if (absl::Status status = CheckPlaces(command); !status.ok()) {
    return Complain(status);
  }
  // Paths are taken before the background changes the directory.
  std::optional<Background> background;
  if (!command.foreground) {
    absl::StatusOr<Background> started = Background::Start();
    if (!started.ok()) return Complain(started.status());
    background = *std::move(started);
  }
  std::string stats_file = command.stats_file;
  if (!stats_file.empty() && stats_file != "-" && stats_file[0] != '/') {
    if (char* directory = getcwd(nullptr, 0)) {
      stats_file = absl::StrCat(directory, "/", stats_file);
      free(directory);
    }
  }
  // Rather than at the end, from the background.
  if (absl::Status status = CheckWritable(stats_file); !status.ok()) {
    return Complain(status);
  }
  RaiseFileLimit();
  umask(0);  // modes arrive with the caller's umask applied
  // The server's own groups must not let the creations of others keep
  // set-group-id bits. Only root may, and only root's server acts for others.
  if (geteuid() == 0) setgroups(0, nullptr);
  absl::StatusOr<UniqueFd> signals = CatchSignals();
  if (!signals.ok()) return Complain(signals.status());

  auto log = std::make_shared<Log>(command.debug);
  SessionOptions options = command.session;
  options.debug = command.debug;
  options.log = [log](LogLevel level, std::string_view line) {
    (*log)(level, line);
  };
  absl::StatusOr<std::shared_ptr<Passthrough>> file_system =
      Passthrough::Create(command.file_system);
  if (!file_system.ok()) return Complain(file_system.status());
  absl::StatusOr<std::unique_ptr<Session>> session =
      Session::Mount(*file_system, command.mountpoint, std::move(options));
  if (!session.ok()) return Complain(session.status());

  if (background.has_value()) {
    log->GoToBackground();
    background->Detach();
  }
  WaitForEnd(**session, signals->get());
  const StopReason reason = (*session)->Wait();
  if (!stats_file.empty()) {
    absl::Status written =
        WriteFile(stats_file, StatisticsJson((*session)->statistics(), reason));
    if (!written.ok()) (*log)(LogLevel::kError, std::string(written.message()));
  }
  if (reason.kind == StopReason::Kind::kFailed) {
    (*log)(LogLevel::kError, reason.detail);
    return kExitFailed;
  }
  if (reason.kind == StopReason::Kind::kAborted) {
    (*log)(LogLevel::kError, "the connection was aborted");
    return kExitFailed;
  }
  if (command.debug) {
    (*log)(LogLevel::kDebug,
           absl::StrCat("session ended: ",
                        std::string(StopKindText(reason.kind))));
  }
  return kExitOk;
}

}  // namespace barefuse
