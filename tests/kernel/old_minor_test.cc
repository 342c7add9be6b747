// Every minor version is spoken with the real kernel, which keeps its side of
// the older ones.
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include <filesystem>
#include <map>

#include "proto/operations.h"
#include "tests/kernel/passthrough_fixture.h"

namespace barefuse {
namespace {

using barefuse::testing::ReadFile;
using barefuse::testing::Snapshot;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

class OldMinorTest : public PassthroughTest,
                     public ::testing::WithParamInterface<uint32_t> {
 protected:
  // The tap must not outlive what it writes to.
  ~OldMinorTest() override { session_.reset(); }

  void MountOld() {
    SessionOptions session;
    session.max_minor = GetParam();
    session.tap = [this](Direction direction, proto::Bytes head, proto::Bytes) {
      abi::fuse_in_header header;
      if (direction != Direction::kFromKernel) return;
      std::memcpy(&header, head.data(), sizeof header);
      std::lock_guard<std::mutex> lock(mutex_);
      sizes_[header.opcode] = head.size() - sizeof header;
    };
    Mount({.passthrough = false}, std::move(session));
  }
  // The size of the last body of an operation.
  size_t SizeOf(uint32_t opcode) {
    std::lock_guard<std::mutex> lock(mutex_);
    return sizes_[opcode];
  }

  std::map<uint32_t, size_t> sizes_;
};

TEST_P(OldMinorTest, Works) {
  MountOld();
  EXPECT_EQ(session_->terms().dialect.minor, GetParam());
  const std::string large(300'000, 'l');
  WriteFile(mnt_ + "/large", large);
  EXPECT_EQ(ReadFile(mnt_ + "/large"), large);
  EXPECT_EQ(ReadFile(source_ + "/large"), large);
  ASSERT_EQ(mkdir((mnt_ + "/dir").c_str(), 0750), 0) << strerror(errno);
  ASSERT_EQ(mknod((mnt_ + "/dir/fifo").c_str(), S_IFIFO | 0600, 0), 0);
  ASSERT_EQ(symlink("large", (mnt_ + "/link").c_str()), 0);
  EXPECT_EQ(truncate((mnt_ + "/large").c_str(), 1000), 0) << strerror(errno);
  EXPECT_EQ(chmod((mnt_ + "/large").c_str(), 0604), 0);
  EXPECT_EQ(rename((mnt_ + "/large").c_str(), (mnt_ + "/dir/large").c_str()),
            0);
  EXPECT_EQ(setxattr((mnt_ + "/dir/large").c_str(), "user.x", "value", 5, 0),
            0);
  EXPECT_EQ(getxattr((mnt_ + "/dir/large").c_str(), "user.x", nullptr, 0), 5);
  EXPECT_GT(std::filesystem::space(mnt_).capacity, 0u);
  // Younger than most of these minors, and sent all the same.
  Open(".", O_TMPFILE | O_RDWR);
  EXPECT_EQ(Snapshot(mnt_), Snapshot(source_));
  EXPECT_EQ(Snapshot(mnt_).size(), 4u);
  Statistics statistics = End();
  EXPECT_EQ(statistics.malformed, 0u);
  EXPECT_EQ(statistics.dropped_messages, 0u);
  EXPECT_EQ(statistics.refused_replies, 0u);
  EXPECT_EQ(log(), "");
}

INSTANTIATE_TEST_SUITE_P(Minors, OldMinorTest,
                         ::testing::Range(1u,
                                          abi::FUSE_KERNEL_MINOR_VERSION + 1));

using MinorEight = OldMinorTest;

// What docs/protocol.md says of it.
TEST_P(MinorEight, ShrinksOnlyWhatHasBytesBehindIt) {
  MountOld();
  if (session_->terms().dialect.kernel_minor < 12) {
    GTEST_SKIP() << "the kernel itself is older";
  }
  UniqueFd fd = Open("file", O_RDWR | O_CREAT);
  WriteAt(fd, 0, "data");
  EXPECT_EQ(ReadAt(fd, 0, 4), "data");
  fd.reset();
  AwaitOpenFiles(0);
  ASSERT_EQ(mknod((mnt_ + "/fifo").c_str(), S_IFIFO | 0600, 0), 0);
  EXPECT_EQ(Stat(mnt_ + "/file").st_size, 4);
  EXPECT_EQ(SizeOf(abi::FUSE_CREATE), 8 + sizeof "file");
  EXPECT_EQ(SizeOf(abi::FUSE_MKNOD), 8 + sizeof "fifo");
  EXPECT_EQ(SizeOf(abi::FUSE_WRITE), 24u + 4u);
  EXPECT_EQ(SizeOf(abi::FUSE_READ), sizeof(abi::fuse_read_in));
  EXPECT_EQ(SizeOf(abi::FUSE_FLUSH), sizeof(abi::fuse_flush_in));
  EXPECT_EQ(SizeOf(abi::FUSE_RELEASE), sizeof(abi::fuse_release_in));
}

INSTANTIATE_TEST_SUITE_P(Minor, MinorEight, ::testing::Values(8u));

}  // namespace
}  // namespace barefuse
