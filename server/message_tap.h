// A look at every message between kernel and server.
#ifndef BAREFUSE_SERVER_MESSAGE_TAP_H_
#define BAREFUSE_SERVER_MESSAGE_TAP_H_

#include <cstddef>
#include <functional>
#include <span>

namespace barefuse {

enum class Direction {
  kFromKernel,  // a request
  kToKernel,    // a reply
};

// The bytes of one message, as they are read or about to be written; `data`
// goes on behind `head` and is empty for requests. Valid during the call.
// Called from any worker, several at a time.
using MessageTap =
    std::function<void(Direction direction, std::span<const std::byte> head,
                       std::span<const std::byte> data)>;

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_MESSAGE_TAP_H_
