// The kernel's end of a session over a socket, in a test's hands.
#ifndef BAREFUSE_TESTS_TESTING_SOCKET_PEER_H_
#define BAREFUSE_TESTS_TESTING_SOCKET_PEER_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_abi/fuse.h"
#include "server/unique_fd.h"
#include "tests/testing/messages.h"

namespace barefuse::testing {

// How long anything may take. What takes longer hangs.
inline constexpr std::chrono::seconds kPatience{20};

// A reply or a notification.
struct Received {
  abi::fuse_out_header header{};
  std::string body;
  // False where nothing came in time: a failure has been added.
  bool came = false;

  // A positive errno, 0 for success, -1 where nothing came.
  int error() const { return came ? -header.error : -1; }
  bool is_notification() const { return came && header.unique == 0; }
  // Header and body, as they were on the wire.
  std::vector<std::byte> Bytes() const;
  // The body's first struct; zeros where the body is shorter.
  template <class T>
  T As() const {
    T out{};
    std::memcpy(&out, body.data(), std::min(sizeof out, body.size()));
    return out;
  }
};

// One end of a SOCK_SEQPACKET pair. Not for several threads at a time, but for
// Send, which any may call.
class SocketPeer {
 public:
  SocketPeer();
  SocketPeer(const SocketPeer&) = delete;
  SocketPeer& operator=(const SocketPeer&) = delete;

  // The end for Session::Serve. Once.
  UniqueFd TakeServerEnd() { return std::move(server_end_); }
  int fd() const { return fd_.get(); }
  // Ends the connection as an unmount does.
  void Close() { fd_.reset(); }

  // A message to be completed, with a unique of its own: even and growing.
  MessageBuilder Message(uint32_t opcode, uint64_t nodeid = 1) {
    return MessageBuilder(opcode, nodeid, unique_ += 2);
  }
  // Of the message that was made last.
  uint64_t last_unique() const { return unique_; }

  // Sends one message; false where there is no room in time (a failure), or the
  // server is gone (none).
  bool Send(std::span<const std::byte> bytes);
  bool Send(const MessageBuilder& message) { return Send(message.Bytes()); }
  // False where it cannot be sent at once.
  bool SendNow(std::span<const std::byte> bytes);

  // The oldest message that nobody has taken yet.
  Received Receive();
  // The reply with this unique. What else comes meanwhile is kept.
  Received Await(uint64_t unique);
  // The same for the notification that comes next.
  Received AwaitNotification();
  // Sends it and awaits its reply.
  Received Ask(const MessageBuilder& message);

  // INIT; the kernel's offer with the flags of flags2 in the upper half.
  MessageBuilder InitMessage(uint32_t minor, uint64_t flags);
  // The answer to a cheap request (STATFS), which shows that the session goes
  // on.
  int Ping() { return Ask(Message(abi::FUSE_STATFS)).error(); }
  // Adds a failure where anything has come that nobody has asked for by the
  // time that a request which is sent now is answered.
  void ExpectSilence();
  // Whether the server has closed its end; waits for it.
  bool AwaitEnd();

 private:
  // What comes next, or nothing: the time is up, or the server is gone.
  std::optional<Received> Next(std::chrono::steady_clock::time_point deadline);
  Received AwaitThat(const std::function<bool(const Received&)>& wanted,
                     const std::string& what);

  UniqueFd fd_;
  UniqueFd server_end_;
  uint64_t unique_ = 0;
  std::deque<Received> kept_;  // in the order of coming
  std::vector<std::byte> buffer_;
};

// Waits until `condition` holds; false where it does not in time.
bool Eventually(const std::function<bool()>& condition);

// Runs `work` on another thread and waits for its end. Where it does not
// return in time the program ends, saying so: nothing can be done for a thread
// that hangs.
void Within(std::chrono::seconds time, std::string_view what,
            const std::function<void()>& work);

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_SOCKET_PEER_H_
