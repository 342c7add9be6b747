// What can be wrong with the bytes of a message.
#ifndef BAREFUSE_PROTO_ERROR_H_
#define BAREFUSE_PROTO_ERROR_H_

#include <cstdint>
#include <string_view>

namespace barefuse::proto {

enum class Fault : uint8_t {
  kNone,
  // The header cannot be trusted: there is nobody to answer.
  kShortHeader,  // fewer bytes than a header has
  kBadLength,    // the header's length is not the number of bytes read
  kZeroUnique,   // a request with unique 0
  // The header is good, its request is answered with an error.
  kUnknownOpcode,  // no such operation in 7.45
  kTooShort,       // the body ends inside the fixed struct
  kTrailingBytes,  // the body goes on after its end
  kMissingNul,     // a name is not terminated
  kEmptyName,
  kSlashInName,
  kNameTooLong,
  kCountTooLarge,  // a count or size asks for more bytes than there are
  kBadExtension,   // an extension's sizes do not add up
  // Of replies.
  kWrongReplySize,
  kErrorRange,  // an error outside -511 .. 0
};

// A sentence fragment such as "a name has no terminating NUL".
std::string_view FaultText(Fault fault);

// The outcome of decoding: no fault, or which, where.
struct [[nodiscard]] DecodeError {
  Fault fault = Fault::kNone;
  uint32_t opcode = 0;
  uint32_t offset = 0;  // in bytes from the start of the message

  bool ok() const { return fault == Fault::kNone; }
  // Whether the header was good enough to answer the request.
  bool answerable() const { return fault > Fault::kZeroUnique; }
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_ERROR_H_
