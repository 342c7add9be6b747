// The barefuse program as people use it: from a shell, from mount(8), and with
// the mistakes that they make.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "server/unique_fd.h"
#include "tests/kernel/program_fixture.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::Children;
using barefuse::testing::Ended;
using barefuse::testing::MountsBelow;
using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::RunToEnd;
using barefuse::testing::WaitFor;
using barefuse::testing::WriteFile;

class ProgramTest : public testing::ProgramFixture {
 protected:
  ProgramTest() { WriteFile(source_ + "/file", "content"); }

  std::vector<std::string> Command(std::vector<std::string> options) {
    options.insert(options.begin(), {program_, "passthrough"});
    options.insert(options.end(), {source_, mnt_});
    return options;
  }
  // Mounts in the background and gives the daemon's process id.
  pid_t Daemon(const std::vector<std::string>& options = {}) {
    return ProgramFixture::Daemon(Command(options));
  }

  std::string source_ = dir_.MakeDir("src");
};

TEST_F(ProgramTest, MountsInTheBackgroundAndEndsWithTheMount) {
  const pid_t daemon = Daemon();
  // The mount works by the time the command is back.
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(daemon), 0);
  ExpectNothingLeft();
}

TEST_F(ProgramTest, UnmountsOnSignals) {
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const pid_t daemon = Daemon();
    EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
    kill(daemon, signal);
    EXPECT_EQ(WaitFor(daemon), 0);
    ExpectNothingLeft();
  }
}

TEST_F(ProgramTest, ABusyMountRefusesToGoAndGoesOnATerm) {
  const pid_t daemon = Daemon();
  UniqueFd busy(open((mnt_ + "/file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(umount(mnt_.c_str()), -1);
  EXPECT_EQ(errno, EBUSY);
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  kill(daemon, SIGTERM);
  EXPECT_EQ(WaitFor(daemon), 0);
  ExpectNothingLeft();
}

TEST_F(ProgramTest, TheNextMountDetachesADeadOne) {
  const pid_t daemon = Daemon();
  kill(daemon, SIGKILL);
  EXPECT_EQ(WaitFor(daemon), 128 + SIGKILL);
  // The process that serves in the sandbox ends with it.
  for (pid_t serving : Children()) EXPECT_EQ(WaitFor(serving), 0);
  struct stat info;
  EXPECT_EQ(stat(mnt_.c_str(), &info), -1);
  EXPECT_TRUE(errno == ENOTCONN || errno == ECONNABORTED) << strerror(errno);

  Ended again = RunToEnd(Command({}));
  EXPECT_EQ(again.status, 0);
  EXPECT_EQ(again.err, "barefuse: detached a dead mount at " + mnt_ +
                           " (its server is gone)\n");
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  EXPECT_EQ(MountsBelow(dir_.path()).size(), 1u);
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(Children().at(0)), 0);
  ExpectNothingLeft();
}

TEST_F(ProgramTest, StaysInTheForegroundWithF) {
  Process server(Command({"-f"}));
  while (MountsBelow(mnt_).empty()) {
    ASSERT_EQ(kill(server.pid(), 0), 0);
  }
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  server.Signal(SIGINT);
  EXPECT_EQ(server.Wait(), 0);
  ExpectNothingLeft();
}

TEST_F(ProgramTest, AMountMayBeInItsOwnSource) {
  // Which has source_ and mnt_ in it.
  const pid_t daemon =
      ProgramFixture::Daemon({program_, "passthrough", dir_.path(), mnt_});
  EXPECT_EQ(ReadFile(mnt_ + "/src/file"), "content");
  // Itself it shows as the directory that it covers.
  for (const auto& entry : std::filesystem::directory_iterator(mnt_ + "/mnt")) {
    ADD_FAILURE() << entry.path();
  }
  EXPECT_EQ(umount(mnt_.c_str()), 0) << strerror(errno);
  EXPECT_EQ(WaitFor(daemon), 0);
  ExpectNothingLeft();
}

TEST_F(ProgramTest, DebugShowsEachRequestAndReply) {
  Process server(Command({"-d"}));
  const std::string init = server.ReadErrUntil("INIT = OK");
  EXPECT_NE(init.find("max_stack_depth=1"), init.npos) << init;
  server.ReadErrUntil("INIT FUSE_PASSTHROUGH: granted");
  while (MountsBelow(mnt_).empty()) {
  }
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  server.ReadErrUntil("LOOKUP node=1");
  server.ReadErrUntil("OPEN = OK fh=1 open_flags=PASSTHROUGH backing_id=");
  server.ReadErrUntil(" fh=1 flags=O_RDONLY");  // of the RELEASE
  server.Signal(SIGTERM);
  server.ReadErrUntil("session ended: stopped");
  EXPECT_EQ(server.Wait(), 0);
}

TEST_F(ProgramTest, WritesWhatItCounted) {
  const pid_t daemon = Daemon({"--stats", dir_ / "stats"});
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(daemon), 0);
  const std::string json = ReadFile(dir_ / "stats");
  EXPECT_NE(json.find("\"stop\": \"unmounted\""), json.npos) << json;
  EXPECT_NE(json.find("\"OPEN\": {\"requests\": 1, \"errors\": 0}"), json.npos)
      << json;
  EXPECT_NE(json.find("\"read_bytes\": 0"), json.npos) << json;
  EXPECT_EQ(json.find("\"READ\""), json.npos) << json;
}

TEST_F(ProgramTest, MountOptionsArriveInTheMountTable) {
  const pid_t daemon = Daemon(
      {"-o",
       "ro,noatime,fsname=a\\,b,subtype=test,allow_other,max_read=65536"});
  std::istringstream mounts(ReadFile("/proc/self/mounts"));
  std::string line, found;
  while (std::getline(mounts, line)) {
    if (line.find(mnt_) != line.npos) found = line;
  }
  EXPECT_TRUE(found.starts_with("a,b " + mnt_ + " fuse.test ro,")) << found;
  for (const char* option :
       {"nosuid", "nodev", "noatime", "default_permissions", "allow_other",
        "max_read=65536"}) {
    EXPECT_NE(found.find(option), found.npos) << option << " in " << found;
  }
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(daemon), 0);
}

