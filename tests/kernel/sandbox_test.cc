// The sandbox that `barefuse passthrough` serves from.
#include <linux/capability.h>
#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/kernel/program_fixture.h"

namespace barefuse::testing {
namespace {

class SandboxTest : public ProgramFixture {
 protected:
  std::vector<std::string> Command(std::vector<std::string> options) const {
    options.insert(options.begin(), {program_, "passthrough"});
    options.insert(options.end(), {source_, mnt_});
    return options;
  }
  // The process that serves; -1 where there is none beside the daemon.
  static pid_t Serving(pid_t daemon) {
    const std::string pid = std::to_string(daemon);
    std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
    pid_t child = -1;
    children >> child;
    return child;
  }
  // A line of its /proc/PID/status, without the name.
  static std::string StatusOf(pid_t process, const std::string& name) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    }
    return "";
  }

  std::string source_ = dir_.MakeDir("src");
};

TEST_F(SandboxTest, HoldsTheSourceAndLittleElse) {
  WriteFile(source_ + "/file", "content");
  const pid_t daemon = Daemon(Command({"--sandbox"}));
  const pid_t serving = Serving(daemon);
  ASSERT_GT(serving, 0);
  std::set<std::string> names;
  const std::string root = "/proc/" + std::to_string(serving) + "/root";
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    names.insert(entry.path().filename());
  }
  EXPECT_EQ(names, (std::set<std::string>{"dev", "proc", "source"}));
  EXPECT_EQ(ReadFile(root + "/source/file"), "content");
  EXPECT_EQ(mkdir((root + "/new").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);

  EXPECT_EQ(StatusOf(serving, "NoNewPrivs"), "1");
  // The sanitizers could not do with it.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_EQ(StatusOf(serving, "Seccomp"), "2");
#endif
  const uint64_t rights = std::stoull(StatusOf(serving, "CapEff"), nullptr, 16);
  for (int kept : {CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH, CAP_SETUID}) {
    EXPECT_NE(rights >> kept & 1, 0u) << kept;
  }
  for (int gone : {CAP_SYS_RESOURCE, CAP_SYS_MODULE, CAP_SYS_RAWIO,
                   CAP_NET_ADMIN, CAP_SYS_BOOT, CAP_SYS_CHROOT}) {
    EXPECT_EQ(rights >> gone & 1, 0u) << gone;
  }
  // It serves all the same.
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  WriteFile(mnt_ + "/new", "new");
  EXPECT_EQ(ReadFile(source_ + "/new"), "new");
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(daemon), 0);
  ExpectNothingLeft();
}

TEST_F(SandboxTest, IsLeftOutWhereItIsNotWanted) {
  const pid_t daemon = Daemon(Command({"--nosandbox"}));
  EXPECT_EQ(Serving(daemon), -1);
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(daemon), 0);
  ExpectNothingLeft();
}

TEST_F(SandboxTest, TheMountGoesWithTheProcessThatServes) {
  const pid_t daemon = Daemon(Command({}));
  kill(Serving(daemon), SIGKILL);
  EXPECT_EQ(WaitFor(daemon), 1);
  ExpectNothingLeft();
}

TEST_F(SandboxTest, ASignalToTheProcessThatServesEndsBoth) {
  const pid_t daemon = Daemon(Command({}));
  kill(Serving(daemon), SIGTERM);
  EXPECT_EQ(WaitFor(daemon), 0);
  ExpectNothingLeft();
}

TEST_F(SandboxTest, WhatIsMountedInTheSourceLaterShows) {
  ASSERT_EQ(mount("tmpfs", source_.c_str(), "tmpfs", 0, ""), 0);
  ASSERT_EQ(mount("", source_.c_str(), nullptr, MS_SHARED, nullptr), 0);
  ASSERT_EQ(mkdir((source_ + "/below").c_str(), 0755), 0);
  const pid_t daemon = Daemon(Command({"--cache=never"}));
  ASSERT_EQ(mount("tmpfs", (source_ + "/below").c_str(), "tmpfs", 0, ""), 0);
  WriteFile(source_ + "/below/file", "content");
  EXPECT_EQ(ReadFile(mnt_ + "/below/file"), "content");
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(daemon), 0);
  umount2(source_.c_str(), MNT_DETACH);
}

// Not root's, who would be asked to give up what he does not have.
TEST_F(SandboxTest, IsRefusedWhereItCannotBeHad) {
  const std::string copy = CopyForOthers();
  ASSERT_EQ(chown(mnt_.c_str(), 65534, 65534), 0);
  const Ended ended = RunToEnd(
      {copy, "passthrough", "--sandbox", source_, mnt_},
      [] { Check(setgid(65534) == 0 && setuid(65534) == 0, "setuid"); });
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.err.find("barefuse: no sandbox: "), std::string::npos)
      << ended.err;
  ExpectNothingLeft();
}

}  // namespace
}  // namespace barefuse::testing
