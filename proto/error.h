// What can be wrong with the bytes of a message, or with a message that is to
// become bytes.
#ifndef BAREFUSE_PROTO_ERROR_H_
#define BAREFUSE_PROTO_ERROR_H_

#include <cstdint>
#include <string_view>

namespace barefuse::proto {

enum class Fault : uint8_t {
  kNone,

  // The header cannot be trusted: there is nobody to answer.
  kShortHeader,  // fewer bytes than a header has
  kByteSwapped,  // INIT or CUSE_INIT of a machine with the other byte order
  kBadLength,    // the header's length is not the number of bytes read
  kZeroUnique,   // a request with unique 0, or a reply to none

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

  // Of replies and notifications.
  kUnexpectedReply,      // to a request that is owed none
  kWrongReplySize,       // not the size that the operation's reply has
  kErrorRange,           // an error outside -511 .. 0
  kErrorWithBody,        // an error reply that is more than a header
  kMoreThanAsked,        // more data than the request asked for
  kBadDirectoryEntry,    // a directory entry's name, padding or offset
  kBadIoctlRetry,        // too many iovecs, or as many as there are not
  kUnknownNotification,  // no such notification in 7.45

  // Of encoding.
  kNoRoom,     // the buffer is too small
  kNulInName,  // a name that its NUL cannot end
};

// One above the last fault, for who wants to see each.
inline constexpr int kFaultCount = static_cast<int>(Fault::kNulInName) + 1;

// A sentence fragment such as "a name has no terminating NUL".
std::string_view FaultText(Fault fault);

// The outcome of decoding: no fault, or which, where.
struct [[nodiscard]] DecodeError {
  Fault fault = Fault::kNone;
  uint32_t opcode = 0;  // of the request; of a notification, its code
  uint32_t offset = 0;  // in bytes from the start of the message

  bool ok() const { return fault == Fault::kNone; }
  // Whether the header was good enough to answer the request.
  bool answerable() const { return fault > Fault::kZeroUnique; }
};

// The outcome of encoding: the message's size in bytes, or why there is none.
struct [[nodiscard]] Encoded {
  Fault fault = Fault::kNone;
  uint32_t size = 0;

  bool ok() const { return fault == Fault::kNone; }
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_ERROR_H_
