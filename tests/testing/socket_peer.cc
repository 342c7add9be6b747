#include "tests/testing/socket_peer.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "proto/operations.h"
#include "tests/testing/files.h"

namespace barefuse::testing {

namespace {

using Clock = std::chrono::steady_clock;

// Whether `fd` is ready for `events` before the deadline.
bool AwaitReady(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd poll_fd{fd, events, 0};
    const int ready =
        poll(&poll_fd, 1, std::max<int>(0, static_cast<int>(left.count())));
    if (ready > 0) return true;
    if (ready == 0) return false;
    Check(errno == EINTR, "poll");
  }
}

// Room for messages of a mebibyte and several of them.
void Widen(int fd) {
  const int size = 8 << 20;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    Check(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0,
          "SO_SNDBUF");
  }
}

}  // namespace

std::vector<std::byte> Received::Bytes() const {
  std::vector<std::byte> bytes(sizeof header + body.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, body.data(), body.size());
  return bytes;
}

SocketPeer::SocketPeer() : buffer_(3 << 20) {
  int fds[2];
  Check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0,
        "socketpair");
  fd_.reset(fds[0]);
  server_end_.reset(fds[1]);
  Widen(fd_.get());
}

bool SocketPeer::Send(std::span<const std::byte> bytes) {
  const auto deadline = Clock::now() + kPatience;
  while (!SendNow(bytes)) {
    if (errno == EPIPE || errno == ECONNRESET) return false;
    if (errno != EAGAIN || !AwaitReady(fd_.get(), POLLOUT, deadline)) {
      ADD_FAILURE() << "a message of " << bytes.size()
                    << " bytes cannot be sent: " << strerror(errno);
      return false;
    }
  }
  return true;
}

bool SocketPeer::SendNow(std::span<const std::byte> bytes) {
  return send(fd_.get(), bytes.data(), bytes.size(),
              MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(bytes.size());
}

std::optional<Received> SocketPeer::Next(Clock::time_point deadline) {
  if (!AwaitReady(fd_.get(), POLLIN, deadline)) return std::nullopt;
  const ssize_t size = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
  if (size <= 0) return std::nullopt;
  Received received;
  received.came = true;
  if (static_cast<size_t>(size) < sizeof received.header) {
    ADD_FAILURE() << "a message of " << size << " bytes";
    return std::nullopt;
  }
  std::memcpy(&received.header, buffer_.data(), sizeof received.header);
  EXPECT_EQ(received.header.len, size) << "a message that lies of its length";
  received.body.assign(
      reinterpret_cast<const char*>(buffer_.data()) + sizeof received.header,
      static_cast<size_t>(size) - sizeof received.header);
  return received;
}

Received SocketPeer::AwaitThat(
    const std::function<bool(const Received&)>& wanted,
    const std::string& what) {
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    if (!wanted(*it)) continue;
    Received received = std::move(*it);
    kept_.erase(it);
    return received;
  }
  const auto deadline = Clock::now() + kPatience;
  for (;;) {
    std::optional<Received> received = Next(deadline);
    if (!received) {
      ADD_FAILURE() << what << " does not come; " << kept_.size()
                    << " others did";
      return {};
    }
    if (wanted(*received)) return *std::move(received);
    kept_.push_back(*std::move(received));
  }
}

Received SocketPeer::Receive() {
  return AwaitThat([](const Received&) { return true; }, "any message");
}

Received SocketPeer::Await(uint64_t unique) {
  return AwaitThat(
      [unique](const Received& it) { return it.header.unique == unique; },
      "the reply to request " + std::to_string(unique));
}

Received SocketPeer::AwaitNotification() {
  return AwaitThat(
      [](const Received& received) { return received.is_notification(); },
      "a notification");
}

Received SocketPeer::Ask(const MessageBuilder& message) {
  const std::vector<std::byte> bytes = message.Bytes();
  abi::fuse_in_header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (!Send(bytes)) return {};
  return AwaitThat(
      [&](const Received& it) { return it.header.unique == header.unique; },
      "the reply to " + std::string(proto::OperationName(header.opcode)));
}

MessageBuilder SocketPeer::InitMessage(uint32_t minor, uint64_t flags) {
  abi::fuse_init_in in{};
  in.major = abi::FUSE_KERNEL_VERSION;
  in.minor = minor;
  in.max_readahead = 128 << 10;
  in.flags = static_cast<uint32_t>(flags);
  in.flags2 = static_cast<uint32_t>(flags >> 32);
  const size_t size = minor < 6 ? 8 : minor < 36 ? 16 : sizeof in;
  MessageBuilder message = Message(abi::FUSE_INIT, 0);
  message.Struct(in, size);
  return message;
}

void SocketPeer::ExpectSilence() {
  EXPECT_EQ(Ping(), 0);
  for (const Received& received : kept_) {
    ADD_FAILURE() << "unasked: unique " << received.header.unique << ", error "
                  << received.header.error << ", " << received.body.size()
                  << " bytes of body";
  }
  kept_.clear();
}

bool SocketPeer::AwaitEnd() {
  const auto deadline = Clock::now() + kPatience;
  while (AwaitReady(fd_.get(), POLLIN, deadline)) {
    const ssize_t size = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return true;
    if (size < 0) return false;
  }
  return false;
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = Clock::now() + kPatience;
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

void Within(std::chrono::seconds time, std::string_view what,
            const std::function<void()>& work) {
  auto done = std::async(std::launch::async, work);
  if (done.wait_for(time) == std::future_status::ready) return;
  fprintf(stderr, "FAILED: %.*s does not return\n",
          static_cast<int>(what.size()), what.data());
  abort();
}

}  // namespace barefuse::testing
