#include "tools/background.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/errno_status.h"

namespace barefuse {
namespace {

// Waits for the child's word, or for its end.
[[noreturn]] void ExitLikeChild(int pipe, pid_t child) {
  char word;
  ssize_t n;
  do {
    n = read(pipe, &word, 1);
  } while (n < 0 && errno == EINTR);
  if (n == 1) _exit(0);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
                                                      : 1);
}

}  // namespace

absl::StatusOr<Background> Background::Start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  pid_t child = fork();
  if (child < 0) return ErrnoStatus(errno, "fork");
  if (child > 0) {
    to_parent.reset();
    ExitLikeChild(from_child.get(), child);
  }
  return Background(std::move(to_parent));
}

void Background::LeaveTerminal(int null) {
  setsid();
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
}

void Background::Detach() {
  // The working directory of a daemon keeps no filesystem busy.
  [[maybe_unused]] int result = chdir("/");
  LeaveTerminal(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)).get());
  const char word = 1;
  [[maybe_unused]] ssize_t n = write(parent_.get(), &word, 1);
  parent_.reset();
}

}  // namespace barefuse
