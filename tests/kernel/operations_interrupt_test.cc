// Signals to processes that wait for the server.
#include <sys/file.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/kernel/suite_locks.h"
#include "tests/kernel/suite_memfs.h"

namespace barefuse {
namespace {

using testing::WriteFile;

class OperationsInterrupt : public MemfsSuite {
 protected:
  void SetUp() override {
    MemfsSuite::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    WriteFile(At("file"), "content");
    fd_ = OpenFile();
  }
  void TearDown() override {
    fd_.reset();
    MemfsSuite::TearDown();
  }
  UniqueFd OpenFile() { return Open(At("file"), O_RDWR); }
  // Processes that wait for all of the file.
  std::unique_ptr<Waiter> WaitForRange(int command = F_SETLKW,
                                       int signal_flags = 0) {
    return std::make_unique<Waiter>(
        SYS_fcntl, [this, command, signal_flags]() -> Error {
          struct sigaction action = {};
          action.sa_handler = [](int) {};
          action.sa_flags = signal_flags;
          sigaction(SIGUSR2, &action, nullptr);
          static UniqueFd fd;  // open until the process ends
          fd = OpenFile();
          return Lock(fd, F_WRLCK, 0, 0, command);
        });
  }
  std::unique_ptr<Waiter> WaitForFile() {
    return std::make_unique<Waiter>(SYS_flock, [this]() -> Error {
      static UniqueFd fd;  // open until the process ends
      fd = OpenFile();
      return Errno(flock(fd.get(), LOCK_EX));
    });
  }
  void EndsByBothSignals(const std::function<std::unique_ptr<Waiter>()>& wait) {
    const uint64_t interrupts = Requests(abi::FUSE_INTERRUPT);
    const uint64_t waits = Requests(abi::FUSE_SETLKW);
    auto interrupted = wait(), killed = wait();
    ASSERT_TRUE(interrupted->AwaitBlocked());
    ASSERT_TRUE(killed->AwaitBlocked());
    // What the server has not seen yet is taken back without a word.
    ASSERT_TRUE(
        Eventually([&] { return Requests(abi::FUSE_SETLKW) == waits + 2; }));
    interrupted->Signal(SIGUSR1);
    EXPECT_EQ(interrupted->Finish(), EINTR);
    killed->Signal(SIGKILL);
    EXPECT_EQ(killed->Finish(), 128 + SIGKILL);
    // A process that has been killed also interrupts its own close(2).
    EXPECT_GE(Requests(abi::FUSE_INTERRUPT), interrupts + 2);
  }

  UniqueFd fd_;
};
INSTANTIATE_FOR_MEMFS(OperationsInterrupt);

TEST_P(OperationsInterrupt, EndsAWaitForALock) {
  ASSERT_EQ(Lock(fd_, F_WRLCK, 0, 0), 0);
  EndsByBothSignals([&] { return WaitForRange(); });
  ASSERT_EQ(Lock(fd_, F_UNLCK, 0, 0), 0);
  EXPECT_EQ(OutsideObstacle(fd_, 0, 0), "");

  ASSERT_EQ(Lock(fd_, F_WRLCK, 0, 0, F_OFD_SETLK), 0);
  EndsByBothSignals([&] { return WaitForRange(F_OFD_SETLKW); });
  ASSERT_EQ(Lock(fd_, F_UNLCK, 0, 0, F_OFD_SETLK), 0);
  EXPECT_EQ(OutsideObstacle(fd_, 0, 0), "");

  ASSERT_EQ(Errno(flock(fd_.get(), LOCK_EX)), 0);
  EndsByBothSignals([&] { return WaitForFile(); });
  ASSERT_EQ(Errno(flock(fd_.get(), LOCK_UN)), 0);
  UniqueFd other = OpenFile();
  EXPECT_EQ(Errno(flock(other.get(), LOCK_EX | LOCK_NB)), 0);
}

TEST_P(OperationsInterrupt, AWaitThatRestartsGoesOn) {
  ASSERT_EQ(Lock(fd_, F_WRLCK, 0, 0), 0);
  auto waiter = WaitForRange(F_SETLKW, SA_RESTART);
  ASSERT_TRUE(waiter->AwaitBlocked());
  for (uint64_t round = 1; round <= 3; ++round) {
    waiter->Signal(SIGUSR2);
    ASSERT_TRUE(
        Eventually([&] { return Requests(abi::FUSE_SETLKW) == 1 + round; }));
    EXPECT_FALSE(waiter->HasLock());
  }
  ASSERT_EQ(Lock(fd_, F_UNLCK, 0, 0), 0);
  ASSERT_TRUE(waiter->AwaitLock());
  EXPECT_EQ(OutsideObstacle(fd_, 0, 0), "W 0+0");
  EXPECT_EQ(waiter->Finish(), 0);
  EXPECT_EQ(OutsideObstacle(fd_, 0, 0), "");
}

// More than there are slots, threads and cores.
TEST_P(OperationsInterrupt, FindsTheOneOfMany) {
  constexpr size_t kCount = 40;
  ASSERT_EQ(Lock(fd_, F_WRLCK, 0, 0), 0);
  std::vector<std::unique_ptr<Waiter>> waiters;
  for (size_t i = 0; i < kCount; ++i) waiters.push_back(WaitForRange());
  for (const auto& waiter : waiters) ASSERT_TRUE(waiter->AwaitBlocked());
  // The server still has time for others. (To close the file here would give
  // the lock back.)
  EXPECT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  std::vector<std::unique_ptr<Waiter>> others;
  for (size_t i = 0; i < kCount; ++i) {
    auto& waiter = waiters[(i * 7) % kCount];
    if (i % 2 == 1) {
      others.push_back(std::move(waiter));
      continue;
    }
    waiter->Signal(i % 4 == 0 ? SIGUSR1 : SIGKILL);
    EXPECT_EQ(waiter->Finish(), i % 4 == 0 ? EINTR : 128 + SIGKILL) << i;
  }
  ASSERT_EQ(Lock(fd_, F_UNLCK, 0, 0), 0);
  while (!others.empty()) {
    auto holder = others.end();
    ASSERT_TRUE(Eventually([&] {
      holder = std::find_if(others.begin(), others.end(),
                            [](const auto& w) { return w->HasLock(); });
      return holder != others.end();
    })) << others.size();
    EXPECT_EQ((*holder)->Finish(), 0);
    others.erase(holder);
  }
  EXPECT_EQ(OutsideObstacle(fd_, 0, 0), "");
}

TEST_P(OperationsInterrupt, OrTheLockButNotBothAndNotNeither) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(Lock(fd_, F_WRLCK, 0, 0), 0);
    auto waiter = WaitForRange();
    ASSERT_TRUE(waiter->AwaitBlocked());
    if (round % 2 == 0) {
      waiter->Signal(SIGUSR1);
      ASSERT_EQ(Lock(fd_, F_UNLCK, 0, 0), 0);
    } else {
      ASSERT_EQ(Lock(fd_, F_UNLCK, 0, 0), 0);
      waiter->Signal(SIGUSR1);
    }
    // A signal that comes after the lock finds the process asleep elsewhere.
    const Error error = waiter->Finish();
    EXPECT_TRUE(error == 0 || error == EINTR || error == ENOTRECOVERABLE)
        << error;
    ASSERT_EQ(OutsideObstacle(fd_, 0, 0), "") << round;
  }
}

}  // namespace
}  // namespace barefuse
