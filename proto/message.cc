#include "proto/message.h"

#include <algorithm>
#include <cstring>

namespace barefuse::proto {

DecodeError CutMessage(Bytes bytes, const Dialect& dialect, Message* message) {
  *message = Message{};
  constexpr size_t kHeaderSize = sizeof(abi::fuse_in_header);
  if (bytes.size() < kHeaderSize) {
    return {Fault::kShortHeader, 0, static_cast<uint32_t>(bytes.size())};
  }
  abi::fuse_in_header header;
  std::memcpy(&header, bytes.data(), kHeaderSize);
  if (header.opcode == abi::FUSE_INIT_BSWAP_RESERVED ||
      header.opcode == abi::CUSE_INIT_BSWAP_RESERVED) {
    return {Fault::kByteSwapped, header.opcode,
            offsetof(abi::fuse_in_header, opcode)};
  }
  if (header.len != bytes.size()) {
    return {Fault::kBadLength, header.opcode,
            offsetof(abi::fuse_in_header, len)};
  }
  message->header = bytes.first(kHeaderSize);
  Bytes body = bytes.subspan(kHeaderSize);
  const Operation* operation = FindOperation(header.opcode);
  size_t fixed = body.size();
  if (operation != nullptr && operation->payload != Payload::kNone) {
    fixed = std::min(body.size(), dialect.FixedSize(*operation));
  }
  message->operation = body.first(fixed);
  message->payload = body.subspan(fixed);
  return {};
}

}  // namespace barefuse::proto