TEST_F(ProgramTest, OtherModesServeTheSameContent) {
  const std::vector<std::vector<std::string>> modes = {
      {"--nopassthrough"},      {"--cache=never"},     {"--cache=always"},
      {"--writeback"},          {"--direct-io"},       {"--single"},
      {"--noclone-fd"},         {"--clone-fd"},        {"--timeout=5"},
      {"--num-threads=3"},      {"--backing-depth=1"}, {"--transport=dev"},
      {"--transport=dev-uring"}};
  for (const std::vector<std::string>& mode : modes) {
    const pid_t daemon = Daemon(mode);
    EXPECT_EQ(ReadFile(mnt_ + "/file"), "content") << mode[0];
    WriteFile(mnt_ + "/new", mode[0]);
    EXPECT_EQ(ReadFile(source_ + "/new"), mode[0]);
    ASSERT_EQ(umount(mnt_.c_str()), 0) << mode[0];
    EXPECT_EQ(WaitFor(daemon), 0) << mode[0];
  }
}

TEST_F(ProgramTest, StartsWithoutStandardDescriptors) {
  Ended ended = RunToEnd({"sh", "-c",
                          "exec \"$0\" passthrough \"$1\" \"$2\" <&- >&- 2>&-",
                          program_, source_, mnt_});
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(Children().at(0)), 0);
}

// Makes io_uring_setup(2) fail as a container's filter does.
void ForbidIoUring() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(filter), filter};
  testing::Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
                 "seccomp");
}

TEST_F(ProgramTest, DoesWithoutIoUringWhereItIsForbidden) {
  Ended ended = RunToEnd(Command({}), ForbidIoUring);
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.err,
            "barefuse: io_uring is forbidden here (kernel.io_uring_disabled, "
            "or a seccomp filter); using plain read and write instead\n");
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  WriteFile(mnt_ + "/new", "text");
  EXPECT_EQ(ReadFile(source_ + "/new"), "text");
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(Children().at(0)), 0);

  // Who asks for it by name does not get something else.
  ended = RunToEnd(Command({"--transport=dev-uring"}), ForbidIoUring);
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.err,
            "barefuse: io_uring is forbidden here (kernel.io_uring_disabled, "
            "or a seccomp filter)\n");
  ExpectNothingLeft();
}

