// Prints the tables of docs/protocol.md from the tables of the code.
#include <cstdio>
#include <string>

#include "proto/negotiation.h"
#include "proto/notifications.h"
#include "proto/operations.h"
#include "server/dispatch.h"

namespace barefuse {
namespace {

using proto::Operation;

// What follows the fixed struct.
const char* PayloadText(const Operation& operation) {
  switch (operation.payload) {
    case proto::Payload::kNone:
      return "";
    case proto::Payload::kName:
      return "a name";
    case proto::Payload::kNames:
      return "two names";
    case proto::Payload::kNameExt:
      return "a name, extensions";
    case proto::Payload::kLinkExt:
      return "a name, a target, extensions";
    case proto::Payload::kNameValue:
      return "a name, `size` bytes";
    case proto::Payload::kData:
      return operation.opcode == abi::FUSE_IOCTL ? "`in_size` bytes"
                                                 : "`size` bytes";
    case proto::Payload::kArray:
      return "`count` items";
  }
  return "?";
}

std::string SizesText(const Operation& operation) {
  if (operation.opcode == abi::FUSE_INIT) {
    return "8 bytes before 7.6, 16 before 7.36, 64 or more since";
  }
  std::string text;
  if (operation.fixed_size != 0) {
    text = std::to_string(operation.fixed_size) + " bytes";
  }
  if (operation.opcode == abi::FUSE_SETXATTR) {
    text += " (8 without SETXATTR_EXT)";
  } else if (operation.grew != 0) {
    text += " (" + std::to_string(operation.old_fixed_size) + " before 7." +
            std::to_string(operation.grew) + ")";
  }
  return text;
}

std::string ChecksText(const Operation& operation) {
  std::string text = SizesText(operation);
  const std::string payload = PayloadText(operation);
  if (!text.empty() && !payload.empty()) text += ", ";
  text += payload;
  return text.empty() ? "nothing may follow" : text;
}

const char* ReplyText(const Operation& operation) {
  using proto::ReplyKind;
  switch (operation.reply) {
    case ReplyKind::kNone:
      return operation.owed == proto::Owed::kSometimes
                 ? "none, or EAGAIN, ENOSYS"
                 : "none";
    case ReplyKind::kEmpty:
      return "empty";
    case ReplyKind::kInit:
      return "`fuse_init_out`";
    case ReplyKind::kEntry:
      return "`fuse_entry_out`";
    case ReplyKind::kAttr:
      return "`fuse_attr_out`";
    case ReplyKind::kStatx:
      return "`fuse_statx_out`";
    case ReplyKind::kOpen:
      return "`fuse_open_out`";
    case ReplyKind::kCreate:
      return "`fuse_entry_out`, `fuse_open_out`";
    case ReplyKind::kWrite:
      return "`fuse_write_out`";
    case ReplyKind::kStatfs:
      return "`fuse_statfs_out`";
    case ReplyKind::kXattr:
      return "`fuse_getxattr_out`, or bytes";
    case ReplyKind::kLock:
      return "`fuse_lk_out`";
    case ReplyKind::kBmap:
      return "`fuse_bmap_out`";
    case ReplyKind::kIoctl:
      return "`fuse_ioctl_out`, bytes or iovecs";
    case ReplyKind::kPoll:
      return "`fuse_poll_out`";
    case ReplyKind::kLseek:
      return "`fuse_lseek_out`";
    case ReplyKind::kCopyFileRange:
      return "`fuse_copy_file_range_out`";
    case ReplyKind::kData:
      return "bytes";
    case ReplyKind::kDirectory:
      return "`fuse_dirent` records";
    case ReplyKind::kDirectoryPlus:
      return "`fuse_direntplus` records";
    case ReplyKind::kCuseInit:
      return "`cuse_init_out`, strings";
  }
  return "?";
}

void PrintOperations() {
  std::puts(
      "| number | name | since | body that the decoder checks | reply | "
      "callback |\n|---:|---|---|---|---|---|");
  for (const Operation& operation : proto::kOperations) {
    if (operation.name.empty()) continue;
    const std::string callback(CallbackOf(operation.opcode));
    std::printf("| %u | %s | 7.%u | %s | %s | %s |\n", operation.opcode,
                std::string(operation.name).c_str(), operation.since,
                ChecksText(operation).c_str(), ReplyText(operation),
                callback.empty() ? "-" : ("`" + callback + "`").c_str());
  }
}

void PrintNotifications() {
  std::puts("\n| code | notification | since |\n|---:|---|---|");
  for (uint32_t code = 1; proto::NotificationSince(code) != 0; ++code) {
    std::printf("| %u | %s | 7.%u |\n", code,
                std::string(proto::NotificationName(code)).c_str(),
                proto::NotificationSince(code));
  }
}

void PrintCapabilities() {
  std::puts("\n| bit | capability | since | implemented |\n|---:|---|---|---|");
  int bit = 0;
  for (const proto::Capability& capability : proto::Capabilities()) {
    std::printf("| %d | %s | 7.%u | %s |\n", bit++,
                std::string(capability.name).c_str(), capability.since,
                capability.implemented ? "yes" : "no: refused");
  }
}

}  // namespace
}  // namespace barefuse

int main() {
  barefuse::PrintOperations();
  barefuse::PrintNotifications();
  barefuse::PrintCapabilities();
}
