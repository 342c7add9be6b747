// Mounts of block devices (fuseblk), which alone are asked for DESTROY, SYNCFS
// and BMAP.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string_view>

#include "fs/memfs/memfs.h"
#include "proto/operations.h"
#include "server/mount_table.h"
#include "server/session.h"
#include "tests/kernel/other_user.h"
#include "tests/kernel/small_file_system.h"
#include "tests/testing/files.h"
#include "tests/testing/loop_device.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::BecomeNobody;
using barefuse::testing::Check;
using barefuse::testing::EnterUserNamespace;
using barefuse::testing::InChild;
using barefuse::testing::LoopDevice;
using barefuse::testing::MountsBelow;
using barefuse::testing::Process;
using barefuse::testing::SmallFileSystem;
using barefuse::testing::TempDir;

// Does not let go of DESTROY until it is told to.
class Clinging : public SmallFileSystem {
 public:
  void Destroy() override {
    std::unique_lock<std::mutex> lock(mutex_);
    free_changed_.wait(lock, [this] { return free_; });
    SmallFileSystem::Destroy();
  }
  void Free() {
    std::lock_guard<std::mutex> lock(mutex_);
    free_ = true;
    free_changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable free_changed_;
  bool free_ = false;
};

class BlockDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!device_.path().empty()) return;
    const char* ci = getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") {
      FAIL() << "CI=true, and this test needs a loop device: "
             << device_.why_not();
    }
    GTEST_SKIP() << "needs a loop device: " << device_.why_not();
  }
  SessionOptions Options() {
    SessionOptions options;
    options.mount.fsname = device_.path();
    options.mount.block_device = true;
    options.workers = 2;
    return options;
  }
  std::unique_ptr<Session> Mount(const SessionOptions& options) {
    auto session = Session::Mount(fs_, mountpoint_, options);
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  blksize_t BlockSize() {
    return testing::Stat(mountpoint_ + "/file").st_blksize;
  }
  std::string Complaint(const SessionOptions& options) {
    auto session = Session::Mount(fs_, dir_ / "mnt", options);
    EXPECT_FALSE(session.ok());
    return std::string(session.status().message());
  }

  TempDir dir_;
  LoopDevice device_{dir_ / "blocks"};
  std::string mountpoint_ = dir_.MakeDir("mnt");
  std::shared_ptr<SmallFileSystem> fs_ = std::make_shared<SmallFileSystem>();
};

TEST_F(BlockDeviceTest, GetsItsThreeOperations) {
  auto session = Mount(Options());
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(MountTypeAt(mountpoint_), "fuseblk.barefuse");
  EXPECT_EQ(BlockSize(), 512);
  {
    UniqueFd file(open((mountpoint_ + "/file").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file);
    EXPECT_EQ(syncfs(file.get()), 0);
    EXPECT_EQ(fs_->syncs, 1);
    int block = 7;
    EXPECT_EQ(ioctl(file.get(), FIBMAP, &block), 0) << strerror(errno);
    EXPECT_EQ(block, 1007);
    // Since 6.18 the page's size, whatever the mount's.
    EXPECT_GE(fs_->bmap_block_size, 512u);
  }
  ASSERT_EQ(umount2(mountpoint_.c_str(), UMOUNT_NOFOLLOW), 0)
      << strerror(errno);
  EXPECT_EQ(fs_->destroys, 1);  // umount(2) has waited for it
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kUnmounted);
  EXPECT_EQ(fs_->destroys, 1);
}

TEST_F(BlockDeviceTest, MemfsAnswersThem) {
  auto memfs = Memfs::Create({});
  ASSERT_TRUE(memfs.ok());
  SessionOptions options = Options();
  options.mount.default_permissions = true;
  auto session = Session::Mount(*memfs, mountpoint_, options);
  ASSERT_TRUE(session.ok()) << session.status();
  const std::string path = mountpoint_ + "/file";
  testing::WriteFile(path, "content");
  {
    UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file);
    EXPECT_EQ(syncfs(file.get()), 0);
    // It has no blocks, so that none has a place.
    int block = 0;
    EXPECT_EQ(ioctl(file.get(), FIBMAP, &block), 0) << strerror(errno);
    EXPECT_EQ(block, 0);
  }
  EXPECT_EQ(testing::ReadFile(path), "content");
  ASSERT_EQ(umount2(mountpoint_.c_str(), UMOUNT_NOFOLLOW), 0)
      << strerror(errno);
  EXPECT_EQ((*session)->Wait().kind, StopReason::Kind::kUnmounted);
  const Statistics statistics = (*session)->statistics();
  const auto requests = [&](uint32_t opcode) {
    return statistics.operations[proto::OperationIndex(opcode)].requests;
  };
  EXPECT_EQ(requests(abi::FUSE_SYNCFS), 1u);
  EXPECT_EQ(requests(abi::FUSE_BMAP), 1u);
  EXPECT_EQ(requests(abi::FUSE_DESTROY), 1u);
}

