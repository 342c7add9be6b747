// Mounts that go with their server, however that dies.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "server/session.h"
#include "tests/kernel/other_user.h"
#include "tests/kernel/small_file_system.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::Check;
using barefuse::testing::MountsBelow;
using barefuse::testing::Process;
using barefuse::testing::SmallFileSystem;
using barefuse::testing::TempDir;

// Waits until nothing is mounted below `path`; false where that does not come.
bool AwaitNoMount(const std::string& path) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(10);
  // The kernel reports each change of the table once to each who has it open.
  UniqueFd table(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  Check(static_cast<bool>(table), "/proc/self/mountinfo");
  for (;;) {
    if (MountsBelow(path).empty()) return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd change{table.get(), POLLPRI, 0};
    poll(&change, 1, static_cast<int>(left.count()));
  }
}

// Uses the mount until told to stop, whatever that gives.
class BusyClients {
 public:
  explicit BusyClients(const std::string& file) {
    for (int i = 0; i < 3; ++i) {
      threads_.emplace_back([this, file] {
        char buffer[64];
        while (!stop_) {
          UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
          if (fd && read(fd.get(), buffer, sizeof buffer) > 0) ++reads_;
        }
      });
    }
  }
  ~BusyClients() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  void AwaitReads(int reads) {
    while (reads_ < reads) std::this_thread::yield();
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> reads_{0};
  std::vector<std::thread> threads_;
};

class AutoUnmountTest : public ::testing::Test {
 protected:
  SessionOptions Options(TransportKind kind = TransportKind::kAuto) {
    SessionOptions options;
    options.mount.auto_unmount = true;
    options.workers = 4;
    options.transport = kind;
    return options;
  }

  // Kills a server with busy clients, `trials` times. Gives how many mounts
  // have stayed. `prepare` runs in the server before it mounts.
  int Stayed(
      const SessionOptions& options, int trials,
      const std::function<void()>& prepare = [] {}) {
    int stayed = 0;
    for (int trial = 0; trial < trials; ++trial) {
      int ready[2];
      Check(pipe2(ready, O_CLOEXEC) == 0, "pipe");
      UniqueFd ready_read(ready[0]), ready_write(ready[1]);
      Process server([&] {
        prepare();
        auto session = Session::Mount(std::make_shared<SmallFileSystem>(),
                                      mountpoint_, options);
        char byte = session.ok() ? 'y' : 'n';
        Check(write(ready_write.get(), &byte, 1) == 1, "write");
        if (session.ok()) (*session)->Wait();
        return 0;
      });
      char byte = 0;
      Check(read(ready_read.get(), &byte, 1) == 1 && byte == 'y', "mount");
      {
        BusyClients clients(mountpoint_ + "/file");
        clients.AwaitReads(200);
        server.Signal(SIGKILL);
        server.Wait();
      }
      if (!AwaitNoMount(dir_.path())) {
        ++stayed;
        umount2(mountpoint_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
      }
      // The helper, which is ours now.
      for (pid_t child : testing::Children()) testing::WaitFor(child);
    }
    return stayed;
  }

  TempDir dir_;
  std::string mountpoint_ = dir_.MakeDir("mnt");
};

TEST_F(AutoUnmountTest, AKilledServersMountGoes) {
  EXPECT_EQ(Stayed(Options(TransportKind::kDevUring), 10), 0);
}

TEST_F(AutoUnmountTest, AlsoWithoutIoUring) {
  EXPECT_EQ(Stayed(Options(TransportKind::kDev), 10), 0);
}

TEST_F(AutoUnmountTest, AlsoWithOneDescriptorForAll) {
  SessionOptions options = Options();
  options.clone_device = false;
  EXPECT_EQ(Stayed(options, 5), 0);
}

// fusermount3 3.14 looks at the mount as root, to whom it is closed without
// allow_other.
TEST_F(AutoUnmountTest, AlsoAUsers) {
  Check(chown(mountpoint_.c_str(), testing::kNobody, testing::kNobody) == 0,
        mountpoint_);
  testing::WriteFile(dir_ / "fuse.conf", "user_allow_other\n");
  testing::InPlaceOf conf(dir_ / "fuse.conf", "/etc/fuse.conf");
  testing::DeviceForAll device(dir_ / "fuse");
  SessionOptions options = Options();
  options.mount.allow_other = true;
  EXPECT_EQ(Stayed(options, 5, testing::BecomeNobody), 0);
}

// A server that is left in peace unmounts by itself, and the helper goes.
TEST_F(AutoUnmountTest, AStoppedServerLeavesNoHelper) {
  auto session = Session::Mount(std::make_shared<SmallFileSystem>(),
                                mountpoint_, Options());
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(testing::Children().size(), 1u);
  EXPECT_EQ(testing::ReadFile(mountpoint_ + "/file"),
            SmallFileSystem::kContent);
  (*session)->Stop();
  EXPECT_EQ((*session)->Wait().kind, StopReason::Kind::kStopped);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
  EXPECT_TRUE(testing::Children().empty());
}

TEST_F(AutoUnmountTest, AnUnmountFromOutsideLeavesNoHelper) {
  auto session = Session::Mount(std::make_shared<SmallFileSystem>(),
                                mountpoint_, Options());
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_EQ(umount2(mountpoint_.c_str(), MNT_DETACH), 0);
  EXPECT_EQ((*session)->Wait().kind, StopReason::Kind::kUnmounted);
  EXPECT_TRUE(testing::Children().empty());
}

// The helper has nothing of ours that somebody may wait for.
TEST_F(AutoUnmountTest, TheHelperHoldsNoDescriptorOfOurs) {
  int ends[2];
  Check(pipe2(ends, 0) == 0, "pipe");  // without O_CLOEXEC
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  auto session = Session::Mount(std::make_shared<SmallFileSystem>(),
                                mountpoint_, Options());
  ASSERT_TRUE(session.ok()) << session.status();
  write_end.reset();
  pollfd end{read_end.get(), POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 5000), 1);
  EXPECT_NE(end.revents & POLLHUP, 0);
}

}  // namespace
}  // namespace barefuse
