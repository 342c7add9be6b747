#include "proto/decode_request.h"

#include <algorithm>
#include <cstring>

#include "proto/cursor.h"
#include "proto/extensions.h"
#include "proto/request_layout.h"

namespace barefuse::proto {
namespace {

struct Body {
  Bytes fixed;
  Bytes payload;
};

// Fills requests from the fixed struct and the payload, each with a cursor of
// its own, since a ring delivers them apart.
class Reader {
 public:
  Reader(const Body& body, const Dialect& dialect, const Operation& operation,
         const abi::fuse_in_header& header)
      : fixed_(body.fixed, sizeof header),
        payload_(body.payload, sizeof header + body.fixed.size()),
        dialect_(dialect),
        operation_(operation),
        extension_length_(size_t{header.total_extlen} * 8) {}

  template <class T>
  void Fixed(T& value) {
    size_t size = fixed_.left();
    if (operation_.payload != Payload::kNone) {
      size = dialect_.FixedSize(operation_);
    } else if (!Dialect::IsWholeSize(operation_, size)) {
      size = operation_.fixed_size;  // too short or trailing, as End() says
    }
    fixed_.Prefix(&value, size);
  }
  void Init(abi::fuse_init_in& value) {
    fixed_.Prefix(&value, Dialect::KnownInitInSize(fixed_.left()));
    fixed_.Rest();
  }
  void Name(std::string_view& name) { name = payload_.Name(dialect_.name_max); }
  void Attribute(std::string_view& name) {
    name = payload_.CString(dialect_.name_max);
    if (payload_.ok() && name.empty()) payload_.Fail(Fault::kEmptyName);
  }
  void Text(std::string_view& text) { text = payload_.CString(kLongNameMax); }
  void Data(Bytes& data, uint32_t size) { data = payload_.Take(size); }
  template <class T>
  void Array(WireArray<T>& items, uint32_t count) {
    // 2^32 structs do not overflow 64 bits; Take compares.
    items = WireArray<T>(payload_.Take(uint64_t{count} * sizeof(T)));
  }
  void Extensions(proto::Extensions& extensions) {
    if (!payload_.ok()) return;
    size_t size = 0;
    if (dialect_.HasExtensionLength()) {
      size = extension_length_;
    } else if (dialect_.Has(abi::FUSE_SECURITY_CTX)) {
      size = payload_.left();
    }
    if (size > payload_.left()) return payload_.Fail(Fault::kBadExtension);
    if (size == 0) return;
    if (size_t bad; !CheckExtensions(payload_.Peek(size), &bad)) {
      payload_.Skip(bad);
      return payload_.Fail(Fault::kBadExtension);
    }
    extensions.bytes = payload_.Take(size);
  }

  // Whether everything was right, and is read.
  bool AtEnd() const {
    return fixed_.ok() && payload_.ok() && fixed_.left() == 0 &&
           payload_.left() == 0;
  }
  // Where not: the part that is wrong.
  const Cursor& Failed() {
    fixed_.End();
    payload_.End();
    return fixed_.ok() ? payload_ : fixed_;
  }

 private:
  Cursor fixed_;
  Cursor payload_;
  const Dialect& dialect_;
  const Operation& operation_;
  const size_t extension_length_;  // bytes, as the header says
};

// Leaves nothing decoded behind.
[[gnu::cold]] DecodeError Reject(Request* request, Fault fault, size_t offset) {
  request->operation.emplace<std::monostate>();
  return {fault, request->header.opcode, static_cast<uint32_t>(offset)};
}

[[gnu::cold]] DecodeError RejectShort(Request* request, size_t size) {
  request->header.opcode = 0;
  return Reject(request, Fault::kShortHeader, size);
}

// What both ways in share, behind the header's length: checks the rest of the
// header, and fills in the operation from where `cut` says that its parts are.
template <class Cut>
inline DecodeError DecodeParts(const Dialect& dialect, Request* request,
                               Cut cut) {
  const abi::fuse_in_header& header = request->header;
  const Operation* row = FindOperation(header.opcode);
  // Those that are never answered may have none: FORGET's was 0 before 5.4.
  if (header.unique == 0 && (row == nullptr || row->owed == Owed::kReply)) {
    return Reject(request, Fault::kZeroUnique,
                  offsetof(abi::fuse_in_header, unique));
  }
  if (row == nullptr) {
    return Reject(request, Fault::kUnknownOpcode,
                  offsetof(abi::fuse_in_header, opcode));
  }
  const Body body = cut(*row);
  Reader reader(body, dialect, *row, header);
  switch (header.opcode) {
#define BAREFUSE_CASE(CONSTANT, Type, ...)              \
  case abi::CONSTANT:                                   \
    Layout(reader, request->operation.emplace<Type>()); \
    break;
    BAREFUSE_OPERATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  if (reader.AtEnd()) [[likely]]
    return {};
  const Cursor& failed = reader.Failed();
  return Reject(request, failed.fault(), failed.offset());
}

}  // namespace

DecodeError DecodeRequest(const Message& message, const Dialect& dialect,
                          Request* request) {
  if (message.header.size() != sizeof(abi::fuse_in_header)) {
    return RejectShort(request, message.header.size());
  }
  std::memcpy(&request->header, message.header.data(),
              sizeof(abi::fuse_in_header));
  if (request->header.len != message.header.size() + message.operation.size() +
                                 message.payload.size()) {
    return Reject(request, Fault::kBadLength,
                  offsetof(abi::fuse_in_header, len));
  }
  return DecodeParts(dialect, request, [&](const Operation&) {
    return Body{message.operation, message.payload};
  });
}

DecodeError DecodeRequest(Bytes bytes, const Dialect& dialect,
                          Request* request) {
  constexpr size_t kHeaderSize = sizeof(abi::fuse_in_header);
  abi::fuse_in_header& header = request->header;
  if (bytes.size() < kHeaderSize) {
    return RejectShort(request, bytes.size());
  }
  std::memcpy(&header, bytes.data(), kHeaderSize);
  if (header.len != bytes.size()) [[unlikely]] {
    // The other byte order has the length swapped as well.
    const bool swapped = header.opcode == abi::FUSE_INIT_BSWAP_RESERVED ||
                         header.opcode == abi::CUSE_INIT_BSWAP_RESERVED;
    return swapped ? Reject(request, Fault::kByteSwapped,
                            offsetof(abi::fuse_in_header, opcode))
                   : Reject(request, Fault::kBadLength,
                            offsetof(abi::fuse_in_header, len));
  }
  return DecodeParts(dialect, request, [&](const Operation& operation) {
    const Bytes body = bytes.subspan(kHeaderSize);
    if (operation.payload == Payload::kNone) return Body{body, {}};
    const size_t fixed = std::min(body.size(), dialect.FixedSize(operation));
    return Body{body.first(fixed), body.subspan(fixed)};
  });
}

}  // namespace barefuse::proto
