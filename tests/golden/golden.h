// Messages kept as files: their bytes, and what they say in words.
//
//   # how it came to be
//   kind: request
//   opcode: 3            a notification has its code here
//   minor: 45            negotiated
//   kernel_minor: 45     of the kernel that sent or gets it
//   flags: 0x0           capabilities that are on
//   asked: 0             of replies: the size that was asked for
//   text: #6 GETATTR node=1 ...
//   bytes:
//   38000000 03000000 ...
#ifndef BAREFUSE_TESTS_GOLDEN_GOLDEN_H_
#define BAREFUSE_TESTS_GOLDEN_GOLDEN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/dialect.h"

namespace barefuse::testing {

enum class GoldenKind { kRequest, kReply, kNotification };

struct Golden {
  std::string origin;  // the comment
  GoldenKind kind = GoldenKind::kRequest;
  uint32_t opcode = 0;
  proto::Dialect dialect;
  uint32_t asked = 0;  // bytes
  std::string text;
  std::vector<std::byte> bytes;
};

// The file's content.
std::string Format(const Golden& golden);
// False where it is none.
bool Parse(std::string_view file, Golden* golden);

// What the codec says of the message ("" where it finds fault), and the bytes
// that it makes of what it understood.
std::string Describe(const Golden& golden);
std::vector<std::byte> Reencode(const Golden& golden);

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_GOLDEN_GOLDEN_H_
