// Locks of ranges by fcntl(2), those of processes and those of open files.
#include "tests/kernel/suite_locks.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::WriteFile;

class OperationsLocks : public TransportSuite {
 protected:
  void SetUp() override {
    TransportSuite::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    WriteFile(At("file"), "content");
  }
  UniqueFd OpenFile() { return Open(At("file"), O_RDWR); }
  // A process that waits for a write lock of all of the file.
  Waiter WaitForAll(int command = F_SETLKW) {
    return Waiter(SYS_fcntl, [this, command]() -> Error {
      static UniqueFd fd;  // open until the process ends
      fd = OpenFile();
      return Lock(fd, F_WRLCK, 0, 0, command);
    });
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsLocks);

TEST_P(OperationsLocks, AWriteLockKeepsOthersOut) {
  UniqueFd fd = OpenFile();
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "");
  ASSERT_EQ(Lock(fd, F_WRLCK, 10, 5), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 10+5");
  EXPECT_EQ(OutsideObstacle(fd, 14, 1), "W 10+5");
  EXPECT_EQ(OutsideObstacle(fd, 15, 0), "");
  EXPECT_EQ(OutsideObstacle(fd, 0, 10), "");
  const User root = {0, 0};
  EXPECT_EQ(As(root, [&] { return Lock(fd, F_WRLCK, 0, 11); }), EAGAIN);
  EXPECT_EQ(As(root, [&] { return Lock(fd, F_RDLCK, 12, 1); }), EAGAIN);
  EXPECT_EQ(As(root, [&] { return Lock(fd, F_WRLCK, 0, 10); }), 0);
  // One's own are never in the way.
  EXPECT_EQ(Obstacle(fd, 0, 0), "");
  EXPECT_EQ(Lock(fd, F_WRLCK, 0, 100), 0);
  EXPECT_EQ(Lock(fd, F_UNLCK, 0, 0), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "");
}

TEST_P(OperationsLocks, ReadersShare) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_RDLCK, 0, 10), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "R 0+10");
  const User root = {0, 0};
  EXPECT_EQ(As(root, [&] { return Lock(fd, F_RDLCK, 5, 10); }), 0);
  EXPECT_EQ(As(root, [&] { return Lock(fd, F_WRLCK, 5, 10); }), EAGAIN);
  // A reader becomes the writer, unless another one reads.
  EXPECT_EQ(Lock(fd, F_WRLCK, 0, 10), 0);
  EXPECT_EQ(As(root, [&] { return Lock(fd, F_RDLCK, 5, 10); }), EAGAIN);
}

TEST_P(OperationsLocks, TheHolderIsNamed) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
  const std::string holder = FromOutside([&] {
    struct flock lock = {};
    lock.l_type = F_RDLCK;
    testing::Check(fcntl(fd.get(), F_GETLK, &lock) == 0, "F_GETLK");
    return std::to_string(lock.l_pid);
  });
  EXPECT_EQ(holder, std::to_string(getpid()));
}

