// Numbers that nobody has given out: nodes, handles, offsets, sizes.
#include <errno.h>

#include <fstream>
#include <vector>

#include "proto/encode_request.h"
#include "tests/codec/random_messages.h"
#include "tests/socket/hostile_test.h"

namespace barefuse::testing {
namespace {

// Bytes of memory that the process uses.
size_t MemoryInUse() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

TEST_P(HostileTest, NodesThatDoNotExist) {
  if (!real()) return;
  for (uint64_t node :
       {uint64_t{0}, file_ + 1000, uint64_t{1} << 63, UINT64_MAX}) {
    for (uint32_t opcode : AllOpcodes()) {
      const proto::Operation& operation = *proto::FindOperation(opcode);
      if (operation.owed != proto::Owed::kReply) continue;
      RandomParts parts(opcode);
      proto::Request request =
          RandomRequest(opcode, session_->terms().dialect, &parts);
      request.header.unique = peer_.Message(opcode).header().unique;
      request.header.nodeid = node;
      std::vector<std::byte> bytes(1 << 17);
      const proto::Encoded encoded =
          proto::EncodeRequest(request, session_->terms().dialect, bytes);
      ASSERT_TRUE(encoded.ok()) << operation.name;
      bytes.resize(encoded.size);
      ASSERT_TRUE(peer_.Send(bytes));
      const int error = peer_.Await(request.header.unique).error();
      switch (opcode) {
        case abi::FUSE_STATFS:  // of the filesystem, whatever the node
        case abi::FUSE_SYNCFS:
        case abi::FUSE_DESTROY:
          break;
        default:
          EXPECT_NE(error, 0) << operation.name;
      }
    }
    EXPECT_EQ(Ask(Message(abi::FUSE_LOOKUP, node).Name("x")), ESTALE);
    EXPECT_EQ(
        Ask(Message(abi::FUSE_GETATTR, node).Struct(abi::fuse_getattr_in{})),
        ESTALE);
    EXPECT_EQ(
        Ask(Message(abi::FUSE_OPEN, node).Struct(abi::fuse_open_in{0, 0})),
        ESTALE);
    EXPECT_EQ(
        Ask(Message(abi::FUSE_OPENDIR, node).Struct(abi::fuse_open_in{0, 0})),
        ESTALE);
    EXPECT_EQ(Ask(Message(abi::FUSE_LINK)
                      .Struct(abi::fuse_link_in{node})
                      .Name("link")),
              ESTALE);
    EXPECT_EQ(Ask(Message(abi::FUSE_RENAME)
                      .Struct(abi::fuse_rename_in{node})
                      .Name("file")
                      .Name("x")),
              ESTALE);
    ExpectHealth();
  }
}

TEST_P(HostileTest, HandlesThatDoNotExistOrAreOfOtherNodes) {
  if (!real()) return;
  const Received made = peer_.Ask(
      Message(abi::FUSE_MKDIR).Struct(abi::fuse_mkdir_in{0755, 0}).Name("d"));
  const uint64_t dir = made.As<abi::fuse_entry_out>().nodeid;
  const uint64_t dir_fh =
      peer_.Ask(Message(abi::FUSE_OPENDIR, dir).Struct(abi::fuse_open_in{}))
          .As<abi::fuse_open_out>()
          .fh;
  const struct {
    uint64_t node;
    uint64_t fh;
    const char* what;
  } cases[] = {
      {file_, fh_ + 1000, "unknown"},
      {file_, UINT64_MAX, "the largest"},
      {file_, 0, "zero"},
      {dir, fh_, "of a file, for a directory"},
      {1, fh_, "of a file, for the root"},
  };
  for (const auto& it : cases) {
    // Passthrough goes by the handle alone, and serves what it names.
    if (it.fh == fh_ && GetParam() == Kind::kPassthrough) continue;
    abi::fuse_read_in read{};
    read.fh = it.fh;
    read.size = 100;
    EXPECT_EQ(Ask(Message(abi::FUSE_READ, it.node).Struct(read)), EBADF)
        << it.what;
    abi::fuse_write_in write{};
    write.fh = it.fh;
    EXPECT_EQ(Ask(Message(abi::FUSE_WRITE, it.node).Struct(write)), EBADF)
        << it.what;
    abi::fuse_release_in release{};
    release.fh = it.fh;
    EXPECT_EQ(Ask(Message(abi::FUSE_RELEASE, it.node).Struct(release)), EBADF)
        << it.what;
    EXPECT_EQ(Ask(Message(abi::FUSE_FSYNC, it.node)
                      .Struct(abi::fuse_fsync_in{it.fh, 0, 0})),
              EBADF)
        << it.what;
    EXPECT_EQ(Ask(Message(abi::FUSE_FALLOCATE, it.node)
                      .Struct(abi::fuse_fallocate_in{it.fh, 0, 1, 0, 0})),
              EBADF)
        << it.what;
    EXPECT_EQ(Ask(Message(abi::FUSE_LSEEK, it.node)
                      .Struct(abi::fuse_lseek_in{it.fh, 0, SEEK_DATA, 0})),
              EBADF)
        << it.what;
    abi::fuse_copy_file_range_in copy{it.fh, 0, file_, it.fh, 0, 10, 0};
    EXPECT_EQ(Ask(Message(abi::FUSE_COPY_FILE_RANGE, it.node).Struct(copy)),
              EBADF)
        << it.what;
  }
  // A file's handle as a directory's: numbers are given apart or not at all.
  abi::fuse_read_in readdir{};
  readdir.size = 4096;
  readdir.fh = dir_fh;
  EXPECT_EQ(Ask(Message(abi::FUSE_READDIR, dir).Struct(readdir)), 0);
  if (GetParam() == Kind::kMemfs) {
    EXPECT_EQ(Ask(Message(abi::FUSE_READDIR, file_).Struct(readdir)), EBADF)
        << "of another node";
  }
  readdir.fh = dir_fh + 1000;
  EXPECT_EQ(Ask(Message(abi::FUSE_READDIR, dir).Struct(readdir)), EBADF);
  EXPECT_EQ(Ask(Message(abi::FUSE_READDIRPLUS, dir).Struct(readdir)), EBADF);
  abi::fuse_release_in release{};
  release.fh = dir_fh;
  if (GetParam() == Kind::kMemfs) {
    EXPECT_EQ(Ask(Message(abi::FUSE_RELEASEDIR, file_).Struct(release)), EBADF)
        << "of another node";
  }
  EXPECT_EQ(Ask(Message(abi::FUSE_RELEASEDIR, dir).Struct(release)), 0);
  EXPECT_EQ(Ask(Message(abi::FUSE_RELEASEDIR, dir).Struct(release)), EBADF)
      << "twice";
  // The good handle is still good.
  abi::fuse_write_in write{};
  write.fh = fh_;
  write.size = 4;
  EXPECT_EQ(Ask(Message(abi::FUSE_WRITE, file_).Struct(write).Raw("data")), 0);
  ExpectHealth();
}

TEST_P(HostileTest, ForgetsWithoutMeasure) {
  for (uint64_t lookups : {uint64_t{0}, uint64_t{1} << 63, UINT64_MAX}) {
    Send(ForgetMessage(1, lookups));
    Send(ForgetMessage(0, lookups));
    Send(ForgetMessage(UINT64_MAX, lookups));
    ExpectHealth();
  }
  Send(ForgetMessage(file_, UINT64_MAX));
  Send(ForgetMessage(file_, UINT64_MAX));
  ExpectHealth();
  // Its name leads to it again.
  const Received found = peer_.Ask(Message(abi::FUSE_LOOKUP).Name("file"));
  ASSERT_EQ(found.error(), 0);
  const uint64_t node = found.As<abi::fuse_entry_out>().nodeid;
  EXPECT_EQ(
      Ask(Message(abi::FUSE_GETATTR, node).Struct(abi::fuse_getattr_in{})), 0);
  ExpectHealth();
}

TEST_P(HostileTest, OffsetsAndSizesAtTheEdge) {
  const size_t before = MemoryInUse();
  const uint64_t edges[] = {0,
                            1,
                            (uint64_t{1} << 32) - 1,
                            uint64_t{1} << 40,
                            (uint64_t{1} << 63) - 4097,
                            (uint64_t{1} << 63) - 1,
                            uint64_t{1} << 63,
                            UINT64_MAX - 1,
                            UINT64_MAX};
  for (uint64_t at : edges) {
    abi::fuse_read_in read{};
    read.fh = fh_;
    read.offset = at;
    for (uint32_t size : {1u, 4096u, UINT32_MAX}) {
      read.size = size;
      Ask(Message(abi::FUSE_READ, file_).Struct(read));
    }
    abi::fuse_write_in write{};
    write.fh = fh_;
    write.offset = at;
    write.size = 100;
    const std::string data(100, 'w');
    const int written =
        Ask(Message(abi::FUSE_WRITE, file_).Struct(write).Raw(data));
    if (real() && at >= uint64_t{1} << 63) {
      EXPECT_TRUE(written == EFBIG || written == EINVAL)
          << at << " gives " << written;
    }
    abi::fuse_setattr_in setattr{};
    setattr.valid = abi::FATTR_SIZE;
    setattr.size = at;
    const int resized = Ask(Message(abi::FUSE_SETATTR, file_).Struct(setattr));
    if (real() && at >= uint64_t{1} << 63) {
      EXPECT_NE(resized, 0) << at;
    }
    setattr.size = 0;
    EXPECT_EQ(Ask(Message(abi::FUSE_SETATTR, file_).Struct(setattr)), 0);
    for (uint64_t length : edges) {
      for (uint32_t mode : {0u, 1u, 3u, 16u, 0xffu}) {
        Ask(Message(abi::FUSE_FALLOCATE, file_)
                .Struct(abi::fuse_fallocate_in{fh_, at, length, mode, 0}));
      }
      abi::fuse_copy_file_range_in copy{fh_, at, file_, fh_, length, at, 0};
      Ask(Message(abi::FUSE_COPY_FILE_RANGE, file_).Struct(copy));
      copy.len = UINT64_MAX;
      Ask(Message(abi::FUSE_COPY_FILE_RANGE_64, file_).Struct(copy));
      abi::fuse_lk_in lock{};
      lock.fh = fh_;
      lock.owner = length;
      lock.lk = {at, length, F_WRLCK, 1};
      Ask(Message(abi::FUSE_SETLK, file_).Struct(lock));
    }
    for (uint32_t whence : {0u, 3u, 4u, UINT32_MAX}) {
      Ask(Message(abi::FUSE_LSEEK, file_)
              .Struct(abi::fuse_lseek_in{fh_, at, whence, 0}));
    }
    abi::fuse_read_in readdir{};
    readdir.offset = at;
    readdir.size = UINT32_MAX;
    const uint64_t handle =
        peer_.Ask(Message(abi::FUSE_OPENDIR).Struct(abi::fuse_open_in{}))
            .As<abi::fuse_open_out>()
            .fh;
    readdir.fh = handle;
    Ask(Message(abi::FUSE_READDIR).Struct(readdir));
    Ask(Message(abi::FUSE_READDIRPLUS).Struct(readdir));
    abi::fuse_release_in release{};
    release.fh = handle;
    EXPECT_EQ(Ask(Message(abi::FUSE_RELEASEDIR).Struct(release)), 0);
    ExpectHealth();
  }
  EXPECT_LT(MemoryInUse(), before + (200 << 20)) << "allocated by a number";
}

// Requests that are right, with whatever a peer makes up.
TEST_P(HostileTest, RandomRequests) {
  const std::vector<uint32_t> opcodes = AllOpcodes();
  std::vector<std::byte> buffer(1 << 17);
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const uint32_t opcode = opcodes[seed % opcodes.size()];
    if (opcode == abi::FUSE_SETLKW) continue;
    RandomParts parts(seed);
    proto::Request request =
        RandomRequest(opcode, session_->terms().dialect, &parts);
    const proto::Operation& operation = *proto::FindOperation(opcode);
    request.header.unique = Message(opcode).header().unique;
    request.header.nodeid = seed % 3 == 0 ? 1 : file_;
    const proto::Encoded encoded =
        proto::EncodeRequest(request, session_->terms().dialect, buffer);
    ASSERT_TRUE(encoded.ok()) << operation.name;
    ASSERT_TRUE(peer_.Send(std::span(buffer).first(encoded.size)));
    if (operation.owed == proto::Owed::kReply) {
      ASSERT_TRUE(peer_.Await(request.header.unique).came) << operation.name;
    }
  }
  peer_.ExpectSilence();
}

TEST_P(HostileTest, NothingLeaks) {
  for (int i = 0; i < 300; ++i) {
    const std::string name = "f" + std::to_string(i);
    peer_.Ask(Message(abi::FUSE_CREATE)
                  .Struct(abi::fuse_create_in{O_RDWR | O_CREAT, S_IFREG, 0, 0})
                  .Name(name));
    peer_.Ask(Message(abi::FUSE_OPENDIR).Struct(abi::fuse_open_in{}));
  }
  // Neither released nor forgotten: the end does it.
  CloseAndWait();
  session_.reset();
  if (passthrough_ != nullptr) passthrough_.reset();
  // The peer's ends are closed as well.
  EXPECT_LE(OpenDescriptors(), descriptors_);
}

INSTANTIATE_TEST_SUITE_P(FileSystems, HostileTest,
                         ::testing::Values(Kind::kHook, Kind::kMemfs,
                                           Kind::kPassthrough),
                         KindName);

}  // namespace
}  // namespace barefuse::testing
