// Messages between the two processes of a sandboxed server.
#ifndef BAREFUSE_TOOLS_MESSAGE_CHANNEL_H_
#define BAREFUSE_TOOLS_MESSAGE_CHANNEL_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/unique_fd.h"

namespace barefuse {

// One end of it. Not thread-safe.
class MessageChannel {
 public:
  struct Message {
    char kind = 0;  // 0: the other end is gone, and there are no more
    std::string text;
    std::vector<UniqueFd> fds;
  };
  // Bytes of text, and descriptors, that a message has room for.
  static constexpr size_t kMostText = 60 << 10;
  static constexpr size_t kMostFds = 2;

  static absl::StatusOr<std::pair<MessageChannel, MessageChannel>> MakePair();

  // Descriptors are copied. What is longer than the room is cut. Does nothing
  // where the other end is gone.
  void Send(char kind, std::string_view text = {},
            const std::vector<int>& fds = {});
  // Waits for one.
  Message Receive();

  int fd() const { return fd_.get(); }

 private:
  explicit MessageChannel(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_MESSAGE_CHANNEL_H_
