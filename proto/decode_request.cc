#include "proto/decode_request.h"

#include <cstring>

#include "proto/cursor.h"

namespace barefuse::proto {
namespace {

// What the decode functions below read from: the fixed struct and the payload,
// each with its own cursor, since a ring delivers them apart.
struct Body {
  Body(const Message& message, const Dialect& d, const Operation& op,
       const abi::fuse_in_header& h)
      : fixed(message.operation, sizeof(abi::fuse_in_header)),
        payload(message.payload,
                sizeof(abi::fuse_in_header) + message.operation.size()),
        dialect(d),
        operation(op),
        header(h) {}

  std::string_view Name() { return payload.Name(dialect.name_max); }

  Cursor fixed;
  Cursor payload;
  const Dialect& dialect;
  const Operation& operation;
  const abi::fuse_in_header& header;
};

// The fixed struct that `Op` inherits. Where nothing follows it, its size is
// the body's; otherwise the dialect's.
template <class Fixed>
void ReadFixed(Body& body, Fixed* fixed) {
  const Operation& operation = body.operation;
  size_t size = body.fixed.left();
  if (operation.payload != Payload::kNone) {
    size = body.dialect.FixedSize(operation);
  } else if (!Dialect::IsWholeSize(operation, size)) {
    size = operation.fixed_size;  // too short or trailing, said below
  }
  static_assert(sizeof(Fixed) <= 128);
  body.fixed.Prefix(fixed, size);
}

// The bytes behind the names of a creating request. Before 7.38 the header has
// no total_extlen and a security context simply fills the rest.
Extensions ReadExtensions(Body& body) {
  size_t size = size_t{body.header.total_extlen} * 8;
  if (size == 0 && body.dialect.minor < 38 &&
      body.dialect.Has(abi::FUSE_SECURITY_CTX)) {
    size = body.payload.left();
  }
  if (size > body.payload.left()) {
    body.payload.Fail(Fault::kBadExtension);
    return {};
  }
  return {body.payload.Take(size)};
}

template <class Named>
void ReadCreation(Body& body, Named* request) {
  request->name = body.Name();
  request->extensions = ReadExtensions(body);
}

template <class Item>
WireArray<Item> ReadArray(Body& body, uint32_t count) {
  // 2^32 items of 16 bytes do not overflow 64 bits; Take compares.
  return WireArray<Item>(body.payload.Take(uint64_t{count} * sizeof(Item)));
}

// One function for each shape; one overload for each request that has a shape
// of its own. A request without one does not compile.
template <class Op, class Fixed>
concept Inherits = std::is_base_of_v<Fixed, Op>;

void Decode(Body& body, Lookup* op) { op->name = body.Name(); }
void Decode(Body& body, Unlink* op) { op->name = body.Name(); }
void Decode(Body& body, Rmdir* op) { op->name = body.Name(); }
void Decode(Body& body, Removexattr* op) {
  op->name = body.payload.CString(body.dialect.name_max);
  if (body.payload.ok() && op->name.empty()) {
    body.payload.Fail(Fault::kEmptyName);
  }
}
void Decode(Body&, Readlink*) {}
void Decode(Body&, Statfs*) {}
void Decode(Body&, Destroy*) {}

void Decode(Body& body, Forget* op) {
  ReadFixed<abi::fuse_forget_in>(body, op);
}
void Decode(Body& body, Getattr* op) {
  ReadFixed<abi::fuse_getattr_in>(body, op);
}
void Decode(Body& body, Setattr* op) {
  ReadFixed<abi::fuse_setattr_in>(body, op);
}
void Decode(Body& body, Symlink* op) {
  op->name = body.Name();
  op->target = body.payload.CString(kLongNameMax);
  op->extensions = ReadExtensions(body);
}
void Decode(Body& body, Mknod* op) {
  ReadFixed<abi::fuse_mknod_in>(body, op);
  ReadCreation(body, op);
}
void Decode(Body& body, Mkdir* op) {
  ReadFixed<abi::fuse_mkdir_in>(body, op);
  ReadCreation(body, op);
}
void Decode(Body& body, Rename* op) {
  ReadFixed<abi::fuse_rename_in>(body, op);
  op->old_name = body.Name();
  op->new_name = body.Name();
}
void Decode(Body& body, Rename2* op) {
  ReadFixed<abi::fuse_rename2_in>(body, op);
  op->old_name = body.Name();
  op->new_name = body.Name();
}
void Decode(Body& body, Link* op) {
  ReadFixed<abi::fuse_link_in>(body, op);
  op->name = body.Name();
}
template <Inherits<abi::fuse_open_in> Op>
void Decode(Body& body, Op* op) {
  ReadFixed<abi::fuse_open_in>(body, op);
}
template <Inherits<abi::fuse_read_in> Op>
void Decode(Body& body, Op* op) {
  ReadFixed<abi::fuse_read_in>(body, op);
}
void Decode(Body& body, Write* op) {
  ReadFixed<abi::fuse_write_in>(body, op);
  op->data = body.payload.Take(op->size);
}
template <Inherits<abi::fuse_release_in> Op>
void Decode(Body& body, Op* op) {
  ReadFixed<abi::fuse_release_in>(body, op);
}
template <Inherits<abi::fuse_fsync_in> Op>
void Decode(Body& body, Op* op) {
  ReadFixed<abi::fuse_fsync_in>(body, op);
}
// Names of attributes may contain slashes.
std::string_view ReadXattrName(Body& body) {
  std::string_view name = body.payload.CString(body.dialect.name_max);
  if (body.payload.ok() && name.empty()) body.payload.Fail(Fault::kEmptyName);
  return name;
}
void Decode(Body& body, Setxattr* op) {
  ReadFixed<abi::fuse_setxattr_in>(body, op);
  op->name = ReadXattrName(body);
  op->value = body.payload.Take(op->size);
}
void Decode(Body& body, Getxattr* op) {
  ReadFixed<abi::fuse_getxattr_in>(body, op);
  op->name = ReadXattrName(body);
}
void Decode(Body& body, Listxattr* op) {
  ReadFixed<abi::fuse_getxattr_in>(body, op);
}
void Decode(Body& body, Flush* op) { ReadFixed<abi::fuse_flush_in>(body, op); }
void Decode(Body& body, Init* op) {
  // Three generations: 8 bytes before 7.6, 16 before 7.36, 64 since. A kernel
  // of a later version may send more, which the protocol lets us ignore until
  // the version is agreed.
  size_t size = body.fixed.left();
  size_t known = size >= 64 ? 64 : size >= 16 ? 16 : 8;
  body.fixed.Prefix<abi::fuse_init_in>(op, known);
  body.fixed.Rest();
}
template <Inherits<abi::fuse_lk_in> Op>
void Decode(Body& body, Op* op) {
  ReadFixed<abi::fuse_lk_in>(body, op);
}
void Decode(Body& body, Access* op) {
  ReadFixed<abi::fuse_access_in>(body, op);
}
void Decode(Body& body, Create* op) {
  ReadFixed<abi::fuse_create_in>(body, op);
  ReadCreation(body, op);
}
void Decode(Body& body, Tmpfile* op) {
  // The kernel sends "/" where the file has no name.
  ReadFixed<abi::fuse_create_in>(body, op);
  op->name = body.payload.CString(body.dialect.name_max);
  op->extensions = ReadExtensions(body);
}
void Decode(Body& body, Interrupt* op) {
  abi::fuse_interrupt_in in{};
  ReadFixed(body, &in);
  op->victim = in.unique;
}
void Decode(Body& body, Bmap* op) { ReadFixed<abi::fuse_bmap_in>(body, op); }
void Decode(Body& body, Ioctl* op) {
  ReadFixed<abi::fuse_ioctl_in>(body, op);
  op->data = body.payload.Take(op->in_size);
}
void Decode(Body& body, Poll* op) { ReadFixed<abi::fuse_poll_in>(body, op); }
void Decode(Body& body, NotifyReply* op) {
  ReadFixed<abi::fuse_notify_retrieve_in>(body, op);
  op->data = body.payload.Take(op->size);
}
void Decode(Body& body, BatchForget* op) {
  ReadFixed<abi::fuse_batch_forget_in>(body, op);
  op->items = ReadArray<abi::fuse_forget_one>(body, op->count);
}
void Decode(Body& body, Fallocate* op) {
  ReadFixed<abi::fuse_fallocate_in>(body, op);
}
void Decode(Body& body, Lseek* op) { ReadFixed<abi::fuse_lseek_in>(body, op); }
template <Inherits<abi::fuse_copy_file_range_in> Op>
void Decode(Body& body, Op* op) {
  ReadFixed<abi::fuse_copy_file_range_in>(body, op);
}
void Decode(Body& body, Setupmapping* op) {
  ReadFixed<abi::fuse_setupmapping_in>(body, op);
}
void Decode(Body& body, Removemapping* op) {
  ReadFixed<abi::fuse_removemapping_in>(body, op);
  op->items = ReadArray<abi::fuse_removemapping_one>(body, op->count);
}
void Decode(Body& body, Syncfs* op) {
  ReadFixed<abi::fuse_syncfs_in>(body, op);
}
void Decode(Body& body, Statx* op) { ReadFixed<abi::fuse_statx_in>(body, op); }

template <class Op>
void DecodeAs(Body& body, AnyOperation* operation) {
  Decode(body, &operation->emplace<Op>());
  body.fixed.End();
  body.payload.End();
}

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
  // FORGET and BATCH_FORGET carry a unique that nobody answers; the kernel
  // gives them one all the same, or 0 before 5.4.
  const Operation* row = FindOperation(header.opcode);
  if (header.unique == 0 && (row == nullptr || row->owed == Owed::kReply)) {
    return {Fault::kZeroUnique, header.opcode,
            offsetof(abi::fuse_in_header, unique)};
  }
  if (row == nullptr) {
    return {Fault::kUnknownOpcode, header.opcode,
            offsetof(abi::fuse_in_header, opcode)};
  }
  Body body(message, dialect, *row, header);
  switch (header.opcode) {
#define BAREFUSE_CASE(NAME, Type, ...)         \
  case abi::FUSE_##NAME:                       \
    DecodeAs<Type>(body, &request->operation); \
    break;
    BAREFUSE_OPERATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  const Cursor& failed = body.fixed.ok() ? body.payload : body.fixed;
  if (failed.ok()) return {};
  request->operation.emplace<std::monostate>();
  return {failed.fault(), header.opcode, failed.offset()};
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