TEST_F(ProgramTest, AnIgnoredHangupIsIgnored) {
  Ended ended = RunToEnd(Command({}), [] { signal(SIGHUP, SIG_IGN); });
  EXPECT_EQ(ended.status, 0);
  const pid_t daemon = Children().at(0);
  kill(daemon, SIGHUP);
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  ASSERT_EQ(umount(mnt_.c_str()), 0);
  EXPECT_EQ(WaitFor(daemon), 0);
}

TEST_F(ProgramTest, SaysAtTheTerminalThatPassthroughIsNotToBeHad) {
  const pid_t lower = Daemon();
  const std::string above = dir_.MakeDir("above");
  Ended ended = RunToEnd({program_, "passthrough", mnt_, above});
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.err,
            "barefuse: no passthrough, reads and writes go through the server: "
            "the backing file is on a stacked filesystem, deeper than the "
            "session's backing depth allows\n");
  EXPECT_EQ(ReadFile(above + "/file"), "content");
  ASSERT_EQ(umount(above.c_str()), 0);
  // The upper server holds the lower mount as long as it lives.
  for (pid_t child : Children()) {
    if (child != lower) {
      EXPECT_EQ(WaitFor(child), 0);
    }
  }
  ASSERT_EQ(umount(mnt_.c_str()), 0) << strerror(errno);
  EXPECT_EQ(WaitFor(lower), 0);
}

TEST_F(ProgramTest, MistakesAreNamedAndLeaveNothing) {
  struct Mistake {
    std::vector<std::string> arguments;
    int status;
    std::string message;
  };
  const std::string hint = "\nTry \"barefuse passthrough --help\".\n";
  const std::vector<Mistake> mistakes = {
      {{"passthrough", dir_ / "none", mnt_},
       1,
       "barefuse: source " + (dir_ / "none") + ": No such file or directory\n"},
      {{"passthrough", source_ + "/file", mnt_},
       1,
       "barefuse: source " + source_ + "/file: Not a directory\n"},
      {{"passthrough", source_, dir_ / "none"},
       1,
       "barefuse: " + (dir_ / "none") + ": No such file or directory\n"},
      {{"passthrough", source_, dir_ / "plain"},
       1,
       "barefuse: " + (dir_ / "plain") + ": not a directory\n"},
      {{"passthrough", "--frobnicate", source_, mnt_},
       2,
       "barefuse: unknown option \"--frobnicate\"" + hint},
      {{"passthrough", "-o", "frobnicate", source_, mnt_},
       2,
       "barefuse: unknown mount option \"frobnicate\"" + hint},
      {{"passthrough", "--num-threads", "0", source_, mnt_},
       2,
       "barefuse: --num-threads: \"0\" is not a number from 1 to 1024" + hint},
      {{"passthrough", "--timeout", "soon", source_, mnt_},
       2,
       "barefuse: --timeout: \"soon\" is not a number from 0 to 100000000" +
           hint},
      {{"passthrough", "--stats", dir_ / "none/stats", source_, mnt_},
       1,
       "barefuse: " + (dir_ / "none/stats.part") +
           ": No such file or directory\n"},
      {{"passthrough", "", mnt_},
       2,
       "barefuse: SOURCE is an empty string" + hint},
      {{"passthrough", source_}, 2, "barefuse: MOUNTPOINT is missing" + hint},
      {{"passthrough", source_, mnt_, "more"},
       2,
       "barefuse: unexpected argument \"more\"" + hint},
      {{"passthrough", "--stats", "-", source_, mnt_},
       2,
       "barefuse: --stats - needs -f" + hint},
      {{"mount"},
       2,
       "barefuse: unknown command \"mount\"\nTry \"barefuse --help\".\n"},
  };
  WriteFile(dir_ / "plain", "");
  for (const Mistake& mistake : mistakes) {
    Ended ended = Barefuse(mistake.arguments);
    EXPECT_EQ(ended.status, mistake.status) << mistake.message;
    EXPECT_EQ(ended.err, mistake.message);
    EXPECT_EQ(ended.out, "");
    ExpectNothingLeft();
  }
}

