#include "tests/testing/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "tests/testing/files.h"

namespace barefuse::testing {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    Check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  UniqueFd read;
  UniqueFd write;
};

[[noreturn]] void Exec(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  Check(false, arguments[0]);
  _exit(127);
}

int StatusOf(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
                                : 128 + WTERMSIG(wait_status);
}

// False at the end of the stream.
bool ReadSome(int fd, std::string* to) {
  char buffer[4096];
  ssize_t n;
  do {
    n = read(fd, buffer, sizeof buffer);
  } while (n < 0 && errno == EINTR);
  if (n > 0) to->append(buffer, static_cast<size_t>(n));
  return n > 0;
}

}  // namespace

std::string Runfile(const std::string& path) {
  const char* root = getenv("TEST_SRCDIR");
  const char* workspace = getenv("TEST_WORKSPACE");
  Check(root != nullptr && workspace != nullptr, "not run by bazel test");
  return std::string(root) + "/" + workspace + "/" + path;
}

int WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) Check(errno == EINTR, "waitpid");
  return StatusOf(status);
}

Ended RunToEnd(const std::vector<std::string>& arguments,
               const std::function<void()>& prepare) {
  Pipe out, err;
  pid_t child = fork();
  Check(child >= 0, "fork");
  if (child == 0) {
    dup2(out.write.get(), STDOUT_FILENO);
    dup2(err.write.get(), STDERR_FILENO);
    if (prepare) prepare();
    Exec(arguments);
  }
  out.write.reset();
  err.write.reset();
  Ended ended;
  bool out_open = true;
  bool err_open = true;
  while (out_open || err_open) {
    pollfd fds[] = {{out_open ? out.read.get() : -1, POLLIN, 0},
                    {err_open ? err.read.get() : -1, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents != 0) out_open = ReadSome(out.read.get(), &ended.out);
    if (fds[1].revents != 0) err_open = ReadSome(err.read.get(), &ended.err);
  }
  ended.status = WaitFor(child);
  return ended;
}

Process::Process(const std::vector<std::string>& arguments) {
  Pipe err;
  pid_ = fork();
  Check(pid_ >= 0, "fork");
  if (pid_ == 0) {
    dup2(err.write.get(), STDERR_FILENO);
    Exec(arguments);
  }
  err_ = std::move(err.read);
}

Process::Process(const std::function<int()>& body) {
  pid_ = fork();
  Check(pid_ >= 0, "fork");
  if (pid_ == 0) _exit(body());
}

Process::~Process() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  Wait();
}

void Process::Signal(int signal) const { kill(pid_, signal); }

std::string Process::ReadErrUntil(const std::string& text) {
  std::string seen;
  size_t found = seen.npos;
  // Byte by byte, so that what follows the line is left for the next call.
  for (char c; found == seen.npos || seen.back() != '\n';) {
    constexpr int kLong = 20'000;  // milliseconds
    pollfd ready{err_.get(), POLLIN, 0};
    const bool any = poll(&ready, 1, kLong) > 0;
    ssize_t n = any ? read(err_.get(), &c, 1) : 0;
    if (n < 0 && errno == EINTR) continue;
    Check(n == 1, "\"" + text + "\" did not come; instead:\n" + seen);
    seen += c;
    if (found == seen.npos) found = seen.find(text);
  }
  return seen;
}

int Process::Wait() { return WaitFor(std::exchange(pid_, -1)); }

std::vector<pid_t> Children() {
  std::ostringstream path;
  path << "/proc/self/task/" << getpid() << "/children";
  std::ifstream file(path.str());
  std::vector<pid_t> children;
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

}  // namespace barefuse::testing
