// poll(2), epoll(7) and ioctl(2).
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <future>

#include "tests/kernel/suite_memfs.h"

namespace barefuse {
namespace {

using testing::WriteFile;

constexpr int kLong = 20'000;  // milliseconds
constexpr short kAny = POLLIN | POLLOUT | POLLPRI;

class OperationsPollIoctl : public MemfsSuite {
 protected:
  UniqueFd OpenFile(int flags = O_RDWR) {
    return Open(At("file"), flags | O_CREAT);
  }
  static Error SetReady(const UniqueFd& fd, uint32_t mask) {
    return Errno(ioctl(fd.get(), MEMFS_IOC_SET_POLL, &mask));
  }
  // What is ready within `timeout` milliseconds; 0 for nothing.
  static int Poll(const UniqueFd& fd, int timeout, short events = kAny) {
    pollfd ready = {fd.get(), events, 0};
    const int count = poll(&ready, 1, timeout);
    testing::Check(count >= 0, "poll");
    return count == 0 ? 0 : ready.revents;
  }
  static Error AddTo(const UniqueFd& epoll, const UniqueFd& fd,
                     uint32_t events) {
    epoll_event event = {};
    event.events = events;
    event.data.fd = fd.get();
    return Errno(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event));
  }
  // The events of the next file that is ready, 0 for none.
  static uint32_t Wait(const UniqueFd& epoll, int timeout) {
    epoll_event event = {};
    const int count = epoll_wait(epoll.get(), &event, 1, timeout);
    testing::Check(count >= 0, "epoll_wait");
    return count == 0 ? 0 : event.events;
  }
  static Error GetFlags(const UniqueFd& fd, int* flags) {
    return Errno(ioctl(fd.get(), FS_IOC_GETFLAGS, flags));
  }
  static Error SetFlags(const UniqueFd& fd, int flags) {
    return Errno(ioctl(fd.get(), FS_IOC_SETFLAGS, &flags));
  }
};
INSTANTIATE_FOR_MEMFS(OperationsPollIoctl);

// --- poll ---

TEST_P(OperationsPollIoctl, SaysWhatTheServerSays) {
  UniqueFd fd = OpenFile();
  EXPECT_EQ(Poll(fd, 0), POLLIN | POLLOUT);
  EXPECT_EQ(Poll(fd, 0, POLLIN), POLLIN);
  for (const int mask : {0, POLLIN, POLLOUT, POLLPRI, POLLIN | POLLPRI}) {
    ASSERT_EQ(SetReady(fd, static_cast<uint32_t>(mask)), 0);
    EXPECT_EQ(Poll(fd, 0), mask);
  }
  // These nobody has to ask for.
  ASSERT_EQ(SetReady(fd, POLLHUP | POLLERR), 0);
  EXPECT_EQ(Poll(fd, 0, 0), POLLHUP | POLLERR);
  EXPECT_EQ(SetReady(OpenFile(O_RDONLY), POLLIN), EBADF);
}

TEST_P(OperationsPollIoctl, WhoWaitsIsWoken) {
  UniqueFd fd = OpenFile(), other = OpenFile();
  ASSERT_EQ(SetReady(fd, 0), 0);
  auto waiter = std::async(std::launch::async, [&] { return Poll(fd, kLong); });
  ASSERT_TRUE(Eventually([&] { return Info(other).pollers == 1; }));
  ASSERT_EQ(SetReady(other, POLLIN), 0);
  EXPECT_EQ(waiter.get(), POLLIN);
}

TEST_P(OperationsPollIoctl, AWakeUpForSomethingElseIsSleptThrough) {
  UniqueFd fd = OpenFile(), other = OpenFile();
  ASSERT_EQ(SetReady(fd, 0), 0);
  auto waiter =
      std::async(std::launch::async, [&] { return Poll(fd, kLong, POLLPRI); });
  ASSERT_TRUE(Eventually([&] { return Info(other).pollers == 1; }));
  const uint64_t polls = Requests(abi::FUSE_POLL);
  ASSERT_EQ(SetReady(other, POLLIN), 0);
  // It has looked and waits again.
  ASSERT_TRUE(Eventually([&] {
    return Requests(abi::FUSE_POLL) > polls && Info(other).pollers == 1;
  }));
  ASSERT_EQ(SetReady(other, POLLPRI), 0);
  EXPECT_EQ(waiter.get(), POLLPRI);
}

TEST_P(OperationsPollIoctl, AllWhoWaitAreWoken) {
  UniqueFd one = OpenFile(), two = OpenFile(), writer = OpenFile();
  UniqueFd unrelated = Open(At("unrelated"), O_RDWR | O_CREAT);
  ASSERT_EQ(SetReady(one, 0), 0);
  ASSERT_EQ(SetReady(unrelated, 0), 0);
  const auto wait = [&](const UniqueFd& fd) {
    return std::async(std::launch::async, [&] {
      pollfd ready[] = {{fd.get(), POLLIN, 0}, {unrelated.get(), POLLIN, 0}};
      const int count = poll(ready, 2, kLong);
      return count == 1 && ready[0].revents == POLLIN && ready[1].revents == 0;
    });
  };
  auto first = wait(one), second = wait(two);
  ASSERT_TRUE(Eventually([&] { return Info(writer).pollers == 2; }));
  ASSERT_EQ(SetReady(writer, POLLIN), 0);
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
}

TEST_P(OperationsPollIoctl, EpollHearsOfEachChange) {
  UniqueFd fd = OpenFile(), writer = OpenFile();
  ASSERT_EQ(SetReady(fd, 0), 0);
  UniqueFd level(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd edge(epoll_create1(EPOLL_CLOEXEC));
  ASSERT_EQ(AddTo(level, fd, EPOLLIN), 0);
  ASSERT_EQ(AddTo(edge, fd, EPOLLIN | EPOLLET), 0);
  EXPECT_EQ(Wait(level, 0), 0u);
  EXPECT_EQ(Wait(edge, 0), 0u);
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(SetReady(writer, POLLIN), 0);
    EXPECT_EQ(Wait(level, kLong), uint32_t{EPOLLIN}) << round;
    EXPECT_EQ(Wait(edge, kLong), uint32_t{EPOLLIN}) << round;
    EXPECT_EQ(Wait(level, 0), uint32_t{EPOLLIN}) << "it is still so";
    EXPECT_EQ(Wait(edge, 0), 0u) << "nothing has happened";
    ASSERT_EQ(SetReady(writer, 0), 0);
    EXPECT_EQ(Wait(level, 0), 0u);
  }
}

TEST_P(OperationsPollIoctl, NobodyWaitsForAFileThatIsClosed) {
  UniqueFd fd = OpenFile(), other = OpenFile();
  ASSERT_EQ(SetReady(fd, 0), 0);
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  ASSERT_EQ(AddTo(epoll, fd, EPOLLIN), 0);
  ASSERT_TRUE(Eventually([&] { return Info(other).pollers == 1; }));
  fd.reset();
  EXPECT_TRUE(Eventually([&] { return Info(other).pollers == 0; }));
  ASSERT_EQ(SetReady(other, POLLIN), 0);
  EXPECT_EQ(Wait(epoll, 0), 0u);
}

// --- ioctl ---

TEST_P(OperationsPollIoctl, BringsDataBack) {
  WriteFile(At("file"), std::string(5000, 'x'));
  UniqueFd fd = OpenFile(O_RDONLY);
  ASSERT_EQ(Errno(fsync(fd.get())), 0);
  const memfs_info info = Info(fd);
  EXPECT_EQ(info.nodeid, barefuse::Stat(fd).st_ino);
  EXPECT_EQ(info.size, 5000u);
  EXPECT_GE(info.allocated, 5000u);
  EXPECT_EQ(info.opens, 1u);
  EXPECT_GE(info.lookups, 1u);
  EXPECT_EQ(info.poll_mask,
            uint32_t{POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM});
}

TEST_P(OperationsPollIoctl, TakesData) {
  UniqueFd fd = OpenFile();
  const std::string data = Pattern(4096);
  ASSERT_EQ(BehindTheKernel(fd, {.kind = MEMFS_POKE_WRITE, .data = data}), 0);
  EXPECT_EQ(Info(fd).size, 4096u);
  UniqueFd direct = OpenFile(O_RDONLY | O_DIRECT);
  EXPECT_EQ(Info(direct).opens, 2u);
  ASSERT_EQ(Notify(fd, {.kind = MEMFS_NOTIFY_INVAL_INODE}), 0);
  EXPECT_TRUE(ReadAt(direct, 0, 4096) == data ||
              memfs().way().writeback_cache);  // which keeps the size it knows
  // An address that is none.
  EXPECT_EQ(Errno(ioctl(fd.get(), MEMFS_IOC_POKE, nullptr)), EFAULT);
}

TEST_P(OperationsPollIoctl, TakesDataAndBringsSomeBack) {
  UniqueFd fd = OpenFile();
  memfs_notify notify = {};
  notify.kind = MEMFS_NOTIFY_INVAL_INODE;
  notify.offset = -1;
  notify.length = 77;
  memset(notify.data, 'd', sizeof notify.data);
  ASSERT_EQ(Errno(ioctl(fd.get(), MEMFS_IOC_NOTIFY, &notify)), 0);
  EXPECT_NE(notify.id, 0u);
  EXPECT_EQ(notify.nodeid, barefuse::Stat(fd).st_ino);
  EXPECT_EQ(notify.length, 77);
  EXPECT_EQ(std::count(std::begin(notify.data), std::end(notify.data), 'd'),
            4096);
  EXPECT_EQ(Await(fd, notify.id).error, 0);
  // Its result has been fetched.
  memfs_notify_result result = {};
  result.id = notify.id;
  EXPECT_EQ(Errno(ioctl(fd.get(), MEMFS_IOC_NOTIFY_WAIT, &result)), ENOENT);
}

TEST_P(OperationsPollIoctl, WhatIsNotKnownIsNoSuchRequest) {
  UniqueFd fd = OpenFile(), dir = OpenRoot();
  char data[4096] = {};
  for (const UniqueFd* file : {&fd, &dir}) {
    EXPECT_EQ(Errno(ioctl(file->get(), _IO(0xb5, 99), 0)), ENOTTY);
    EXPECT_EQ(Errno(ioctl(file->get(), _IOW(0xb5, 98, data), data)), ENOTTY);
    EXPECT_EQ(Errno(ioctl(file->get(), _IOR(0xb5, 97, data), data)), ENOTTY);
  }
  EXPECT_EQ(isatty(fd.get()), 0);
}

TEST_P(OperationsPollIoctl, MemoryThatTheNumberDoesNotNameIsOutOfReach) {
  WriteFile(At("file"), "content");
  UniqueFd fd = OpenFile(O_RDONLY);
  char buffer[16] = {};
  memfs_vector vector = {reinterpret_cast<uint64_t>(buffer), sizeof buffer};
  EXPECT_EQ(Errno(ioctl(fd.get(), MEMFS_IOC_READ_TO, &vector)), EIO);
  EXPECT_EQ(buffer[0], '\0');
  EXPECT_EQ(ReadAt(fd, 0, 7), "content");  // the session lives
}

// --- The flags of chattr(1) ---

TEST_P(OperationsPollIoctl, FlagsAreKept) {
  UniqueFd fd = OpenFile(), dir = OpenRoot();
  for (const UniqueFd* file : {&fd, &dir}) {
    int flags = -1;
    ASSERT_EQ(GetFlags(*file, &flags), 0);
    EXPECT_EQ(flags, 0);
    ASSERT_EQ(SetFlags(*file, FS_NODUMP_FL | FS_NOATIME_FL), 0);
    ASSERT_EQ(GetFlags(*file, &flags), 0);
    EXPECT_EQ(flags, FS_NODUMP_FL | FS_NOATIME_FL);
    fsxattr attributes = {};
    ASSERT_EQ(Errno(ioctl(file->get(), FS_IOC_FSGETXATTR, &attributes)), 0);
    EXPECT_EQ(attributes.fsx_xflags,
              uint32_t{FS_XFLAG_NODUMP | FS_XFLAG_NOATIME});
    attributes.fsx_xflags = FS_XFLAG_NODUMP;
    ASSERT_EQ(Errno(ioctl(file->get(), FS_IOC_FSSETXATTR, &attributes)), 0);
    ASSERT_EQ(GetFlags(*file, &flags), 0);
    EXPECT_EQ(flags, FS_NODUMP_FL);
    EXPECT_EQ(SetFlags(*file, FS_COMPR_FL), EOPNOTSUPP);
  }
}

TEST_P(OperationsPollIoctl, FlagsForbid) {
  WriteFile(At("file"), "content");
  UniqueFd fd = OpenFile();
  ASSERT_EQ(SetFlags(fd, FS_IMMUTABLE_FL), 0);
  EXPECT_EQ(TryOpen(At("file"), O_WRONLY), EPERM);
  EXPECT_EQ(Errno(unlink(At("file").c_str())), EPERM);
  EXPECT_EQ(Errno(chmod(At("file").c_str(), 0600)), EPERM);
  EXPECT_EQ(testing::ReadFile(At("file")), "content");
  ASSERT_EQ(SetFlags(fd, FS_APPEND_FL), 0);
  EXPECT_EQ(TryOpen(At("file"), O_WRONLY), EPERM);
  EXPECT_EQ(TryOpen(At("file"), O_WRONLY | O_TRUNC), EPERM);
  {
    UniqueFd append = Open(At("file"), O_WRONLY | O_APPEND);
    EXPECT_EQ(write(append.get(), "!", 1), 1);
  }
  EXPECT_EQ(testing::ReadFile(At("file")), "content!");
  ASSERT_EQ(SetFlags(fd, 0), 0);
  EXPECT_EQ(Errno(unlink(At("file").c_str())), 0);
}

TEST_P(OperationsPollIoctl, FlagsAreTheOwners) {
  constexpr User kOwner = {1000, 1000}, kOther = {1001, 1001};
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(chown(At("file").c_str(), 1000, 1000)), 0);
  UniqueFd fd = OpenFile(O_RDONLY);
  EXPECT_EQ(As(kOther, [&] { return SetFlags(fd, FS_NODUMP_FL); }), EPERM);
  EXPECT_EQ(As(kOwner, [&] { return SetFlags(fd, FS_NODUMP_FL); }), 0);
  EXPECT_EQ(As(kOwner, [&] { return SetFlags(fd, FS_IMMUTABLE_FL); }), EPERM);
}

}  // namespace
}  // namespace barefuse
