// Each operation once: that nothing in the protocol table is without a test
// that makes this kernel send it.
#include <linux/fs.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include <utility>
#include <vector>

#include "tests/kernel/suite_locks.h"
#include "tests/kernel/suite_memfs.h"

namespace barefuse {
namespace {

using testing::WriteFile;

// Why each of these cannot come.
constexpr std::pair<uint32_t, std::string_view> kNeverSent[] = {
    {abi::CUSE_INIT, "for character devices"},
    {abi::FUSE_SETUPMAPPING, "for virtio-fs with DAX"},
    {abi::FUSE_REMOVEMAPPING, "for virtio-fs with DAX"},
    {abi::FUSE_BMAP, "for block devices: block_device_test.cc"},
    {abi::FUSE_DESTROY, "for block devices: block_device_test.cc"},
    {abi::FUSE_SYNCFS, "for block devices: block_device_test.cc"},
    {abi::FUSE_INIT, "answered before there is anything that counts"},
    {abi::FUSE_ACCESS, "the kernel checks permissions (default_permissions)"},
    {abi::FUSE_COPY_FILE_RANGE, "where COPY_FILE_RANGE_64 is not known"},
};

class OperationsCoverage : public MemfsSuite {
 protected:
  void UseNames() {
    ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
    ASSERT_EQ(Errno(mkfifo(At("fifo").c_str(), 0644)), 0);
    ASSERT_EQ(Errno(symlink("target", At("link").c_str())), 0);
    char target[100];
    ASSERT_EQ(readlink(At("link").c_str(), target, sizeof target), 6);
    ASSERT_EQ(Errno(link(At("fifo").c_str(), At("other").c_str())), 0);
    ASSERT_EQ(Errno(rename(At("fifo").c_str(), At("moved").c_str())), 0);
    ASSERT_EQ(Errno(renameat2(AT_FDCWD, At("moved").c_str(), AT_FDCWD,
                              At("new").c_str(), RENAME_NOREPLACE)),
              0);
    ASSERT_EQ(Errno(unlink(At("other").c_str())), 0);
    ASSERT_EQ(Errno(rmdir(At("dir").c_str())), 0);
    UniqueFd(Open(root(), O_TMPFILE | O_RDWR)).reset();
  }
  void UseAttributes() {
    WriteFile(At("file"), "content");
    const std::string path = At("file");
    const char* const file = path.c_str();
    ASSERT_EQ(Errno(chmod(file, 0600)), 0);
    struct statx extended;
    ASSERT_EQ(Errno(statx(AT_FDCWD, file, 0, STATX_BTIME, &extended)), 0);
    EXPECT_NE(extended.stx_mask & STATX_BTIME, 0u);
    struct statfs info;
    ASSERT_EQ(Errno(statfs(file, &info)), 0);
    ASSERT_EQ(Errno(setxattr(file, "user.name", "value", 5, 0)), 0);
    char value[100];
    ASSERT_EQ(getxattr(file, "user.name", value, sizeof value), 5);
    ASSERT_EQ(listxattr(file, value, sizeof value), 10);
    ASSERT_EQ(Errno(removexattr(file, "user.name")), 0);
    UniqueFd fd = Open(file, O_RDONLY);
    ASSERT_EQ(Notify(fd, {.kind = MEMFS_NOTIFY_INVAL_INODE, .offset = -1}), 0);
    barefuse::Stat(fd);
  }
  void UseContent() {
    UniqueFd fd = Open(At("data"), O_RDWR | O_CREAT);
    UniqueFd copy = Open(At("copy"), O_RDWR | O_CREAT);
    WriteAt(fd, 0, Pattern(5000));
    ASSERT_EQ(Errno(fsync(fd.get())), 0);
    ASSERT_EQ(Notify(fd, {.kind = MEMFS_NOTIFY_INVAL_INODE}), 0);
    ReadAt(fd, 0, 5000);
    ASSERT_EQ(Errno(fallocate(fd.get(), 0, 0, 10000)), 0);
    EXPECT_EQ(lseek(fd.get(), 0, SEEK_DATA), 0);
    EXPECT_EQ(copy_file_range(fd.get(), nullptr, copy.get(), nullptr, 100, 0),
              100);
    pollfd ready = {fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, 0), 1);
    EXPECT_EQ(
        Await(fd, Send(fd, {.kind = MEMFS_NOTIFY_RETRIEVE, .size = 10})).error,
        0);  // IOCTL, and NOTIFY_REPLY
  }
  void UseLocks() {
    UniqueFd fd = Open(At("locked"), O_RDWR | O_CREAT);
    ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
    EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 0+0");
    Waiter waiter(SYS_fcntl, [&] { return Lock(fd, F_WRLCK, 0, 0, F_SETLKW); });
    ASSERT_TRUE(Eventually([&] { return Requests(abi::FUSE_SETLKW) == 1; }));
    waiter.Signal(SIGUSR1);
    EXPECT_EQ(waiter.Finish(), EINTR);
    EXPECT_GE(Requests(abi::FUSE_INTERRUPT), 1u);
  }
  // More than one READDIRPLUS takes: the kernel goes on with READDIR.
  void UseDirectories() {
    ASSERT_EQ(Errno(mkdir(At("many").c_str(), 0755)), 0);
    for (int i = 0; i < 300; ++i) {
      const std::string name = At("many/name-" + std::to_string(i));
      ASSERT_EQ(Errno(mknod(name.c_str(), S_IFREG | 0644, 0)), 0);
    }
    EXPECT_EQ(Names(At("many")).size(), 300u);
    UniqueFd dir = Open(At("many"), O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(Errno(fsync(dir.get())), 0);
  }
  // One by itself, and many at a time.
  void HaveThemForgotten() {
    Notifier& notifier = *memfs().session().connection().notifier();
    const auto prune = [&](const std::vector<uint64_t>& nodes) {
      return memfs().ErrorOfLastNotification(notifier.Prune(nodes));
    };
    std::vector<uint64_t> nodes;
    for (int i = 0; i < 300; ++i) {
      nodes.push_back(
          testing::Stat(At("many/name-" + std::to_string(i))).st_ino);
    }
    ASSERT_EQ(prune({nodes.back()}), 0);
    EXPECT_TRUE(Eventually([&] { return Requests(abi::FUSE_FORGET) > 0; }));
    EXPECT_TRUE(Eventually([&] {
      for (int i = 0; i < 300; ++i) {
        testing::Stat(At("many/name-" + std::to_string(i)));
      }
      return prune(nodes) == 0 && Requests(abi::FUSE_BATCH_FORGET) > 0;
    }));
  }
};
INSTANTIATE_FOR_MEMFS(OperationsCoverage);

TEST_P(OperationsCoverage, EveryOperationIsSent) {
  UseNames();
  UseAttributes();
  UseContent();
  UseLocks();
  UseDirectories();
  HaveThemForgotten();
  for (const proto::Operation& operation : proto::kOperations) {
    if (operation.name.empty()) continue;
    const auto* never = std::find_if(
        std::begin(kNeverSent), std::end(kNeverSent),
        [&](const auto& row) { return row.first == operation.opcode; });
    if (never != std::end(kNeverSent)) {
      EXPECT_EQ(Requests(operation.opcode), 0u)
          << operation.name << " is sent, though it is " << never->second;
      continue;
    }
    // Of some nobody waits for the answer, RELEASE for instance.
    EXPECT_TRUE(Eventually([&] { return Requests(operation.opcode) > 0; }))
        << operation.name << " is not sent";
  }
}

}  // namespace
}  // namespace barefuse