TEST_F(ProgramTest, AUserWithoutRightsIsToldSo) {
  auto become_nobody = [] {
    testing::Check(setgid(65534) == 0 && setuid(65534) == 0, "setuid");
  };
  const std::string copy = CopyForOthers();
  Ended ended = RunToEnd({copy, "passthrough", source_, mnt_}, become_nobody);
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.err, "barefuse: cannot mount at " + mnt_ +
                           ": fusermount3: failed to open /dev/fuse: "
                           "Permission denied\n");
  // With access to the device it is the mountpoint that is somebody else's.
  testing::Check(chmod("/dev/fuse", 0666) == 0, "chmod");
  ended = RunToEnd({copy, "passthrough", source_, mnt_}, become_nobody);
  testing::Check(chmod("/dev/fuse", 0600) == 0, "chmod");
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.err, "barefuse: cannot mount at " + mnt_ +
                           ": fusermount3: user has no write access to "
                           "mountpoint " +
                           mnt_ + "\n");
  ExpectNothingLeft();
}

TEST_F(ProgramTest, WorksThroughMount8) {
  const testing::MountHelper helper(dir_, program_, "mount.fuse.barefuse");
  Ended ended = RunToEnd(
      {"mount", "-t", "fuse.barefuse", source_, mnt_, "-o", "ro,allow_other"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  EXPECT_EQ(open((mnt_ + "/file").c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(RunToEnd({"umount", mnt_}).status, 0);
  EXPECT_EQ(WaitFor(Children().at(0)), 0);

  // mount(8) wants to hear 32 of a failed mount, 1 of wrong usage.
  ended = RunToEnd({"mount", "-t", "fuse.barefuse", dir_ / "none", mnt_});
  EXPECT_EQ(ended.status, 32) << ended.err;
  EXPECT_NE(ended.err.find("No such file or directory"), ended.err.npos);
  ended =
      RunToEnd({"mount", "-t", "fuse.barefuse", source_, mnt_, "-o", "foo"});
  EXPECT_EQ(ended.status, 1) << ended.err;
  EXPECT_NE(ended.err.find("unknown mount option \"foo\""), ended.err.npos);
  // It pretends.
  EXPECT_EQ(
      RunToEnd({"mount", "-f", "-t", "fuse.barefuse", source_, mnt_}).status,
      0);
  EXPECT_TRUE(MountsBelow(mnt_).empty());
}

TEST_F(ProgramTest, HelpFitsATerminal) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"},
        std::vector<std::string>{"passthrough", "--help"},
        std::vector<std::string>{"memfs", "--help"}}) {
    Ended ended = Barefuse(arguments);
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.err, "");
    EXPECT_TRUE(ended.out.starts_with("Usage: barefuse ")) << ended.out;
    std::istringstream lines(ended.out);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), 80u) << line;
    }
  }
  Ended version = Barefuse({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_TRUE(version.out.starts_with("barefuse ")) << version.out;
  EXPECT_EQ(Barefuse({"passthrough", "--version"}).out, version.out);
  EXPECT_EQ(Barefuse({}).status, 2);
}

TEST_F(ProgramTest, IsLinkedWithNothingItDoesNotNeed) {
  Ended ended = RunToEnd({"ldd", program_});
  ASSERT_EQ(ended.status, 0) << ended.err;
  std::istringstream lines(ended.out);
  const std::vector<std::string> allowed = {
      "linux-vdso", "libc.",     "libm.",       "libstdc++.",
      "libgcc_s.",  "liburing.", "libseccomp.", "ld-linux",
      "libasan.",   "libubsan.", "libtsan."};  // the last three with sanitizers
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(std::any_of(
        allowed.begin(), allowed.end(),
        [&](const std::string& name) { return line.find(name) != line.npos; }))
        << line;
  }
}

}  // namespace
}  // namespace barefuse
