#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>

#include "tests/testing/kernel_test.h"

namespace barefuse::testing {
namespace {

bool g_can_mount = false;

// Exits as `child` does; other children that end meanwhile are collected.
[[noreturn]] void ExitLike(pid_t child) {
  for (;;) {
    int status = 0;
    pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno != EINTR) _exit(1);
    if (ended != child) continue;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
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
    if (child > 0) ExitLike(child);
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
