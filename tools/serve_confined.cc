// Serving from a sandbox takes two processes.
//
// The outer one is what the user sees: it mounts, waits for signals and
// unmounts, and never looks at a request. The inner one serves; it can see the
// source and nothing else, and can make no mount of its own. They talk over a
// socket, in this order:
//
//   inner   kReady: it is in the sandbox and has its filesystem
//   outer   kDevice: what it has mounted
//   inner   kServing
//   outer   kBackground, perhaps
//   inner   kSignalled: a signal came to it; the outer one acts on it
//   outer   kStopping: it is going to unmount. kStop: end now
//   inner   kStatistics, and exits
//
// or kNoSandbox or kFailed, with the reason, and exits. Either one knows by the
// end of the socket that the other is gone: the outer one unmounts then, the
// inner one ends its session.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/errno_status.h"
#include "server/mount.h"
#include "server/thread.h"
#include "tools/message_channel.h"
#include "tools/report.h"
#include "tools/sandbox.h"
#include "tools/serve_job.h"

namespace barefuse {
namespace {

enum Kind : char {
  kGone = 0,
  kReady = 'r',
  kNoSandbox = 'n',
  kFailed = 'f',
  kDevice = 'd',
  kServing = 's',
  kBackground = 'b',
  kSignalled = 'i',
  kStopping = 'u',
  kStop = 'q',
  kStatistics = 'j',
};

using Message = MessageChannel::Message;

// --- The inner process ---

class Inner {
 public:
  Inner(ServeJob& job, MessageChannel channel)
      : job_(job), channel_(std::move(channel)) {}

  // Gives the exit status.
  int Run(UniqueFd source) {
    // What cannot be opened later.
    null_.reset(open("/dev/null", O_RDWR | O_CLOEXEC));
    openlog(nullptr, LOG_NDELAY, LOG_DAEMON);
    if (absl::Status status = EnterSandbox(std::move(source)); !status.ok()) {
      return Fail(kNoSandbox, status);
    }
    absl::StatusOr<std::shared_ptr<FileSystem>> file_system = job_.make(true);
    if (!file_system.ok()) return Fail(kFailed, file_system.status());
    if (absl::Status status = DropCapabilities(); !status.ok()) {
      return Fail(kNoSandbox, status);
    }
    channel_.Send(kReady);
    Message message = channel_.Receive();
    if (message.kind != kDevice || message.fds.empty()) return kExitFailed;
    absl::StatusOr<std::unique_ptr<Session>> session =
        Start(*std::move(file_system), std::move(message.fds));
    if (!session.ok()) return Fail(kFailed, session.status());
    return Serve(**session);
  }

 private:
  int Fail(Kind kind, const absl::Status& status) {
    const absl::string_view text = status.message();
    channel_.Send(kind, {text.data(), text.size()});
    return kExitFailed;
  }

  absl::StatusOr<std::unique_ptr<Session>> Start(
      std::shared_ptr<FileSystem> file_system, std::vector<UniqueFd> fds) {
    absl::StatusOr<Device> device = Device::Adopt(std::move(fds[0]));
    if (!device.ok()) return device.status();
    if (fds.size() > 1) {
      absl::Status status = device->Keep(std::move(fds[1]));
      if (!status.ok()) return status;
    }
    absl::StatusOr<std::unique_ptr<Session>> session =
        Session::Serve(std::move(file_system), *std::move(device),
                       std::move(job_.options.session));
    if (!session.ok()) return session.status();
    // Its rings are there now. Those who ask for a sandbox get all of it.
    if (absl::Status status = FilterSystemCalls(); !status.ok()) {
      if (job_.options.sandbox.mode == SandboxMode::kOn) return status;
      (*job_.log)(LogLevel::kWarning,
                  absl::StrCat("a sandbox, but no filter of system calls: ",
                               status.message()));
    }
    return session;
  }

  int Serve(Session& session) {
    channel_.Send(kServing);
    bool stopping = false;
    while (!IsDone(session, &stopping)) {
    }
    session.Stop();
    StopReason reason = session.Wait();
    // To the session it looks as if somebody else had unmounted.
    if (stopping && reason.kind == StopReason::Kind::kUnmounted) {
      reason.kind = StopReason::Kind::kStopped;
    }
    channel_.Send(kStatistics, StatisticsJson(session.statistics(), reason));
    return ReportEnd(reason, *job_.log);
  }

