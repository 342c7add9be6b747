#include "proto/decode_request.h"

#include <cstring>

#include "proto/cursor.h"
#include "proto/extensions.h"
#include "proto/request_layout.h"

namespace barefuse::proto {
namespace {

// Fills requests from the fixed struct and the payload, each with a cursor of
// its own, since a ring delivers them apart.
class Reader {
 public:
  Reader(const Message& message, const Dialect& dialect,
         const Operation& operation, const abi::fuse_in_header& header)
      : fixed_(message.operation, sizeof header),
        payload_(message.payload, sizeof header + message.operation.size()),
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
    size_t size = extension_length_;
    if (size == 0 && !dialect_.HasExtensionLength() &&
        dialect_.Has(abi::FUSE_SECURITY_CTX)) {
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

  DecodeError End() {
    fixed_.End();
    payload_.End();
    const Cursor& failed = fixed_.ok() ? payload_ : fixed_;
    if (failed.ok()) return {};
    return {failed.fault(), operation_.opcode, failed.offset()};
  }

 private:
  Cursor fixed_;
  Cursor payload_;
  const Dialect& dialect_;
  const Operation& operation_;
  const size_t extension_length_;  // bytes, as the header says
};

}  // namespace

DecodeError DecodeRequest(const Message& message, const Dialect& dialect,
                          Request* request) {
  request->operation.emplace<std::monostate>();
  if (message.header.size() != sizeof(abi::fuse_in_header)) {
    return {Fault::kShortHeader, 0,
            static_cast<uint32_t>(message.header.size())};
  }
  abi::fuse_in_header& header = request->header;
  std::memcpy(&header, message.header.data(), sizeof header);
  const Operation* row = FindOperation(header.opcode);
  // Those that are never answered may have none: FORGET's was 0 before 5.4.
  if (header.unique == 0 && (row == nullptr || row->owed == Owed::kReply)) {
    return {Fault::kZeroUnique, header.opcode,
            offsetof(abi::fuse_in_header, unique)};
  }
  if (row == nullptr) {
    return {Fault::kUnknownOpcode, header.opcode,
            offsetof(abi::fuse_in_header, opcode)};
  }
  Reader reader(message, dialect, *row, header);
  switch (header.opcode) {
#define BAREFUSE_CASE(CONSTANT, Type, ...)              \
  case abi::CONSTANT:                                   \
    Layout(reader, request->operation.emplace<Type>()); \
    break;
    BAREFUSE_OPERATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  DecodeError error = reader.End();
  if (!error.ok()) request->operation.emplace<std::monostate>();
  return error;
}

DecodeError DecodeRequest(Bytes bytes, const Dialect& dialect,
                          Request* request) {
  Message message;
  if (DecodeError error = CutMessage(bytes, dialect, &message); !error.ok()) {
    request->operation.emplace<std::monostate>();
    return error;
  }
  return DecodeRequest(message, dialect, request);
}

}  // namespace barefuse::proto