TEST_P(OperationsLocks, RangesSplitAndMerge) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 100), 0);
  ASSERT_EQ(Lock(fd, F_UNLCK, 40, 20), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 0+40");
  EXPECT_EQ(OutsideObstacle(fd, 40, 20), "");
  EXPECT_EQ(OutsideObstacle(fd, 40, 0), "W 60+40");
  ASSERT_EQ(Lock(fd, F_WRLCK, 40, 20), 0);
  EXPECT_EQ(OutsideObstacle(fd, 50, 1), "W 0+100");
  // A part of another type.
  ASSERT_EQ(Lock(fd, F_RDLCK, 30, 10), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 0+30");
  EXPECT_EQ(OutsideObstacle(fd, 35, 1), "R 30+10");
  EXPECT_EQ(OutsideObstacle(fd, 40, 0), "W 40+60");
  // One that covers several.
  ASSERT_EQ(Lock(fd, F_RDLCK, 10, 80), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 0+10");
  EXPECT_EQ(OutsideObstacle(fd, 10, 1), "R 10+80");
  EXPECT_EQ(OutsideObstacle(fd, 95, 1), "W 90+10");
  // What overlaps or touches grows together; to the end is 0.
  ASSERT_EQ(Lock(fd, F_RDLCK, 85, 0), 0);
  EXPECT_EQ(OutsideObstacle(fd, 1000, 1), "R 10+0");
  ASSERT_EQ(Lock(fd, F_UNLCK, 200, 0), 0);
  EXPECT_EQ(OutsideObstacle(fd, 50, 1), "R 10+190");
  EXPECT_EQ(OutsideObstacle(fd, 200, 0), "");
}

TEST_P(OperationsLocks, RangesAreCountedFromThreePlaces) {
  UniqueFd fd = OpenFile();  // 7 bytes
  ASSERT_EQ(lseek(fd.get(), 3, SEEK_SET), 3);
  const auto lock = [&](int whence, off_t start, off_t size) {
    struct flock range = {};
    range.l_type = F_WRLCK;
    range.l_whence = static_cast<short>(whence);
    range.l_start = start;
    range.l_len = size;
    EXPECT_EQ(Errno(fcntl(fd.get(), F_SETLK, &range)), 0);
    const std::string seen = OutsideObstacle(fd, 0, 0);
    EXPECT_EQ(Lock(fd, F_UNLCK, 0, 0), 0);
    return seen;
  };
  EXPECT_EQ(lock(SEEK_CUR, 1, 2), "W 4+2");
  EXPECT_EQ(lock(SEEK_END, -2, 10), "W 5+10");
  EXPECT_EQ(lock(SEEK_SET, 10, -4), "W 6+4");
  EXPECT_EQ(Lock(fd, F_WRLCK, -1, 1), EINVAL);
  EXPECT_EQ(Lock(fd, F_WRLCK, 1, -2), EINVAL);
  const off_t last = std::numeric_limits<off_t>::max();
  EXPECT_EQ(Lock(fd, F_WRLCK, last, 2), EOVERFLOW);
  EXPECT_EQ(Lock(fd, F_WRLCK, last, 1), 0);
  // As far as offsets go, which is the same as to the end.
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W " + std::to_string(last) + "+0");
}

TEST_P(OperationsLocks, ALockWantsAnOpenOfItsKind) {
  UniqueFd reader = Open(At("file"), O_RDONLY);
  UniqueFd writer = Open(At("file"), O_WRONLY);
  EXPECT_EQ(Lock(reader, F_WRLCK, 0, 0), EBADF);
  EXPECT_EQ(Lock(writer, F_RDLCK, 0, 0), EBADF);
  EXPECT_EQ(Lock(reader, F_RDLCK, 0, 0), 0);
  EXPECT_EQ(Lock(reader, 77, 0, 0), EINVAL);
}

TEST_P(OperationsLocks, AnyCloseOfTheFileReleases) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 0+0");
  // As POSIX wants it: also that of another open, by the same process.
  OpenFile().reset();
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "");
}

TEST_P(OperationsLocks, OthersClosesReleaseNothing) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 10), 0);
  // A process that has inherited the descriptor, and one that opens the file.
  EXPECT_EQ(testing::Process([&] { return close(fd.get()); }).Wait(), 0);
  EXPECT_EQ(testing::Process([&] { return OpenFile() ? 0 : 1; }).Wait(), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 0+10");
}

TEST_P(OperationsLocks, TheEndOfAProcessReleases) {
  UniqueFd fd = OpenFile();
  Waiter holder = WaitForAll();
  ASSERT_TRUE(holder.AwaitLock());
  EXPECT_EQ(Obstacle(fd, 0, 0), "W 0+0");
  holder.Signal(SIGKILL);
  holder.Finish();
  EXPECT_EQ(Obstacle(fd, 0, 0), "");
  EXPECT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
}

TEST_P(OperationsLocks, AWaiterGetsTheLockWhenItIsFree) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 10), 0);
  Waiter waiter = WaitForAll();
  ASSERT_TRUE(waiter.AwaitBlocked());
  EXPECT_FALSE(waiter.HasLock());
  // A part is not enough.
  ASSERT_EQ(Lock(fd, F_UNLCK, 0, 5), 0);
  EXPECT_TRUE(waiter.AwaitBlocked());
  EXPECT_FALSE(waiter.HasLock());
  ASSERT_EQ(Lock(fd, F_UNLCK, 5, 5), 0);
  ASSERT_TRUE(waiter.AwaitLock());
  EXPECT_EQ(Obstacle(fd, 0, 0), "W 0+0");
  EXPECT_EQ(waiter.Finish(), 0);
  EXPECT_EQ(Obstacle(fd, 0, 0), "");
}

TEST_P(OperationsLocks, AWaiterGetsTheLockThatACloseReleases) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
  Waiter waiter = WaitForAll();
  ASSERT_TRUE(waiter.AwaitBlocked());
  EXPECT_FALSE(waiter.HasLock());
  fd.reset();
  ASSERT_TRUE(waiter.AwaitLock());
  EXPECT_EQ(waiter.Finish(), 0);
}

