#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/testing/kernel_test.h"

namespace barefuse::testing {
namespace {

bool g_can_mount = false;

// Whether a process is on its way out: dumping core, or a zombie whose threads
// have not all ended.
bool IsDying(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("State:\tZ") || line == "CoreDumping:\t1") return true;
  }
  return false;
}

// Ends the FUSE connections that are mounted in this namespace. A test that
// dies takes its servers along; its threads that wait for them would wait for
// ever, and the connection with them, since it is held by the process that
// cannot end.
void AbortConnections() {
  constexpr char kControl[] = "/sys/fs/fuse/connections";
  mount("none", kControl, "fusectl", 0, nullptr);
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - fuse") == line.npos) continue;
    std::istringstream columns(line);
    std::string id, parent, device;
    columns >> id >> parent >> device;
    const std::string minor = device.substr(device.find(':') + 1);
    std::ofstream(kControl + ("/" + minor) + "/abort") << "1";
  }
}

[[noreturn]] void ExitWith(int status) {
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

// Exits as `child` does. Others that end meanwhile are collected. Sees to it
// that a child which is killed, or told to end, does end.
[[noreturn]] void Guard(pid_t child) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  for (;;) {
    constexpr timespec kTick = {1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &kTick);
    int status = 0;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended == child) ExitWith(status);
    }
    if (signal == SIGTERM) kill(child, SIGKILL);
    if (signal == SIGTERM || IsDying(child)) AbortConnections();
  }
}

[[noreturn]] void ExitLike(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) _exit(1);
  }
  ExitWith(status);
}

// Puts the rest of the program into a mount and a process namespace. The
// process that is number 1 there only waits: when it goes, the kernel kills
// whatever the test has left running, and with the last process the mounts go.
bool EnterNamespaces() {
  if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) != 0) return false;
  if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0) return false;
  for (int level = 0; level < 2; ++level) {
    pid_t child = fork();
    if (child < 0) return false;
    if (child > 0) level == 0 ? ExitLike(child) : Guard(child);
    if (level == 0) {
      // Whoever started the test may be killed, at a timeout for instance.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          mount("proc", "/proc", "proc", 0, nullptr) != 0) {
        return false;
      }
    }
  }
  // Daemons become children of the test, which can wait for them.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  return true;
}

class NeedsMounts : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override {
    if (g_can_mount) return;
    const char* ci = getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") {
      FAIL() << "CI=true, and this test needs root and /dev/fuse";
    }
    GTEST_SKIP() << "needs root and /dev/fuse";
  }
};

}  // namespace

bool CanMount() { return g_can_mount; }

}  // namespace barefuse::testing

int main(int argc, char** argv) {
  using namespace barefuse::testing;
  ::testing::InitGoogleTest(&argc, argv);
  // The name of a listing or help run does not matter; it mounts nothing.
  if (!::testing::GTEST_FLAG(list_tests)) g_can_mount = EnterNamespaces();
  ::testing::UnitTest::GetInstance()->listeners().Append(new NeedsMounts);
  return RUN_ALL_TESTS();
}
