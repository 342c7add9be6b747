#include "proto/decode_reply.h"

#include <cerrno>
#include <cstring>

#include "proto/cursor.h"
#include "proto/directory.h"
#include "proto/reply_layout.h"

namespace barefuse::proto {
namespace {

// The longest target of a symbolic link: a page with its NUL.
constexpr uint32_t kMaxTarget = 4095;
// What CUSE_INIT may say of a device.
constexpr uint32_t kMaxInfo = abi::CUSE_INIT_INFO_MAX;

// Fills replies from the fixed structs and the data, which may lie apart.
class Reader {
 public:
  Reader(Bytes head, Bytes data, const Dialect& dialect)
      : head_(head, sizeof(abi::fuse_out_header)),
        data_(data, sizeof(abi::fuse_out_header) + head.size()),
        dialect_(dialect) {}

  template <class T>
  void Struct(T& value) {
    Read(value, ReplySize(dialect_, value));
  }
  template <class T>
  void Whole(T& value) {
    Read(value, sizeof value);
  }
  // In one piece with the structs, or apart.
  void Rest(Bytes& bytes) {
    bytes = head_.left() != 0 ? head_.Rest() : data_.Rest();
  }
  void Fail(Fault fault) { head_.Fail(fault); }

  DecodeError End(uint32_t opcode) {
    if (head_.ok() && head_.left() + data_.left() != 0) {
      head_.Fail(Fault::kWrongReplySize);
    }
    if (head_.ok()) return {};
    return {head_.fault(), opcode, head_.offset()};
  }

 private:
  template <class T>
  void Read(T& value, size_t size) {
    if (head_.left() < size) return head_.Fail(Fault::kWrongReplySize);
    head_.Prefix(&value, size);
  }

  Cursor head_;
  Cursor data_;
  const Dialect& dialect_;
};

// What else must hold of a reply that has the right shape.
template <class T>
Fault Check(const T&, const Asked&, const Dialect&) {
  return Fault::kNone;
}
Fault Check(const DataOut& out, const Asked& asked, const Dialect&) {
  return out.data.size() > asked.size ? Fault::kMoreThanAsked : Fault::kNone;
}
Fault CheckRecords(Bytes records, DirectoryReader reader, const Asked& asked) {
  if (records.size() > asked.size) return Fault::kMoreThanAsked;
  DirectoryEntry entry;
  while (reader.Next(&entry)) {
  }
  return reader.ok() ? Fault::kNone : Fault::kBadDirectoryEntry;
}
Fault Check(const DirectoryOut& out, const Asked& asked, const Dialect&) {
  return CheckRecords(out.records, DirectoryReader(out.records), asked);
}
Fault Check(const DirectoryPlusOut& out, const Asked& asked, const Dialect&) {
  return CheckRecords(out.records, DirectoryReader(out), asked);
}
Fault Check(const IoctlOut& out, const Asked& asked, const Dialect&) {
  if ((out.flags & abi::FUSE_IOCTL_RETRY) == 0) {
    return out.data.size() > asked.size ? Fault::kMoreThanAsked : Fault::kNone;
  }
  const uint64_t count = uint64_t{out.in_iovs} + out.out_iovs;
  const bool good = count <= abi::FUSE_IOCTL_MAX_IOV &&
                    out.data.size() == count * sizeof(abi::fuse_ioctl_iovec);
  return good ? Fault::kNone : Fault::kBadIoctlRetry;
}
Fault Check(const CuseInitOut& out, const Asked&, const Dialect&) {
  return out.info.size() > kMaxInfo ? Fault::kMoreThanAsked : Fault::kNone;
}

template <class T>
DecodeError DecodeAs(Reader& reader, const Asked& asked, const Dialect& dialect,
                     AnyReply* body) {
  T& out = body->emplace<T>();
  if constexpr (std::is_same_v<T, CreateOut>) {
    out.tmpfile = asked.opcode == abi::FUSE_TMPFILE;
  }
  Layout(reader, out);
  if (DecodeError error = reader.End(asked.opcode); !error.ok()) return error;
  if (Fault fault = Check(out, asked, dialect); fault != Fault::kNone) {
    return {fault, asked.opcode, sizeof(abi::fuse_out_header)};
  }
  return {};
}

DecodeError DecodeBody(Reader& reader, ReplyKind kind, const Asked& asked,
                       const Dialect& dialect, AnyReply* body) {
  auto as = [&]<class T>(const T*) {
    return DecodeAs<T>(reader, asked, dialect, body);
  };
  switch (kind) {
#define BAREFUSE_CASE(kind, Type) \
  case ReplyKind::kind:           \
    return as(static_cast<const Type*>(nullptr));
    BAREFUSE_CASE(kEmpty, EmptyOut)
    BAREFUSE_CASE(kInit, abi::fuse_init_out)
    BAREFUSE_CASE(kEntry, abi::fuse_entry_out)
    BAREFUSE_CASE(kAttr, abi::fuse_attr_out)
    BAREFUSE_CASE(kStatx, abi::fuse_statx_out)
    BAREFUSE_CASE(kOpen, abi::fuse_open_out)
    BAREFUSE_CASE(kCreate, CreateOut)
    BAREFUSE_CASE(kWrite, abi::fuse_write_out)
    BAREFUSE_CASE(kStatfs, abi::fuse_statfs_out)
    BAREFUSE_CASE(kLock, abi::fuse_lk_out)
    BAREFUSE_CASE(kBmap, abi::fuse_bmap_out)
    BAREFUSE_CASE(kIoctl, IoctlOut)
    BAREFUSE_CASE(kPoll, abi::fuse_poll_out)
    BAREFUSE_CASE(kLseek, abi::fuse_lseek_out)
    BAREFUSE_CASE(kCopyFileRange, abi::fuse_copy_file_range_out)
    BAREFUSE_CASE(kData, DataOut)
    BAREFUSE_CASE(kDirectory, DirectoryOut)
    BAREFUSE_CASE(kDirectoryPlus, DirectoryPlusOut)
    BAREFUSE_CASE(kCuseInit, CuseInitOut)
#undef BAREFUSE_CASE
    case ReplyKind::kXattr:
      return asked.size == 0
                 ? as(static_cast<const abi::fuse_getxattr_out*>(nullptr))
                 : as(static_cast<const DataOut*>(nullptr));
    case ReplyKind::kNone:
      break;
  }
  return {Fault::kUnexpectedReply, asked.opcode, 0};
}

// INTERRUPT is answered only to say that it came too early, or that interrupts
// are not wanted.
bool IsOwed(const Operation& operation, int error) {
  switch (operation.owed) {
    case Owed::kReply:
      return true;
    case Owed::kSometimes:
      return error == -EAGAIN || error == -ENOSYS;
    case Owed::kNothing:
    case Owed::kCommit:
      return false;
  }
  return false;
}

}  // namespace

Asked WhatIsAsked(const Request& request) {
  Asked asked{request.header.opcode, 0};
  std::visit(
      [&asked](const auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_base_of_v<abi::fuse_read_in, Op> ||
                      std::is_base_of_v<abi::fuse_getxattr_in, Op>) {
          asked.size = op.size;
        } else if constexpr (std::is_same_v<Op, Ioctl>) {
          asked.size = op.out_size;
        } else if constexpr (std::is_same_v<Op, Readlink>) {
          asked.size = kMaxTarget;
        }
      },
      request.operation);
  return asked;
}