TEST_P(OperationsLocks, WaitersHandTheLockOn) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
  Waiter one = WaitForAll();
  Waiter two = WaitForAll();
  ASSERT_TRUE(one.AwaitBlocked());
  ASSERT_TRUE(two.AwaitBlocked());
  ASSERT_EQ(Lock(fd, F_UNLCK, 0, 0), 0);
  ASSERT_TRUE(Eventually([&] { return one.HasLock() || two.HasLock(); }));
  Waiter& first = one.HasLock() ? one : two;
  Waiter& second = one.HasLock() ? two : one;
  EXPECT_FALSE(second.HasLock());
  EXPECT_EQ(first.Finish(), 0);
  ASSERT_TRUE(second.AwaitLock());
  EXPECT_EQ(second.Finish(), 0);
  EXPECT_EQ(Obstacle(fd, 0, 0), "");
}

TEST_P(OperationsLocks, ASignalEndsTheWait) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
  Waiter waiter = WaitForAll();
  ASSERT_TRUE(waiter.AwaitBlocked());
  waiter.Signal(SIGUSR1);
  EXPECT_EQ(waiter.Finish(), EINTR);
  // It is not in the queue any more.
  ASSERT_EQ(Lock(fd, F_UNLCK, 0, 0), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "");
}

TEST_P(OperationsLocks, AKilledWaiterLeavesNothing) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
  Waiter waiter = WaitForAll();
  ASSERT_TRUE(waiter.AwaitBlocked());
  waiter.Signal(SIGKILL);
  EXPECT_EQ(waiter.Finish(), 128 + SIGKILL);
  ASSERT_EQ(Lock(fd, F_UNLCK, 0, 0), 0);
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "");
}

TEST_P(OperationsLocks, LocksOfOpenFilesAreBetweenOpens) {
  UniqueFd one = OpenFile(), two = OpenFile();
  ASSERT_EQ(Lock(one, F_WRLCK, 0, 10, F_OFD_SETLK), 0);
  EXPECT_EQ(Lock(two, F_WRLCK, 5, 10, F_OFD_SETLK), EAGAIN);
  EXPECT_EQ(Lock(two, F_RDLCK, 10, 10, F_OFD_SETLK), 0);
  EXPECT_EQ(Obstacle(two, 0, 10, F_OFD_GETLK), "W 0+10");
  EXPECT_EQ(Obstacle(one, 0, 0, F_OFD_GETLK), "R 10+10");
  // And they are in the way of those of processes, the same one's too.
  EXPECT_EQ(Lock(two, F_WRLCK, 0, 1), EAGAIN);
  EXPECT_EQ(Obstacle(two, 0, 5), "W 0+10");
}

TEST_P(OperationsLocks, LocksOfOpenFilesGoWithTheLastDescriptor) {
  UniqueFd one = OpenFile(), two = OpenFile();
  ASSERT_EQ(Lock(one, F_WRLCK, 0, 0, F_OFD_SETLK), 0);
  OpenFile().reset();
  EXPECT_EQ(Obstacle(two, 0, 0, F_OFD_GETLK), "W 0+0");
  UniqueFd copy(fcntl(one.get(), F_DUPFD_CLOEXEC, 0));
  one.reset();
  EXPECT_EQ(Obstacle(two, 0, 0, F_OFD_GETLK), "W 0+0");
  copy.reset();
  // The last close is followed by the release, which nobody waits for.
  EXPECT_TRUE(
      Eventually([&] { return Obstacle(two, 0, 0, F_OFD_GETLK).empty(); }));
}

TEST_P(OperationsLocks, LocksOfOpenFilesAreNoProcesss) {
  UniqueFd one = OpenFile(), two = OpenFile();
  ASSERT_EQ(Lock(one, F_WRLCK, 0, 0, F_OFD_SETLK), 0);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(Errno(fcntl(two.get(), F_OFD_GETLK, &lock)), 0);
  EXPECT_EQ(lock.l_pid, -1);
}

TEST_P(OperationsLocks, AWaiterGetsALockOfAnOpenFile) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0, F_OFD_SETLK), 0);
  Waiter waiter = WaitForAll(F_OFD_SETLKW);
  ASSERT_TRUE(waiter.AwaitBlocked());
  EXPECT_FALSE(waiter.HasLock());
  ASSERT_EQ(Lock(fd, F_UNLCK, 0, 0, F_OFD_SETLK), 0);
  ASSERT_TRUE(waiter.AwaitLock());
  EXPECT_EQ(waiter.Finish(), 0);

  ASSERT_TRUE(
      Eventually([&] { return Lock(fd, F_WRLCK, 0, 0, F_OFD_SETLK) == 0; }));
  Waiter interrupted = WaitForAll(F_OFD_SETLKW);
  ASSERT_TRUE(interrupted.AwaitBlocked());
  interrupted.Signal(SIGUSR1);
  EXPECT_EQ(interrupted.Finish(), EINTR);
}

}  // namespace
}  // namespace barefuse
