// A server without a kernel: messages go in, replies come out.
#ifndef BAREFUSE_TESTS_TESTING_LOCAL_SERVER_H_
#define BAREFUSE_TESTS_TESTING_LOCAL_SERVER_H_

#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/dispatch.h"
#include "server/slot.h"
#include "tests/testing/messages.h"

namespace barefuse::testing {

struct RawReply {
  abi::fuse_out_header header{};
  std::string body;

  int error() const { return -header.error; }
};

// Dispatches messages on the caller's thread, as a worker's transport does, to
// a connection that has no device. Capabilities `flags` are on.
class LocalServer {
 public:
  explicit LocalServer(std::shared_ptr<FileSystem> file_system,
                       uint64_t flags = 0, uint32_t slots = 4)
      : dispatcher_(std::move(file_system)) {
    proto::Negotiated terms;
    terms.outcome = proto::InitOutcome::kAgreed;
    terms.dialect.flags = flags;
    terms.reply.max_write = 1 << 20;
    auto log = [this](LogLevel level, std::string_view line) {
      std::lock_guard<std::mutex> lock(mutex_);
      log_ += line;
      log_ += '\n';
    };
    connection_ = std::make_shared<Connection>(nullptr, terms, log, false);
    absl::StatusOr<SlotPool*> pool =
        SlotPool::Create(connection_, slots, terms.max_transfer());
    pool_ = pool.value();
    pool_->BindToThread();
  }
  ~LocalServer() {
    if (pool_ != nullptr) Close();
  }

  // Hands one message over. False: no slot is free.
  bool Send(const std::vector<std::byte>& message) {
    Slot* slot = pool_->TakeFree();
    if (slot == nullptr) return false;
    std::memcpy(slot->request_buffer.data(), message.data(), message.size());
    if (dispatcher_.Dispatch(slot,
                             slot->request_buffer.first(message.size())) ==
        Dispatcher::Outcome::kDone) {
      pool_->Free(slot);
    }
    return true;
  }

  // The replies that have been finished since.
  std::vector<RawReply> Take() {
    std::vector<RawReply> replies;
    for (Slot* slot = pool_->TakeFinished(); slot != nullptr;) {
      Slot* next = slot->next;
      RawReply reply;
      reply.header = slot->head.header();
      auto append = [&reply](std::span<const std::byte> bytes) {
        reply.body.append(reinterpret_cast<const char*>(bytes.data()),
                          bytes.size());
      };
      append(slot->head.bytes().subspan(sizeof(abi::fuse_out_header)));
      append(slot->data);
      replies.push_back(std::move(reply));
      pool_->Free(slot);
      slot = next;
    }
    return replies;
  }

  // The reply to a message that is answered at once; nothing where there was
  // none, or not exactly one.
  std::optional<RawReply> Ask(const MessageBuilder& message) {
    if (!Send(message.Bytes())) return std::nullopt;
    std::vector<RawReply> replies = Take();
    if (replies.size() != 1) return std::nullopt;
    return replies[0];
  }

  // The worker's end. Gives the number of replies that were still out.
  uint32_t Close() { return std::exchange(pool_, nullptr)->Close(); }

  Connection& connection() { return *connection_; }
  SlotPool& pool() { return *pool_; }
  std::string log() {
    std::lock_guard<std::mutex> lock(mutex_);
    return log_;
  }

 private:
  std::mutex mutex_;
  std::string log_;
  Dispatcher dispatcher_;
  std::shared_ptr<Connection> connection_;
  SlotPool* pool_ = nullptr;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_LOCAL_SERVER_H_
