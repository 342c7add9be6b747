// Requests as the kernel writes them.
#ifndef BAREFUSE_TESTS_TESTING_MESSAGES_H_
#define BAREFUSE_TESTS_TESTING_MESSAGES_H_

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_abi/fuse.h"

namespace barefuse::testing {

// Builds the bytes of one message piece by piece. The header's length is kept
// right; header() may be changed, the length too.
class MessageBuilder {
 public:
  explicit MessageBuilder(uint32_t opcode, uint64_t nodeid = 1,
                          uint64_t unique = 2) {
    header_.opcode = opcode;
    header_.nodeid = nodeid;
    header_.unique = unique;
    header_.uid = 1000;
    header_.gid = 100;
    header_.pid = 77;
  }

  // The bytes of a struct, or the first `size` of them.
  template <class T>
  MessageBuilder& Struct(const T& value, size_t size = sizeof(T)) {
    return Raw({reinterpret_cast<const char*>(&value), size});
  }
  // A string and its NUL.
  MessageBuilder& Name(std::string_view name) {
    return Raw(name).Raw(std::string_view("\0", 1));
  }
  MessageBuilder& Raw(std::string_view bytes) {
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    body_.insert(body_.end(), data, data + bytes.size());
    return *this;
  }

  abi::fuse_in_header& header() { return header_; }

  std::vector<std::byte> Bytes() const {
    abi::fuse_in_header header = header_;
    if (header.len == 0) {
      header.len = static_cast<uint32_t>(sizeof header + body_.size());
    }
    std::vector<std::byte> bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes.insert(bytes.end(), body_.begin(), body_.end());
    return bytes;
  }

 private:
  abi::fuse_in_header header_{};
  std::vector<std::byte> body_;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_MESSAGES_H_
