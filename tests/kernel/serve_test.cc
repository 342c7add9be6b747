// Sessions on connections that somebody else has made.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "server/session.h"
#include "tests/kernel/small_file_system.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::Check;
using barefuse::testing::MountsBelow;
using barefuse::testing::Process;
using barefuse::testing::ReadFile;
using barefuse::testing::SmallFileSystem;
using barefuse::testing::TempDir;

// A mount that nobody serves yet.
UniqueFd MountByHand(const std::string& mountpoint) {
  UniqueFd device(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  Check(bool{device}, "/dev/fuse");
  const std::string data = "fd=" + std::to_string(device.get()) +
                           ",rootmode=40000,user_id=0,group_id=0";
  Check(mount("by hand", mountpoint.c_str(), "fuse.test", 0, data.c_str()) == 0,
        "mount");
  return device;
}

void SendDescriptor(int socket, int fd) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  Check(sendmsg(socket, &message, 0) == 1, "sendmsg");
}

UniqueFd ReceiveDescriptor(int socket) {
  char byte;
  iovec part{&byte, 1};
  int fd = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  Check(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 &&
            CMSG_FIRSTHDR(&message) != nullptr,
        "recvmsg");
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return UniqueFd(fd);
}

class ServeTest : public ::testing::Test {
 protected:
  std::unique_ptr<Session> Serve(UniqueFd device) {
    auto session = Session::Serve(fs_, std::move(device), {.workers = 2});
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  std::string Content() { return ReadFile(mountpoint_ + "/file"); }

  TempDir dir_;
  std::string mountpoint_ = dir_.MakeDir("mnt");
  std::shared_ptr<SmallFileSystem> fs_ = std::make_shared<SmallFileSystem>();
};

TEST_F(ServeTest, ServesADeviceThatIsMounted) {
  auto session = Serve(MountByHand(mountpoint_));
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(Content(), SmallFileSystem::kContent);
  EXPECT_TRUE(session->cloned());
  ASSERT_EQ(umount(mountpoint_.c_str()), 0);
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kUnmounted);
}

TEST_F(ServeTest, DevFdIsADescriptorAndNoPlace) {
  UniqueFd device = MountByHand(mountpoint_);
  auto session = Session::Mount(
      fs_, "/dev/fd/" + std::to_string(device.release()), {.workers = 1});
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(Content(), SmallFileSystem::kContent);
}

TEST_F(ServeTest, LeavesTheMountToWhoMadeIt) {
  auto session = Serve(MountByHand(mountpoint_));
  ASSERT_NE(session, nullptr);
  session->Stop();
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kStopped);
  session.reset();
  EXPECT_EQ(MountsBelow(dir_.path()).size(), 1u);
  struct stat info;
  EXPECT_EQ(stat(mountpoint_.c_str(), &info), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

TEST_F(ServeTest, EndsWithTheNamespaceOfItsMount) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  Process child([&] {
    if (unshare(CLONE_NEWNS) != 0) return 1;
    ours.reset();
    {
      UniqueFd device = MountByHand(mountpoint_);
      SendDescriptor(theirs.get(), device.get());
    }
    // Uses the mount, which lives in this namespace alone, and is its last
    // user.
    return ReadFile(mountpoint_ + "/file") == SmallFileSystem::kContent ? 0 : 2;
  });
  auto session = Serve(ReceiveDescriptor(ours.get()));
  ASSERT_NE(session, nullptr);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kUnmounted);
}

TEST_F(ServeTest, AMountThatIsGoneBeforeItIsServedIsSaidSo) {
  UniqueFd device = MountByHand(mountpoint_);
  ASSERT_EQ(umount2(mountpoint_.c_str(), MNT_FORCE | MNT_DETACH), 0);
  auto session = Session::Serve(fs_, std::move(device), {});
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.status().message(),
            "it was unmounted before it was in use");
}

}  // namespace
}  // namespace barefuse
