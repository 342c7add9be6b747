// Locks of whole files by flock(2).
#include <sys/file.h>

#include "tests/kernel/suite_locks.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::WriteFile;

class OperationsFlock : public TransportSuite {
 protected:
  void SetUp() override {
    TransportSuite::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    WriteFile(At("file"), "content");
  }
  UniqueFd OpenFile() { return Open(At("file"), O_RDONLY); }
  static Error Flock(const UniqueFd& fd, int operation) {
    return Errno(flock(fd.get(), operation | LOCK_NB));
  }
  // A process that waits for the file.
  Waiter WaitFor(int operation) {
    return Waiter(SYS_flock, [this, operation]() -> Error {
      static UniqueFd fd;  // open until the process ends
      fd = OpenFile();
      return Errno(flock(fd.get(), operation));
    });
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsFlock);

TEST_P(OperationsFlock, ExclusiveOrShared) {
  UniqueFd one = OpenFile(), two = OpenFile(), three = OpenFile();
  ASSERT_EQ(Flock(one, LOCK_EX), 0);
  EXPECT_EQ(Flock(two, LOCK_EX), EWOULDBLOCK);
  EXPECT_EQ(Flock(two, LOCK_SH), EWOULDBLOCK);
  EXPECT_EQ(Flock(one, LOCK_UN), 0);
  ASSERT_EQ(Flock(one, LOCK_SH), 0);
  EXPECT_EQ(Flock(two, LOCK_SH), 0);
  EXPECT_EQ(Flock(three, LOCK_EX), EWOULDBLOCK);
  EXPECT_EQ(Flock(two, LOCK_UN), 0);
  EXPECT_EQ(Flock(three, LOCK_EX), EWOULDBLOCK);
  EXPECT_EQ(Flock(one, LOCK_UN), 0);
  EXPECT_EQ(Flock(three, LOCK_EX), 0);
  // To give back what one has not is no error.
  EXPECT_EQ(Flock(one, LOCK_UN), 0);
  EXPECT_EQ(Flock(one, LOCK_SH), EWOULDBLOCK);
}

TEST_P(OperationsFlock, IsConverted) {
  UniqueFd one = OpenFile(), two = OpenFile();
  ASSERT_EQ(Flock(one, LOCK_EX), 0);
  EXPECT_EQ(Flock(one, LOCK_EX), 0);
  EXPECT_EQ(Flock(one, LOCK_SH), 0);
  EXPECT_EQ(Flock(two, LOCK_SH), 0);
  EXPECT_EQ(Flock(two, LOCK_UN), 0);
  EXPECT_EQ(Flock(one, LOCK_EX), 0);
  EXPECT_EQ(Flock(two, LOCK_SH), EWOULDBLOCK);
}

TEST_P(OperationsFlock, BelongsToTheOpenFile) {
  UniqueFd one = OpenFile(), two = OpenFile();
  ASSERT_EQ(Flock(one, LOCK_EX), 0);
  // Other closes do nothing, nor does that of one of several descriptors.
  OpenFile().reset();
  UniqueFd copy(fcntl(one.get(), F_DUPFD_CLOEXEC, 0));
  one.reset();
  EXPECT_EQ(Flock(two, LOCK_SH), EWOULDBLOCK);
  // A process that has inherited it has it, and can give it back.
  EXPECT_EQ(testing::Process([&] { return Flock(copy, LOCK_EX).value; }).Wait(),
            0);
  EXPECT_EQ(Flock(two, LOCK_SH), EWOULDBLOCK);
  EXPECT_EQ(testing::Process([&] { return Flock(copy, LOCK_UN).value; }).Wait(),
            0);
  EXPECT_EQ(Flock(two, LOCK_SH), 0);
}

TEST_P(OperationsFlock, GoesWithTheLastDescriptor) {
  UniqueFd one = OpenFile(), two = OpenFile();
  ASSERT_EQ(Flock(one, LOCK_EX), 0);
  UniqueFd copy(fcntl(one.get(), F_DUPFD_CLOEXEC, 0));
  one.reset();
  EXPECT_EQ(Flock(two, LOCK_EX), EWOULDBLOCK);
  copy.reset();
  // The last close is followed by the release, which nobody waits for.
  EXPECT_TRUE(Eventually([&] { return Flock(two, LOCK_EX) == 0; }));
}

TEST_P(OperationsFlock, HasNothingToDoWithLocksOfRanges) {
  UniqueFd one = Open(At("file"), O_RDWR), two = Open(At("file"), O_RDWR);
  ASSERT_EQ(Flock(one, LOCK_EX), 0);
  EXPECT_EQ(OutsideObstacle(two, 0, 0), "");
  EXPECT_EQ(Lock(two, F_WRLCK, 0, 0, F_OFD_SETLK), 0);
  EXPECT_EQ(Flock(one, LOCK_UN), 0);
  EXPECT_EQ(Flock(one, LOCK_EX), 0);
  EXPECT_EQ(OutsideObstacle(one, 0, 0), "W 0+0");
}

TEST_P(OperationsFlock, DirectoriesHaveLocksToo) {
  UniqueFd one = Open(root(), O_RDONLY | O_DIRECTORY);
  UniqueFd two = Open(root(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(Flock(one, LOCK_EX), 0);
  EXPECT_EQ(Flock(two, LOCK_SH), EWOULDBLOCK);
  EXPECT_EQ(Flock(one, LOCK_UN), 0);
  EXPECT_EQ(Flock(two, LOCK_SH), 0);
}

TEST_P(OperationsFlock, AWaiterGetsTheLockWhenItIsFree) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Flock(fd, LOCK_EX), 0);
  Waiter waiter = WaitFor(LOCK_EX);
  ASSERT_TRUE(waiter.AwaitBlocked());
  EXPECT_FALSE(waiter.HasLock());
  ASSERT_EQ(Flock(fd, LOCK_UN), 0);
  ASSERT_TRUE(waiter.AwaitLock());
  EXPECT_EQ(Flock(fd, LOCK_SH), EWOULDBLOCK);
  EXPECT_EQ(waiter.Finish(), 0);
  EXPECT_TRUE(Eventually([&] { return Flock(fd, LOCK_EX) == 0; }));
}

TEST_P(OperationsFlock, ReadersThatWaitGetItTogether) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Flock(fd, LOCK_EX), 0);
  Waiter one = WaitFor(LOCK_SH), two = WaitFor(LOCK_SH);
  ASSERT_TRUE(one.AwaitBlocked());
  ASSERT_TRUE(two.AwaitBlocked());
  ASSERT_EQ(Flock(fd, LOCK_SH), 0);
  EXPECT_TRUE(one.AwaitLock());
  EXPECT_TRUE(two.AwaitLock());
  EXPECT_EQ(one.Finish(), 0);
  EXPECT_EQ(two.Finish(), 0);
}

TEST_P(OperationsFlock, ASignalEndsTheWait) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Flock(fd, LOCK_EX), 0);
  Waiter waiter = WaitFor(LOCK_SH);
  ASSERT_TRUE(waiter.AwaitBlocked());
  waiter.Signal(SIGUSR1);
  EXPECT_EQ(waiter.Finish(), EINTR);
  ASSERT_EQ(Flock(fd, LOCK_UN), 0);
  UniqueFd other = OpenFile();
  EXPECT_EQ(Flock(other, LOCK_EX), 0);
}

TEST_P(OperationsFlock, AKilledWaiterLeavesNothing) {
  UniqueFd fd = OpenFile();
  ASSERT_EQ(Flock(fd, LOCK_EX), 0);
  Waiter waiter = WaitFor(LOCK_EX);
  ASSERT_TRUE(waiter.AwaitBlocked());
  waiter.Signal(SIGKILL);
  EXPECT_EQ(waiter.Finish(), 128 + SIGKILL);
  ASSERT_EQ(Flock(fd, LOCK_UN), 0);
  UniqueFd other = OpenFile();
  EXPECT_EQ(Flock(other, LOCK_EX), 0);
}

}  // namespace
}  // namespace barefuse
