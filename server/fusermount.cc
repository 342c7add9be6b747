#include "server/fusermount.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

bool IsProgram(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

std::string FileName(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// Where the child finds the socket.
constexpr int kChildSocket = STDERR_FILENO + 1;

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd errors;  // what it writes to its stderr
};

// posix_spawn's plan for the child's descriptors and signals.
struct Plan {
  Plan() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~Plan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

// A duplicate that is out of the way of the child's descriptors 0 .. 3.
UniqueFd OutOfTheWay(int fd) {
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, kChildSocket + 1));
}

// Starts `program`, with /dev/null as stdin and stdout, a file in memory as
// stderr (a pipe would have to be read while the program stays), and `socket`,
// unless it is -1, as _FUSE_COMMFD. It gets nothing else of ours: with
// auto_unmount it stays, and whoever waits for the other end of a pipe would
// wait for it. The environment is not ours either, which another thread may be
// changing.
absl::StatusOr<Child> Spawn(const std::string& program,
                            std::vector<std::string> arguments, int socket) {
  Child child;
  UniqueFd errors(memfd_create("fusermount-errors", MFD_CLOEXEC));
  if (errors) child.errors = OutOfTheWay(errors.get());
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  UniqueFd child_null = null ? OutOfTheWay(null.get()) : UniqueFd();
  UniqueFd child_socket = socket >= 0 ? OutOfTheWay(socket) : UniqueFd();
  if (!child.errors || !child_null || (socket >= 0 && !child_socket)) {
    return ErrnoStatus(errno, absl::StrCat("cannot run ", program));
  }

  Plan plan;
  posix_spawn_file_actions_adddup2(&plan.actions, child_null.get(), 0);
  posix_spawn_file_actions_adddup2(&plan.actions, child_null.get(), 1);
  posix_spawn_file_actions_adddup2(&plan.actions, child.errors.get(), 2);
  if (child_socket) {
    posix_spawn_file_actions_adddup2(&plan.actions, child_socket.get(),
                                     kChildSocket);
  }
  posix_spawn_file_actions_addclosefrom_np(
      &plan.actions, child_socket ? kChildSocket + 1 : kChildSocket);
  // It waits for children of its own, which an ignored SIGCHLD would spoil.
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&plan.attributes, &signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGPIPE);
  posix_spawnattr_setsigdefault(&plan.attributes, &signals);
  posix_spawnattr_setflags(&plan.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  arguments.insert(arguments.begin(), FileName(program));
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  std::string commfd = absl::StrCat("_FUSE_COMMFD=", kChildSocket);
  char* environment[] = {path.data(), commfd.data(), nullptr};
  if (int error = posix_spawn(&child.pid, program.c_str(), &plan.actions,
                              &plan.attributes, argv.data(), environment);
      error != 0) {
    return ErrnoStatus(error, absl::StrCat("cannot run ", program));
  }
  child.pidfd.reset(
      static_cast<int>(syscall(SYS_pidfd_open, child.pid, /*flags=*/0)));
  return child;
}

// Whether it succeeded; nothing where somebody else has waited for it, or
// nobody can.
std::optional<bool> Succeeded(const Child& child) {
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0) {
    if (errno != EINTR) return std::nullopt;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// What it wrote to its stderr, as one line.
std::string Complaint(const Child& child) {
  char text[4096];
  const ssize_t size = pread(child.errors.get(), text, sizeof text, 0);
  if (size <= 0) return "";
  absl::string_view said(text, static_cast<size_t>(size));
  return absl::StrReplaceAll(absl::StripAsciiWhitespace(said), {{"\n", "; "}});
}

absl::Status Refusal(const std::string& program, absl::string_view what,
                     const Child& child) {
  std::string complaint = Complaint(child);
  if (complaint.empty()) complaint = absl::StrCat(program, " failed");
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", complaint));
}

// Takes the descriptor that comes through `socket`. None at the end of the
// stream.
UniqueFd Receive(int socket) {
  char byte;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  do {
    n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return UniqueFd();
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights == nullptr || rights->cmsg_level != SOL_SOCKET ||
      rights->cmsg_type != SCM_RIGHTS ||
      rights->cmsg_len != CMSG_LEN(sizeof(int))) {
    return UniqueFd();
  }
  int fd;
  memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace

UnmountHelper& UnmountHelper::operator=(UnmountHelper&& other) noexcept {
  if (this != &other) {
    End();
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

void UnmountHelper::End() {
  if (!pidfd_) return;
  // It blocks every signal that can be blocked. Its user is the one who started
  // it, though its rights are root's.
  syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  siginfo_t info;
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) < 0 &&
         errno == EINTR) {
  }
  pidfd_.reset();
}

absl::StatusOr<std::string> FindFusermount(const std::string& wanted) {
  if (!wanted.empty()) {
    if (IsProgram(wanted)) return wanted;
    return absl::NotFoundError(absl::StrCat(wanted, ": no such program"));
  }
  const char* path = getenv("PATH");
  std::vector<std::string> directories =
      absl::StrSplit(path != nullptr ? path : "", ':', absl::SkipEmpty());
  directories.insert(directories.end(), {"/usr/bin", "/bin", "/usr/local/bin"});
  for (const char* name : {"fusermount3", "fusermount"}) {
    for (const std::string& directory : directories) {
      std::string program = absl::StrCat(directory, "/", name);
      if (IsProgram(program)) return program;
    }
  }
  return absl::NotFoundError("there is no fusermount3");
}

absl::StatusOr<Fusermounted> FusermountMount(const std::string& program,
                                             const std::string& mountpoint,
                                             const MountOptions& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot run ", program));
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  absl::StatusOr<Child> child =
      Spawn(program, {"-o", FusermountOptions(options), "--", mountpoint},
            theirs.get());
  if (!child.ok()) return child.status();
  theirs.reset();
  Fusermounted result;
  result.device = Receive(ours.get());
  const std::string what = absl::StrCat("cannot mount at ", mountpoint);
  if (!result.device) {
    ours.reset();
    Succeeded(*child);
    return Refusal(program, what, *child);
  }
  if (options.auto_unmount) {
    result.keeper = std::move(ours);
    result.helper = UnmountHelper(std::move(child->pidfd));
  } else if (!Succeeded(*child).value_or(true)) {
    return Refusal(program, what, *child);
  }
  result.warnings = Complaint(*child);
  return result;
}

absl::Status FusermountUnmount(const std::string& program,
                               const std::string& mountpoint) {
  absl::StatusOr<Child> child =
      Spawn(program, {"-u", "-z", "--", mountpoint}, -1);
  if (!child.ok()) return child.status();
  if (Succeeded(*child).value_or(true)) return absl::OkStatus();
  return Refusal(program, absl::StrCat("cannot unmount ", mountpoint), *child);
}

}  // namespace barefuse