DecodeError DecodeReply(Bytes head, Bytes data, const Asked& asked,
                        const Dialect& dialect, ReplyMessage* reply) {
  constexpr size_t kHeaderSize = sizeof(abi::fuse_out_header);
  reply->body.emplace<EmptyOut>();
  if (head.size() < kHeaderSize) {
    return {Fault::kShortHeader, asked.opcode,
            static_cast<uint32_t>(head.size())};
  }
  abi::fuse_out_header& header = reply->header;
  std::memcpy(&header, head.data(), kHeaderSize);
  if (header.len != head.size() + data.size()) {
    return {Fault::kBadLength, asked.opcode,
            offsetof(abi::fuse_out_header, len)};
  }
  if (header.unique == 0) {
    return {Fault::kZeroUnique, asked.opcode,
            offsetof(abi::fuse_out_header, unique)};
  }
  if (header.error > 0 || header.error < -kMaxErrno) {
    return {Fault::kErrorRange, asked.opcode,
            offsetof(abi::fuse_out_header, error)};
  }
  const Operation* operation = FindOperation(asked.opcode);
  // What does not exist can only be refused.
  if (operation == nullptr ? header.error == 0
                           : !IsOwed(*operation, header.error)) {
    return {
        operation == nullptr ? Fault::kUnknownOpcode : Fault::kUnexpectedReply,
        asked.opcode, 0};
  }
  if (header.error != 0) {
    if (header.len == kHeaderSize) return {};
    return {Fault::kErrorWithBody, asked.opcode, kHeaderSize};
  }
  Reader reader(head.subspan(kHeaderSize), data, dialect);
  DecodeError error =
      DecodeBody(reader, operation->reply, asked, dialect, &reply->body);
  if (!error.ok()) reply->body.emplace<EmptyOut>();
  return error;
}

}  // namespace barefuse::proto
