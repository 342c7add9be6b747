// A session that is sent what no kernel sends, for filesystems of every kind:
// each message is answered as it must be or passed over, and the next good
// request is served rightly.
#ifndef BAREFUSE_TESTS_SOCKET_HOSTILE_TEST_H_
#define BAREFUSE_TESTS_SOCKET_HOSTILE_TEST_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstring>
#include <memory>
#include <string>

#include "fs/memfs/memfs.h"
#include "fs/passthrough/passthrough.h"
#include "tests/socket/socket_test.h"
#include "tests/testing/files.h"

namespace barefuse::testing {

enum class Kind { kHook, kMemfs, kPassthrough };

class HostileTest : public SocketTest,
                    public ::testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override {
    descriptors_ = OpenDescriptors();
    std::shared_ptr<FileSystem> served = fs_;
    if (GetParam() == Kind::kMemfs) {
      served =
          Memfs::Create({.size_limit = 64 << 20, .inode_limit = 10000}).value();
    } else if (GetParam() == Kind::kPassthrough) {
      // What a peer makes up may be as large as a disk.
      ASSERT_EQ(
          mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, "size=64m,mode=755"),
          0);
      passthrough_ = Passthrough::Create({.source = dir_.path()}).value();
      served = passthrough_;
    }
    Start({.workers = 2, .max_write = 128 << 10}, 45,
          kAll & ~abi::FUSE_SECURITY_CTX, served);
    ASSERT_NE(session_, nullptr);
    const Received made =
        peer_.Ask(peer_.Message(abi::FUSE_CREATE)
                      .Struct(abi::fuse_create_in{O_RDWR | O_CREAT | O_EXCL,
                                                  S_IFREG | 0644, 0, 0})
                      .Name("file"));
    ASSERT_EQ(made.error(), 0);
    file_ = made.As<abi::fuse_entry_out>().nodeid;
    abi::fuse_open_out open;
    ASSERT_EQ(made.body.size(), sizeof(abi::fuse_entry_out) + sizeof open);
    std::memcpy(&open, made.body.data() + sizeof(abi::fuse_entry_out),
                sizeof open);
    fh_ = open.fh;
  }

  bool real() const { return GetParam() != Kind::kHook; }

  // The session lives: a good request is answered rightly, nothing else comes.
  void ExpectHealth() {
    const Received attr = peer_.Ask(
        peer_.Message(abi::FUSE_GETATTR).Struct(abi::fuse_getattr_in{}));
    ASSERT_EQ(attr.error(), 0);
    ASSERT_EQ(attr.body.size(), sizeof(abi::fuse_attr_out));
    EXPECT_TRUE(S_ISDIR(attr.As<abi::fuse_attr_out>().attr.mode));
    peer_.ExpectSilence();
  }
  int Ask(const MessageBuilder& message) { return peer_.Ask(message).error(); }
  MessageBuilder Message(uint32_t opcode, uint64_t node = 1) {
    return peer_.Message(opcode, node);
  }

  TempDir dir_;
  std::shared_ptr<Passthrough> passthrough_;
  size_t descriptors_ = 0;
  uint64_t file_ = 0;
  uint64_t fh_ = 0;
};

inline std::string KindName(const ::testing::TestParamInfo<Kind>& row) {
  switch (row.param) {
    case Kind::kHook:
      return "Hook";
    case Kind::kMemfs:
      return "Memfs";
    default:
      return "Passthrough";
  }
}

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_SOCKET_HOSTILE_TEST_H_
