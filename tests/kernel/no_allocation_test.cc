// In a steady state nothing is allocated between the device and a handler.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/session.h"
#include "tests/testing/count_allocations.h"
#include "tests/testing/files.h"
#include "tests/testing/socket_peer.h"

namespace barefuse {
namespace {

using barefuse::testing::Allocations;
using barefuse::testing::SocketPeer;
using barefuse::testing::TempDir;

constexpr int kRequests = 100000;

// One file that nobody may cache, and handlers that allocate nothing.
class Spare : public FileSystem {
 public:
  static constexpr uint64_t kFile = 2;

  void Lookup(const LookupRequest&, EntryReply reply) override {
    abi::fuse_entry_out entry{};
    entry.nodeid = kFile;
    entry.attr = Attr(kFile);
    std::move(reply).Ok(entry);
  }
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr = Attr(request.node());
    std::move(reply).Ok(out);
  }
  void Open(const OpenRequest&, OpenReply reply) override {
    reply.DirectIo();
    std::move(reply).Ok(0);
  }
  void Read(const ReadRequest&, DataReply reply) override {
    const size_t size = reply.buffer().size();
    std::fill_n(reply.buffer().data(), size, std::byte{'r'});
    std::move(reply).Ok(size);
  }
  void Write(const WriteRequest& request, WriteReply reply) override {
    std::move(reply).Ok(request->data.size());
  }
  void Flush(const FlushRequest&, EmptyReply reply) override {
    std::move(reply).Ok();
  }
  void Fsync(const FsyncRequest&, EmptyReply reply) override {
    // Through a place of the session's own.
    if (!reply.Detach()) return std::move(reply).Error(EBUSY);
    std::move(reply).Ok();
  }
  void Fallocate(const FallocateRequest&, EmptyReply reply) override {
    std::move(reply).Ok();  // on a thread of its own
  }
  Execution ExecutionOf(uint32_t opcode) const override {
    return opcode == abi::FUSE_FALLOCATE ? Execution::kBlocking
                                         : Execution::kWorker;
  }