TEST_F(BlockDeviceTest, StopSaysGoodbyeToo) {
  auto session = Mount(Options());
  ASSERT_NE(session, nullptr);
  session->Stop();
  const StopReason reason = session->Wait();
  EXPECT_EQ(reason.kind, StopReason::Kind::kStopped);
  EXPECT_EQ(reason.detail, "");
  EXPECT_EQ(fs_->destroys, 1);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(BlockDeviceTest, WorksThroughFusermount) {
  SessionOptions options = Options();
  options.mount.auto_unmount = true;
  options.mount.block_size = 2048;
  auto session = Mount(options);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(MountTypeAt(mountpoint_), "fuseblk.barefuse");
  EXPECT_EQ(BlockSize(), 2048);
  session->Stop();
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kStopped);
  EXPECT_EQ(fs_->destroys, 1);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(BlockDeviceTest, BlocksHaveTheSizeThatIsSaid) {
  SessionOptions options = Options();
  options.mount.block_size = 4096;
  auto session = Mount(options);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(BlockSize(), 4096);
}

TEST_F(BlockDeviceTest, AServerThatClingsIsNotWaitedForLong) {
  auto clinging = std::make_shared<Clinging>();
  fs_ = clinging;
  SessionOptions options = Options();
  options.stop_timeout = absl::Milliseconds(300);
  auto session = Mount(options);
  ASSERT_NE(session, nullptr);
  session->Stop();
  auto reason = std::async(std::launch::async, [&] { return session->Wait(); });
  const bool in_time =
      reason.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  EXPECT_TRUE(in_time);
  if (!in_time) clinging->Free();
  EXPECT_NE(reason.get().detail.find("DESTROY"), std::string::npos);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
  clinging->Free();
}

TEST_F(BlockDeviceTest, ItsDeadMountIsReplaced) {
  const int status = Process([this] {
                       auto session = Mount(Options());
                       Check(session != nullptr, "mount");
                       return raise(SIGKILL);
                     }).Wait();
  ASSERT_EQ(status, 128 + SIGKILL);
  ASSERT_EQ(MountsBelow(dir_.path()).size(), 1u);
  auto session = Mount(Options());
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(MountsBelow(dir_.path()).size(), 1u);
  EXPECT_EQ(testing::ReadFile(mountpoint_ + "/file"),
            SmallFileSystem::kContent);
}

// mount(2) itself would give the second one the first one's filesystem.
TEST_F(BlockDeviceTest, IsMountedOnce) {
  auto session = Mount(Options());
  ASSERT_NE(session, nullptr);
  const std::string other = dir_.MakeDir("other");
  for (bool auto_unmount : {false, true}) {
    SessionOptions options = Options();
    options.mount.auto_unmount = auto_unmount;
    auto second = Session::Mount(fs_, other, options);
    EXPECT_EQ(second.status().message(), "cannot mount at " + other + ": " +
                                             device_.path() +
                                             " is mounted already");
    EXPECT_EQ(MountsBelow(dir_.path()).size(), 1u);
  }
  EXPECT_EQ(testing::ReadFile(mountpoint_ + "/file"),
            SmallFileSystem::kContent);
  EXPECT_EQ(fs_->destroys, 0);
}

TEST_F(BlockDeviceTest, IsForRootOnly) {
  NEEDS_USER_NAMESPACE();
  const std::string what = "cannot mount at " + mountpoint_ +
                           ": a block device can be mounted by root only, and "
                           "not in a user namespace";
  SessionOptions options = Options();
  EXPECT_EQ(InChild([&] {
              EnterUserNamespace();
              EXPECT_EQ(Complaint(options), what);
            }),
            0);
  for (bool auto_unmount : {false, true}) {
    options.mount.auto_unmount = auto_unmount;
    EXPECT_EQ(InChild([&] {
                BecomeNobody();
                EXPECT_EQ(Complaint(options), what);
              }),
              0);
  }
}

TEST_F(BlockDeviceTest, SaysWhatIsWrong) {
  SessionOptions options = Options();
  options.mount.fsname = "/nowhere";
  EXPECT_EQ(Complaint(options),
            "the block device to mount (fsname) /nowhere: No such file or "
            "directory");
  options.mount.fsname = dir_ / "blocks";
  EXPECT_EQ(Complaint(options), "the block device to mount (fsname): " +
                                    dir_ / "blocks" + " is no block device");
  options = Options();
  options.mount.block_size = 1000;
  EXPECT_EQ(Complaint(options),
            "mount option blksize: 1000 is not a power of two, 512 .. " +
                std::to_string(sysconf(_SC_PAGESIZE)));
  options.mount.block_device = false;
  EXPECT_EQ(Complaint(options),
            "a block size is for block devices only (mount option blkdev)");
}

}  // namespace
}  // namespace barefuse
