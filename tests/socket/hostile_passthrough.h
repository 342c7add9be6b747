// A peer that asks the passthrough filesystem for what no kernel asks for: what
// is outside the source, with nodes, handles and names that it makes up.
#ifndef BAREFUSE_TESTS_SOCKET_HOSTILE_PASSTHROUGH_H_
#define BAREFUSE_TESTS_SOCKET_HOSTILE_PASSTHROUGH_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/passthrough/passthrough.h"
#include "tests/socket/socket_test.h"
#include "tests/testing/canary.h"
#include "tests/testing/files.h"

namespace barefuse::testing {

// The source is a directory of a tmpfs; the canary is beside it. A watch is on
// the source's fifo, device nodes and socket, which the server must not open.
class HostilePassthrough : public SocketTest {
 protected:
  void SetUp() override {
    getrlimit(RLIMIT_NOFILE, &limit_);
    // Few enough for the cache of descriptors that a leak shows.
    rlimit low = limit_;
    low.rlim_cur = 512;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    // If something did get out, it must not get at the machine's files.
    ASSERT_EQ(SetReadOnly(true), 0) << strerror(errno);
    ASSERT_EQ(
        mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, "size=64m,mode=755"),
        0);
    canary_.emplace(dir_ / "outside");
    source_ = dir_.MakeDir("src");
    Fill();
  }
  void TearDown() override {
    SocketTest::TearDown();
    passthrough_.reset();
    setrlimit(RLIMIT_NOFILE, &limit_);
    EXPECT_EQ(SetReadOnly(false), 0) << strerror(errno);
  }

  void Serve(const std::string& source) {
    passthrough_ = Passthrough::Create({.source = source}).value();
    Start({.workers = 2, .max_write = 128 << 10}, 45,
          kAll & ~abi::FUSE_SECURITY_CTX & ~abi::FUSE_PASSTHROUGH,
          passthrough_);
  }
  void Serve() {
    Serve(source_);
    for (const char* name : {"file", "dir", "link", "up", "outside", "fifo",
                             "char", "block", "socket"}) {
      nodes_.push_back(Node(name));
    }
  }

  // --- Requests ---

  MessageBuilder Message(uint32_t opcode, uint64_t node = 1) {
    return peer_.Message(opcode, node);
  }
  int Ask(const MessageBuilder& message) { return peer_.Ask(message).error(); }
  // The node of a name that is there.
  uint64_t Node(std::string_view name, uint64_t parent = 1) {
    const Received found =
        peer_.Ask(Message(abi::FUSE_LOOKUP, parent).Name(name));
    EXPECT_EQ(found.error(), 0) << name;
    const uint64_t node = found.As<abi::fuse_entry_out>().nodeid;
    EXPECT_NE(node, 0u) << name;
    return node;
  }
  // Whether a name can be looked up.
  bool Finds(std::string_view name, uint64_t parent = 1) {
    const Received found =
        peer_.Ask(Message(abi::FUSE_LOOKUP, parent).Name(name));
    return found.error() == 0 && found.As<abi::fuse_entry_out>().nodeid != 0;
  }
  Received TryOpen(uint64_t node, uint32_t flags,
                   uint32_t opcode = abi::FUSE_OPEN) {
    return peer_.Ask(Message(opcode, node).Struct(abi::fuse_open_in{flags, 0}));
  }
  uint64_t Open(uint64_t node, uint32_t flags,
                uint32_t opcode = abi::FUSE_OPEN) {
    const Received opened = TryOpen(node, flags, opcode);
    EXPECT_EQ(opened.error(), 0);
    return opened.As<abi::fuse_open_out>().fh;
  }
  MessageBuilder CreateMessage(std::string_view name, uint32_t flags,
                               uint32_t mode, uint64_t parent = 1) {
    return std::move(Message(abi::FUSE_CREATE, parent)
                         .Struct(abi::fuse_create_in{flags, mode, 0, 0})
                         .Name(name));
  }
  MessageBuilder SetattrMessage(uint64_t node,
                                const abi::fuse_setattr_in& what) {
    return std::move(Message(abi::FUSE_SETATTR, node).Struct(what));
  }

  // Every request has been answered, and none twice. Notifications come as the
  // server likes; they are passed over.
  void ExpectNoMore() {
    EXPECT_EQ(peer_.Ping(), 0);
    const uint64_t sent = session_->statistics().notifications;
    for (; notifications_ < sent; ++notifications_) peer_.AwaitNotification();
    peer_.ExpectSilence();
  }

  // Nothing outside has been reached, nothing special opened, the session lives
  // and has said no more than it was asked for.
  void ExpectConfined() {
    ExpectNoMore();
    const Received attr =
        peer_.Ask(Message(abi::FUSE_GETATTR).Struct(abi::fuse_getattr_in{}));
    ASSERT_EQ(attr.error(), 0);
    EXPECT_TRUE(S_ISDIR(attr.As<abi::fuse_attr_out>().attr.mode));
    for (const std::string& event : special_.Events()) {
      if (IsOpening(event)) ADD_FAILURE() << event;
    }
    for (const std::string& deed : canary_->Touched()) ADD_FAILURE() << deed;
  }

  TempDir dir_;
  std::optional<Canary> canary_;
  Watch special_;
  std::string source_;
  std::shared_ptr<Passthrough> passthrough_;
  // In the order of Serve().
  std::vector<uint64_t> nodes_;

 private:
  // All mounts of the test's namespace.
  static int SetReadOnly(bool on) {
    mount_attr attributes{};
    (on ? attributes.attr_set : attributes.attr_clr) = MOUNT_ATTR_RDONLY;
    return static_cast<int>(syscall(SYS_mount_setattr, AT_FDCWD, "/",
                                    AT_RECURSIVE, &attributes,
                                    sizeof attributes));
  }

  // IN_OPEN or IN_CLOSE_*. (Attributes may change, and times count as access.)
  static bool IsOpening(const std::string& event) {
    const size_t mask = event.rfind("0x");
    return (std::stoul(event.substr(mask), nullptr, 16) & 0x38) != 0;
  }

  void Fill() {
    auto at = [this](const char* name) { return source_ + "/" + name; };
    WriteFile(at("file"), "content");
    Check(mkdir(at("dir").c_str(), 0777) == 0, "dir");
    WriteFile(at("dir/inner"), "content");
    Check(
        symlink((canary_->path() + "/secret").c_str(), at("link").c_str()) == 0,
        "link");
    Check(symlink("../outside/secret", at("up").c_str()) == 0, "up");
    Check(symlink(canary_->path().c_str(), at("outside").c_str()) == 0,
          "outside");
    Check(mkfifo(at("fifo").c_str(), 0666) == 0, "fifo");
    Check(mknod(at("char").c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0,
          "char");
    Check(mknod(at("block").c_str(), S_IFBLK | 0666, makedev(7, 0)) == 0,
          "block");
    Check(mknod(at("socket").c_str(), S_IFSOCK | 0666, 0) == 0, "socket");
    for (const char* name :
         {"fifo", "char", "block", "socket", "link", "up", "outside"}) {
      special_.Add(at(name));
    }
  }

  rlimit limit_{};
  uint64_t notifications_ = 0;  // that have been passed over
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_SOCKET_HOSTILE_PASSTHROUGH_H_