 private:
  static abi::fuse_attr Attr(NodeId node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr.nlink = 1;
    attr.size = 1 << 20;
    return attr;
  }
};

// What `work` allocates once it has been done for a while, done so many times.
// The least of a few trials: on a busy machine the session may start one of its
// threads late, and a thread takes memory.
uint64_t SteadyAllocations(int times, const std::function<bool()>& work) {
  uint64_t least = UINT64_MAX;
  for (int trial = 0; trial < 4 && least != 0; ++trial) {
    int failed = 0;
    for (int i = 0; i < 500; ++i) failed += work() ? 0 : 1;
    const uint64_t before = Allocations();
    for (int i = 0; i < times; ++i) failed += work() ? 0 : 1;
    least = std::min(least, Allocations() - before);
    if (failed != 0) {
      ADD_FAILURE() << failed << " failed: " << strerror(errno);
      break;
    }
  }
  return least;
}

class NoAllocationTest : public ::testing::TestWithParam<TransportKind> {
 protected:
  void SetUp() override {
    auto session = Session::Mount(std::make_shared<Spare>(), mountpoint_,
                                  {.workers = 2, .transport = GetParam()});
    ASSERT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
    ASSERT_EQ(session_->transport(), GetParam());
    path_ = mountpoint_ + "/file";
    fd_.reset(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(fd_) << strerror(errno);
  }
  uint64_t Requests(uint32_t opcode) {
    return session_->statistics()
        .operations[proto::OperationIndex(opcode)]
        .requests;
  }

  TempDir dir_;
  std::string mountpoint_ = dir_.MakeDir("mnt");
  std::string path_;
  std::unique_ptr<Session> session_;
  UniqueFd fd_;  // goes first
};

TEST_P(NoAllocationTest, OfAttributes) {
  struct stat info;
  EXPECT_EQ(SteadyAllocations(kRequests,
                              [&] { return stat(path_.c_str(), &info) == 0; }),
            0u);
  EXPECT_GE(Requests(abi::FUSE_LOOKUP) + Requests(abi::FUSE_GETATTR),
            uint64_t{kRequests});
}

TEST_P(NoAllocationTest, OfReadsAndWrites) {
  std::vector<char> buffer(64 << 10);
  for (size_t size : {size_t{1}, size_t{4096}, buffer.size()}) {
    const ssize_t expected = static_cast<ssize_t>(size);
    EXPECT_EQ(SteadyAllocations(kRequests / 10,
                                [&] {
                                  return pread(fd_.get(), buffer.data(), size,
                                               0) == expected;
                                }),
              0u)
        << "reads of " << size;
    EXPECT_EQ(SteadyAllocations(kRequests / 10,
                                [&] {
                                  return pwrite(fd_.get(), buffer.data(), size,
                                                0) == expected;
                                }),
              0u)
        << "writes of " << size;
  }
  EXPECT_GE(Requests(abi::FUSE_READ), uint64_t{3 * kRequests / 10});
  EXPECT_GE(Requests(abi::FUSE_WRITE), uint64_t{3 * kRequests / 10});
}

TEST_P(NoAllocationTest, OfDetachedAndOffloadedRequests) {
  EXPECT_EQ(
      SteadyAllocations(kRequests / 10, [&] { return fsync(fd_.get()) == 0; }),
      0u)
      << "detached";
  EXPECT_EQ(
      SteadyAllocations(kRequests / 10,
                        [&] { return fallocate(fd_.get(), 0, 0, 4096) == 0; }),
      0u)
      << "offloaded";
  EXPECT_GE(Requests(abi::FUSE_FSYNC), uint64_t{kRequests / 10});
  EXPECT_GE(Requests(abi::FUSE_FALLOCATE), uint64_t{kRequests / 10});
}

INSTANTIATE_TEST_SUITE_P(Transports, NoAllocationTest,
                         ::testing::Values(TransportKind::kDevUring,
                                           TransportKind::kDev),
                         [](const auto& row) {
                           return row.param == TransportKind::kDev ? "Dev"
                                                                   : "DevUring";
                         });

TEST(SocketNoAllocationTest, OfRequests) {
  SocketPeer peer;
  peer.Send(peer.InitMessage(45, ~uint64_t{0}));
  auto session = Session::Serve(std::make_shared<Spare>(), peer.TakeServerEnd(),
                                {.workers = 1});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_EQ(peer.Receive().error(), 0);

  std::vector<char> answer(128 << 10);
  auto ask = [&](const std::vector<std::byte>& message, size_t expected) {
    if (!peer.Send(message)) return false;
    const ssize_t size = recv(peer.fd(), answer.data(), answer.size(), 0);
    return size == static_cast<ssize_t>(expected);
  };
  const std::vector<std::byte> lookup =
      peer.Message(abi::FUSE_LOOKUP).Name("file").Bytes();
  abi::fuse_read_in in{};
  in.size = 65536;
  const std::vector<std::byte> read =
      peer.Message(abi::FUSE_READ, 2).Struct(in).Bytes();
  abi::fuse_write_in out{};
  out.size = 4096;
  const std::vector<std::byte> write = peer.Message(abi::FUSE_WRITE, 2)
                                           .Struct(out)
                                           .Raw(std::string(4096, 'w'))
                                           .Bytes();
  EXPECT_EQ(SteadyAllocations(kRequests, [&] { return ask(lookup, 16 + 128); }),
            0u);
  EXPECT_EQ(
      SteadyAllocations(kRequests / 10, [&] { return ask(read, 16 + 65536); }),
      0u);
  EXPECT_EQ(SteadyAllocations(kRequests, [&] { return ask(write, 16 + 8); }),
            0u);
}

// What would be the use of a counter that does not count?
TEST(CounterTest, Counts) {
  uint64_t before = Allocations();
  int* volatile plain = new int;
  delete plain;
  EXPECT_EQ(Allocations(), before + 1);
  before = Allocations();
  int* volatile quiet = new (std::nothrow) int;
  delete quiet;
  EXPECT_EQ(Allocations(), before + 1);
  struct alignas(256) Wide {
    char bytes[256];
  };
  before = Allocations();
  Wide* volatile wide = new Wide;
  delete wide;
  EXPECT_EQ(Allocations(), before + 1);
#if BAREFUSE_COUNTS_MALLOC
  before = Allocations();
  void* volatile memory = malloc(10);
  free(memory);
  EXPECT_EQ(Allocations(), before + 1);
#endif
}

}  // namespace
}  // namespace barefuse
