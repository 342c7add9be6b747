// `barefuse memfs` as people use it, and with the mistakes that they make.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <sstream>

#include "server/unique_fd.h"
#include "tests/kernel/other_user.h"
#include "tests/kernel/program_fixture.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::Check;
using barefuse::testing::Children;
using barefuse::testing::Ended;
using barefuse::testing::kNobody;
using barefuse::testing::MountsBelow;
using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::RunToEnd;
using barefuse::testing::Snapshot;
using barefuse::testing::Stat;
using barefuse::testing::WaitFor;
using barefuse::testing::WriteFile;

class MemfsProgramTest : public testing::ProgramFixture {
 protected:
  std::vector<std::string> Command(std::vector<std::string> options) {
    options.insert(options.begin(), {program_, "memfs"});
    options.push_back(mnt_);
    return options;
  }
  pid_t Daemon(const std::vector<std::string>& options = {}) {
    return ProgramFixture::Daemon(Command(options));
  }
  void Unmount(pid_t daemon) {
    ASSERT_EQ(umount(mnt_.c_str()), 0) << strerror(errno);
    EXPECT_EQ(WaitFor(daemon), 0);
    ExpectNothingLeft();
  }
  // The line of the mount table, of the last mount at mnt_.
  std::string TableLine() {
    std::istringstream mounts(ReadFile("/proc/self/mounts"));
    std::string found;
    for (std::string line; std::getline(mounts, line);) {
      if (line.find(" " + mnt_ + " ") != line.npos) found = line;
    }
    return found;
  }
};

