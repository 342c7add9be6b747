#include "proto/error.h"

namespace barefuse::proto {

std::string_view FaultText(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "no fault";
    case Fault::kShortHeader:
      return "the message is shorter than its header";
    case Fault::kByteSwapped:
      return "the message is in the other byte order";
    case Fault::kBadLength:
      return "the length field differs from the bytes that came";
    case Fault::kZeroUnique:
      return "the unique is 0";
    case Fault::kUnknownOpcode:
      return "no such operation";
    case Fault::kTooShort:
      return "the body ends too early";
    case Fault::kTrailingBytes:
      return "bytes follow the end of the body";
    case Fault::kMissingNul:
      return "a name has no terminating NUL";
    case Fault::kEmptyName:
      return "a name is empty";
    case Fault::kSlashInName:
      return "a name contains a slash";
    case Fault::kNameTooLong:
      return "a name is too long";
    case Fault::kCountTooLarge:
      return "a count asks for more bytes than there are";
    case Fault::kBadExtension:
      return "an extension's sizes do not add up";
    case Fault::kUnexpectedReply:
      return "the request is owed no such reply";
    case Fault::kWrongReplySize:
      return "the reply has the wrong size";
    case Fault::kErrorRange:
      return "the error is outside -511 .. 0";
    case Fault::kErrorWithBody:
      return "the error reply is more than a header";
    case Fault::kMoreThanAsked:
      return "the reply has more data than was asked for";
    case Fault::kBadDirectoryEntry:
      return "a directory entry's name, padding or offset is wrong";
    case Fault::kBadIoctlRetry:
      return "the iovecs of an ioctl's retry do not add up";
    case Fault::kUnknownNotification:
      return "no such notification";
    case Fault::kNoRoom:
      return "the buffer is too small for the message";
    case Fault::kNulInName:
      return "a name contains a NUL";
  }
  return "?";
}

}  // namespace barefuse::proto