  // Waits for something to happen. Whether it was the end.
  bool IsDone(Session& session, bool* stopping) {
    pollfd events[] = {{session.done_fd(), POLLIN, 0},
                       {channel_.fd(), POLLIN, 0},
                       {job_.signals.get(), POLLIN, 0}};
    while (poll(events, 3, -1) < 0 && errno == EINTR) {
    }
    if (events[2].revents != 0) {
      channel_.Send(kSignalled);
      job_.signals.reset();  // -1 is passed over by poll(2)
    }
    if (events[1].revents != 0) {
      switch (channel_.Receive().kind) {
        case kBackground:
          job_.log->GoToBackground();
          Background::LeaveTerminal(null_.get());
          return false;
        case kStopping:
          *stopping = true;
          return false;
        default:  // kStop, kGone
          return true;
      }
    }
    return events[0].revents != 0;
  }

  ServeJob& job_;
  MessageChannel channel_;
  UniqueFd null_;
};

// --- The outer process ---

// Forks; the child is the first process of a new process namespace, which it
// takes along when it ends. 0 in the child.
absl::StatusOr<pid_t> ForkIntoNamespace() {
  UniqueFd own(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
  if (!own) return ErrnoStatus(errno, "/proc/self/ns/pid");
  if (unshare(CLONE_NEWPID) != 0) {
    return ErrnoStatus(errno, "a process namespace");
  }
  const pid_t child = fork();
  const int error = errno;
  // Later children, such as fusermount3, are to be where we are.
  if (child != 0 && setns(own.get(), CLONE_NEWPID) != 0) {
    return ErrnoStatus(errno, "setns");
  }
  if (child < 0) return ErrnoStatus(error, "fork");
  return child;
}

class Outer {
 public:
  Outer(ServeJob& job, MessageChannel channel, pid_t child)
      : job_(job), channel_(std::move(channel)), child_(child) {}

  // Unavailable: there is no sandbox, and nothing has been mounted.
  absl::StatusOr<int> Run() {
    switch (Message message = channel_.Receive(); message.kind) {
      case kReady:
        break;
      case kNoSandbox:
        AwaitChild();
        return absl::UnavailableError(message.text);
      case kFailed:
        AwaitChild();
        return Complain(absl::UnknownError(message.text));
      default:
        return Complain(Died());
    }
    if (absl::Status status = SendDevice(); !status.ok()) {
      channel_.Send(kStop);
      AwaitChild();
      return Complain(status);
    }
    switch (Message message = channel_.Receive(); message.kind) {
      case kServing:
        break;
      case kFailed:
        AwaitChild();
        return Complain(absl::UnknownError(message.text));
      default:
        return Complain(Died());
    }
    Settle(job_);
    if (job_.background.has_value()) channel_.Send(kBackground);
    return Watch();
  }

 private:
  // Mounts, and hands over what that gave, without keeping it: the connection
  // is to end with the inner process.
  absl::Status SendDevice() {
    const ServeOptions& options = job_.options;
    if (std::optional<int> inherited =
            InheritedDescriptor(options.mountpoint)) {
      UniqueFd fd(*inherited);
      // A peer may take its time, unlike the kernel.
      if (!AwaitReadable(*inherited, job_.signals.get())) {
        return absl::CancelledError("stopped before INIT came");
      }
      channel_.Send(kDevice, {}, {*inherited});
      return absl::OkStatus();
    }
    absl::StatusOr<Mounted> mounted = Mount::Make(
        options.mountpoint, options.session.mount, options.session.log);
    if (!mounted.ok()) return mounted.status();
    mount_ = std::make_shared<Mount>(std::move(mounted->mount));
    const Device device = std::move(mounted->device);
    std::vector<int> fds = {device.fd()};
    if (device.keeper_fd() >= 0) fds.push_back(device.keeper_fd());
    channel_.Send(kDevice, {}, fds);
    return absl::OkStatus();
  }

  // Until the inner process has ended. Gives the exit status.
  int Watch() {
    std::string statistics;
    bool alive = true;
    while (alive) {
      pollfd events[] = {{channel_.fd(), POLLIN, 0},
                         {job_.signals.get(), POLLIN, 0}};
      while (poll(events, 2, stopped_ ? TimeLeft() : -1) < 0 &&
             errno == EINTR) {
      }
      if (events[1].revents != 0) Stop();
      if (events[0].revents != 0) {
        Message message = channel_.Receive();
        if (message.kind == kSignalled) Stop();
        if (message.kind == kStatistics) statistics = std::move(message.text);
        alive = message.kind != kGone;
      } else if (stopped_ && TimeLeft() == 0) {
        // It has had its time to leave behind what does not return.
        kill(child_, SIGKILL);
        alive = false;
      }
    }
    const int status = AwaitChild();
    UnmountNow();
    if (!statistics.empty()) WriteStatistics(job_, statistics);
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    (*job_.log)(LogLevel::kError, std::string(Died(status).message()));
    return kExitFailed;
  }

  // Lets the kernel write back what it holds while the inner process still
  // serves, unmounts, and has that end. Bounded in time.
  void Stop() {
    if (std::exchange(stopped_, true)) return;
    job_.signals.reset();
    channel_.Send(kStopping);
    const absl::Duration patience = job_.options.session.stop_timeout;
    if (mount_ != nullptr) {
      auto done = std::make_shared<absl::Notification>();
      Thread thread;
      absl::Status started = thread.Start([mount = mount_, done] {
        SyncFilesystem(mount->mountpoint());
        done->Notify();
      });
      const bool synced =
          started.ok() && done->WaitForNotificationWithTimeout(patience);
      if (!synced) {
        (*job_.log)(LogLevel::kWarning,
                    "the filesystem took too long to write back; what it has "
                    "not taken by now is lost");
      }
      synced ? thread.Join() : thread.Detach();
      UnmountNow();
    }
    channel_.Send(kStop);
    // What a session takes at most after its time, and then some.
    deadline_ = absl::Now() + patience + absl::Seconds(5);
  }

  void UnmountNow() {
    if (mount_ == nullptr) return;
    const absl::Status status = mount_->Unmount();
    if (!status.ok()) {
      (*job_.log)(LogLevel::kWarning, std::string(status.message()));
    }
  }

  // Milliseconds.
  int TimeLeft() const {
    const absl::Duration left = deadline_ - absl::Now();
    return left <= absl::ZeroDuration()
               ? 0
               : static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
  }

  int AwaitChild() {
    int status = 0;
    while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  absl::Status Died() { return Died(AwaitChild()); }
  static absl::Status Died(int status) {
    return absl::UnknownError(
        WIFSIGNALED(status)
            ? absl::StrCat("the serving process was ended by signal ",
                           WTERMSIG(status))
            : absl::StrCat("the serving process ended with status ",
                           WEXITSTATUS(status)));
  }

  ServeJob& job_;
  MessageChannel channel_;
  const pid_t child_;
  std::shared_ptr<Mount> mount_;  // nullptr where the connection was inherited
  bool stopped_ = false;
  absl::Time deadline_ = absl::InfiniteFuture();
};

}  // namespace

absl::StatusOr<int> ServeConfined(ServeJob& job) {
  const SandboxOptions& sandbox = job.options.sandbox;
  if (!UniqueFd(
          open(sandbox.source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))) {
    return Complain(
        ErrnoStatus(errno, absl::StrCat("source ", sandbox.source)));
  }
  // Before anything is mounted there.
  absl::StatusOr<UniqueFd> source =
      CopyMounts(sandbox.source, sandbox.follows_mounts);
  if (!source.ok()) return source.status();
  absl::StatusOr<std::pair<MessageChannel, MessageChannel>> channels =
      MessageChannel::MakePair();
  if (!channels.ok()) return channels.status();
  absl::StatusOr<pid_t> child = ForkIntoNamespace();
  if (!child.ok()) return child.status();
  if (*child == 0) {
    {
      // The other end, by which the outer process' end is told.
      MessageChannel others = std::move(channels->first);
    }
    // What is the outer process' to do.
    job.background.reset();
    exit(Inner(job, std::move(channels->second)).Run(*std::move(source)));
  }
  source->reset();
  { MessageChannel others = std::move(channels->second); }
  return Outer(job, std::move(channels->first), *child).Run();
}

}  // namespace barefuse
