// A session over a socket, and its kernel: the test.
#ifndef BAREFUSE_TESTS_SOCKET_SOCKET_TEST_H_
#define BAREFUSE_TESTS_SOCKET_SOCKET_TEST_H_

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/session.h"
#include "tests/testing/hook_file_system.h"
#include "tests/testing/socket_peer.h"

namespace barefuse::testing {

// Collects what a session logs. Shared with the session, which may outlive the
// test that has made it.
class Lines {
 public:
  static LogSink SinkTo(std::shared_ptr<Lines> lines) {
    return [lines = std::move(lines)](LogLevel, std::string_view line) {
      std::lock_guard<std::mutex> lock(lines->mutex_);
      lines->text_ += line;
      lines->text_ += '\n';
    };
  }
  std::string text() {
    std::lock_guard<std::mutex> lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

class SocketTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kAll = ~uint64_t{0};

  // While all that handlers use of a test's own is still there.
  void TearDown() override {
    gate_->Open();
    peer_.Close();
    if (session_ != nullptr) {
      Within(kPatience, "the end of the session", [&] { session_.reset(); });
    }
  }

  // Serves `served`, fs_ where it is none, to peer_ and checks the answer to
  // INIT, which `init_` is then.
  void Start(SessionOptions options = {}, uint32_t minor = 45,
             uint64_t flags = kAll,
             std::shared_ptr<FileSystem> served = nullptr) {
    if (served == nullptr) served = fs_;
    options.log = Lines::SinkTo(log_);
    peer_.Send(peer_.InitMessage(minor, flags));
    const uint64_t unique = peer_.last_unique();
    Within(kPatience, "Serve", [&] {
      auto session =
          Session::Serve(served, peer_.TakeServerEnd(), std::move(options));
      ASSERT_TRUE(session.ok()) << session.status();
      session_ = *std::move(session);
    });
    const Received reply = peer_.Await(unique);
    ASSERT_EQ(reply.error(), 0);
    init_ = reply.As<abi::fuse_init_out>();
    init_size_ = reply.body.size();
  }

  // Session::Wait, which must not take long.
  StopReason Wait() {
    StopReason reason;
    Within(kPatience, "Wait", [&] { reason = session_->Wait(); });
    return reason;
  }
  // The end as an unmount makes it.
  StopReason CloseAndWait() {
    peer_.Close();
    return Wait();
  }

  // --- Requests that most tests send ---

  MessageBuilder LookupMessage(std::string_view name) {
    return std::move(peer_.Message(abi::FUSE_LOOKUP).Name(name));
  }
  MessageBuilder ReadMessage(uint32_t size, uint64_t offset = 0) {
    abi::fuse_read_in in{};
    in.fh = HookFileSystem::kHandle;
    in.size = size;
    in.offset = offset;
    return std::move(
        peer_.Message(abi::FUSE_READ, HookFileSystem::kFile).Struct(in));
  }
  MessageBuilder WriteMessage(std::string_view data, uint64_t offset = 0) {
    abi::fuse_write_in in{};
    in.fh = HookFileSystem::kHandle;
    in.size = static_cast<uint32_t>(data.size());
    in.offset = offset;
    return std::move(peer_.Message(abi::FUSE_WRITE, HookFileSystem::kFile)
                         .Struct(in)
                         .Raw(data));
  }
  MessageBuilder FsyncMessage() {
    return std::move(peer_.Message(abi::FUSE_FSYNC, HookFileSystem::kFile)
                         .Struct(abi::fuse_fsync_in{}));
  }
  // INTERRUPTs have uniques of their own.
  MessageBuilder InterruptMessage(uint64_t victim) {
    MessageBuilder message = peer_.Message(abi::FUSE_INTERRUPT, 0);
    message.header().unique = victim | 1;
    message.Struct(abi::fuse_interrupt_in{victim});
    return message;
  }
  MessageBuilder ForgetMessage(uint64_t node, uint64_t lookups) {
    return std::move(peer_.Message(abi::FUSE_FORGET, node)
                         .Struct(abi::fuse_forget_in{lookups}));
  }
  // Sends it and gives its unique.
  uint64_t Send(const MessageBuilder& message) {
    const std::vector<std::byte> bytes = message.Bytes();
    abi::fuse_in_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    EXPECT_TRUE(peer_.Send(bytes));
    return header.unique;
  }

  std::shared_ptr<HookFileSystem> fs_ = std::make_shared<HookFileSystem>();
  // Where hooks may wait; opened at the end at the latest.
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::shared_ptr<Lines> log_ = std::make_shared<Lines>();
  SocketPeer peer_;
  std::unique_ptr<Session> session_;
  abi::fuse_init_out init_{};
  size_t init_size_ = 0;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_SOCKET_SOCKET_TEST_H_