TEST_F(MemfsProgramTest, KeepsATree) {
  const std::string tree = dir_.MakeDir("tree");
  Check(mkdir((tree + "/sub").c_str(), 0750) == 0, "mkdir");
  WriteFile(tree + "/sub/file", std::string(100'000, 'x'));
  WriteFile(tree + "/empty", "");
  Check(symlink("sub/file", (tree + "/symlink").c_str()) == 0, "symlink");
  Check(link((tree + "/empty").c_str(), (tree + "/sub/link").c_str()) == 0,
        "link");
  Check(mkfifo((tree + "/fifo").c_str(), 0600) == 0, "mkfifo");

  const pid_t daemon = Daemon();
  Ended copied = RunToEnd({"cp", "-a", tree + "/.", mnt_ + "/copy"});
  EXPECT_EQ(copied.status, 0) << copied.err;
  EXPECT_EQ(Snapshot(mnt_ + "/copy"), Snapshot(tree));
  EXPECT_EQ(RunToEnd({"rm", "-r", mnt_ + "/copy"}).status, 0);
  EXPECT_TRUE(Snapshot(mnt_).empty());
  Unmount(daemon);
}

TEST_F(MemfsProgramTest, WhatWasThereGoesWithTheMount) {
  pid_t daemon = Daemon();
  WriteFile(mnt_ + "/file", "content");
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  Unmount(daemon);
  daemon = Daemon();
  EXPECT_TRUE(Snapshot(mnt_).empty());
  Unmount(daemon);
}

TEST_F(MemfsProgramTest, HasTheRoomThatItWasGiven) {
  const pid_t daemon = Daemon({"--size=4M", "--inodes=3"});
  Ended df = RunToEnd({"df", "--output=size", "-k", mnt_});
  EXPECT_NE(df.out.find(" 4096\n"), df.out.npos) << df.out;
  struct statvfs info;
  ASSERT_EQ(statvfs(mnt_.c_str(), &info), 0);
  EXPECT_EQ(info.f_files, 3u);

  UniqueFd big(
      open((mnt_ + "/big").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(big);
  const std::string megabyte(1 << 20, 'x');
  int written = 0;
  ssize_t n;
  while ((n = write(big.get(), megabyte.data(), megabyte.size())) ==
         ssize_t{1 << 20}) {
    ASSERT_LE(++written, 4);
  }
  EXPECT_GE(written, 3);
  if (n >= 0) n = write(big.get(), megabyte.data(), megabyte.size());
  EXPECT_EQ(n, -1);
  EXPECT_EQ(errno, ENOSPC);
  // Room comes back, and the second limit is one of its own.
  ASSERT_EQ(ftruncate(big.get(), 0), 0);
  WriteFile(mnt_ + "/second", "");
  EXPECT_EQ(mkdir((mnt_ + "/third").c_str(), 0700), -1);
  EXPECT_EQ(errno, ENOSPC);
  big.reset();
  Unmount(daemon);
}

TEST_F(MemfsProgramTest, TheRootIsAsItWasAskedFor) {
  pid_t daemon = Daemon();
  struct stat root = Stat(mnt_);
  EXPECT_EQ(root.st_mode, S_IFDIR | 0755u);
  EXPECT_EQ(root.st_uid, 0u);
  EXPECT_EQ(root.st_gid, 0u);
  std::string line = TableLine();
  EXPECT_TRUE(line.starts_with("memfs " + mnt_ +
                               " fuse.barefuse-memfs rw,nosuid,nodev"))
      << line;
  EXPECT_NE(line.find("default_permissions"), line.npos) << line;
  EXPECT_EQ(line.find("allow_other"), line.npos) << line;
  Unmount(daemon);

  daemon = Daemon({"--mode", "1777", "-o", "uid=12,gid=34,allow_other,noexec"});
  root = Stat(mnt_);
  EXPECT_EQ(root.st_mode, S_IFDIR | 01777u);
  EXPECT_EQ(root.st_uid, 12u);
  EXPECT_EQ(root.st_gid, 34u);
  line = TableLine();
  EXPECT_NE(line.find("noexec"), line.npos) << line;
  EXPECT_NE(line.find("allow_other"), line.npos) << line;
  Unmount(daemon);
}

TEST_F(MemfsProgramTest, OtherModesKeepTheSameContent) {
  const std::vector<std::vector<std::string>> modes = {
      {"--direct-io"},
      {"--writeback"},
      {"--timeout=0"},
      {"--test-ioctls"},
      {"--single", "--transport=dev"},
      {"--max-write=4K"},
      {"--max-pages=1", "--max-readahead=0"},
      {"--max-background=1", "--congestion-threshold=1"},
      {"--slots=2", "--offload-threads=0", "--parked-requests=0"},
      {"--busy-poll=100"},
      {"--request-timeout=60", "--stop-timeout=1"},
      {"--max-minor=12"}};
  std::string content;
  for (int i = 0; content.size() < 300'000; ++i) content += std::to_string(i);
  for (const std::vector<std::string>& mode : modes) {
    SCOPED_TRACE(mode[0]);
    const pid_t daemon = Daemon(mode);
    WriteFile(mnt_ + "/file", content);
    EXPECT_TRUE(ReadFile(mnt_ + "/file") == content);
    Unmount(daemon);
  }
}

TEST_F(MemfsProgramTest, StaysInTheForegroundAndCounts) {
  Process server(Command({"-d", "--stats", dir_ / "stats"}));
  server.ReadErrUntil("INIT = OK");
  while (MountsBelow(mnt_).empty()) {
    ASSERT_EQ(kill(server.pid(), 0), 0);
  }
  WriteFile(mnt_ + "/file", "content");
  server.Signal(SIGINT);
  server.ReadErrUntil("session ended: stopped\n");
  EXPECT_EQ(server.Wait(), 0);
  const std::string json = ReadFile(dir_ / "stats");
  EXPECT_NE(json.find("\"stop\": \"stopped\","), json.npos) << json;
  EXPECT_EQ(json.find("\"detail\""), json.npos) << json;
  EXPECT_NE(json.find("\"written_bytes\": 7,"), json.npos) << json;
  ExpectNothingLeft();
}

TEST_F(MemfsProgramTest, AnAbortIsAFailure) {
  Process server(Command({"-d", "--stats", dir_ / "stats"}));
  server.ReadErrUntil("INIT = OK");
  while (MountsBelow(mnt_).empty()) {
    ASSERT_EQ(kill(server.pid(), 0), 0);
  }
  mount("none", "/sys/fs/fuse/connections", "fusectl", 0, nullptr);
  const unsigned minor = Stat(mnt_).st_dev & 0xff;
  WriteFile("/sys/fs/fuse/connections/" + std::to_string(minor) + "/abort",
            "1");
  server.ReadErrUntil("session ended: aborted");
  server.ReadErrUntil("barefuse: the connection was aborted");
  EXPECT_EQ(server.Wait(), 1);
  EXPECT_NE(ReadFile(dir_ / "stats").find("\"stop\": \"aborted\""),
            std::string::npos);
  ExpectNothingLeft();
}

// An ordinary user's, through fusermount3.
TEST_F(MemfsProgramTest, AUserMountsOneOfTheirOwn) {
  const testing::DeviceForAll device(dir_ / "fuse");
  const std::string copy = CopyForOthers();
  Check(chown(mnt_.c_str(), kNobody, kNobody) == 0, mnt_);
  Ended ended =
      RunToEnd({copy, "memfs", "--size=1M", mnt_}, testing::BecomeNobody);
  ASSERT_EQ(ended.status, 0) << ended.err;
  const pid_t daemon = Children().at(0);
  const std::string file = mnt_ + "/file";
  ended = RunToEnd({"sh", "-c",
                    "stat -c '%u %g %a' \"$1\" && echo content > \"$0\" && "
                    "cat \"$0\" && df --output=size -k \"$1\"",
                    file, mnt_},
                   testing::BecomeNobody);
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_TRUE(ended.out.starts_with("65534 65534 755\ncontent\n")) << ended.out;
  EXPECT_TRUE(ended.out.ends_with(" 1024\n")) << ended.out;
  // Nobody else's, root's neither.
  EXPECT_EQ(open(file.c_str(), O_RDONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EACCES);
  ended = RunToEnd({"fusermount3", "-u", mnt_}, testing::BecomeNobody);
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(WaitFor(daemon), 0);
  ExpectNothingLeft();
}

TEST_F(MemfsProgramTest, AKilledOneUnmountsWhereThatWasAskedFor) {
  const pid_t daemon = Daemon({"-o", "auto_unmount"});
  WriteFile(mnt_ + "/file", "content");
  kill(daemon, SIGKILL);
  EXPECT_EQ(WaitFor(daemon), 128 + SIGKILL);
  // The helper that has watched it is ours now.
  for (pid_t helper : Children()) WaitFor(helper);
  ExpectNothingLeft();
}

TEST_F(MemfsProgramTest, WorksThroughMount8) {
  const testing::MountHelper helper(dir_, program_,
                                    "mount.fuse.barefuse-memfs");
  Ended ended = RunToEnd({"mount", "-t", "fuse.barefuse-memfs", "scratch", mnt_,
                          "-o", "size=2M,mode=700,noatime"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_TRUE(
      TableLine().starts_with("scratch " + mnt_ + " fuse.barefuse-memfs rw,"))
      << TableLine();
  EXPECT_EQ(Stat(mnt_).st_mode, S_IFDIR | 0700u);
  EXPECT_EQ(RunToEnd({"umount", mnt_}).status, 0);
  EXPECT_EQ(WaitFor(Children().at(0)), 0);
  ended = RunToEnd({"mount", "-t", "fuse.barefuse-memfs", "scratch", mnt_, "-o",
                    "size=none"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(ended.err.starts_with(
      "barefuse: --size: \"none\" is not a size from 4K to 1024T\n"))
      << ended.err;
}

TEST_F(MemfsProgramTest, MistakesAreNamedAndLeaveNothing) {
  struct Mistake {
    std::vector<std::string> arguments;
    int status;
    std::string message;
  };
  const std::string hint = "\nTry \"barefuse memfs --help\".\n";
  const std::vector<Mistake> mistakes = {
      {{}, 2, "MOUNTPOINT is missing" + hint},
      {{"a", mnt_}, 2, "unexpected argument \"" + mnt_ + "\"" + hint},
      {{"--size", "much", mnt_},
       2,
       "--size: \"much\" is not a size from 4K to 1024T" + hint},
      {{"--mode=rwx", mnt_},
       2,
       "--mode: \"rwx\" is not an octal number from 0 to 7777" + hint},
      {{"-o", "uid=root", mnt_},
       2,
       "--uid: \"root\" is not a number from 0 to 4294967294" + hint},
      {{"--max-minor=46", mnt_},
       2,
       "--max-minor: \"46\" is not a number from 1 to 45" + hint},
      {{"-o", "blksize=512", mnt_},
       2,
       "a block size is for block devices only (mount option blkdev)" + hint},
      {{dir_ / "none"}, 1, dir_ / "none" + ": No such file or directory\n"},
      {{"-o", "blkdev,fsname=" + dir_ / "none", mnt_},
       1,
       "the block device to mount (fsname) " + dir_ / "none" +
           ": No such file or directory\n"},
      {{"/dev/fd/99"}, 1, "MOUNTPOINT /dev/fd/99: Bad file descriptor\n"},
      {{"/dev/fd/0"},
       1,
       "descriptor 3 is neither a FUSE device nor a SOCK_SEQPACKET socket\n"},
  };
  for (const Mistake& mistake : mistakes) {
    std::vector<std::string> arguments = mistake.arguments;
    arguments.insert(arguments.begin(), "memfs");
    Ended ended = Barefuse(arguments, [] {
      const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
      Check(dup2(null.get(), STDIN_FILENO) == 0, "dup2");
    });
    EXPECT_EQ(ended.status, mistake.status) << mistake.message;
    EXPECT_EQ(ended.err, "barefuse: " + mistake.message);
    EXPECT_EQ(ended.out, "");
    ExpectNothingLeft();
  }
}

}  // namespace
}  // namespace barefuse
