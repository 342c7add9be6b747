#include "proto/notifications.h"

#include <cstring>

#include "proto/cursor.h"
#include "proto/writer.h"

namespace barefuse::proto {
namespace {

constexpr size_t kHeaderSize = sizeof(abi::fuse_out_header);

// The two directions of each shape, side by side. What DataOf gives goes on
// behind what WriteBody writes.

template <class T>
Bytes DataOf(const T&) {
  return {};
}
Bytes DataOf(const NotifyStore& n) { return n.data; }
Bytes DataOf(const NotifyPrune& n) {
  return n.nodeids.bytes().first(n.nodeids.size() * sizeof(uint64_t));
}

void ReadBody(Cursor& in, const Dialect&, NotifyPoll& n) {
  in.Struct<abi::fuse_notify_poll_wakeup_out>(&n);
}
void WriteBody(Writer& out, const Dialect&, const NotifyPoll& n) {
  out.Struct<abi::fuse_notify_poll_wakeup_out>(n);
}

void ReadBody(Cursor& in, const Dialect&, NotifyInvalInode& n) {
  in.Struct<abi::fuse_notify_inval_inode_out>(&n);
}
void WriteBody(Writer& out, const Dialect&, const NotifyInvalInode& n) {
  out.Struct<abi::fuse_notify_inval_inode_out>(n);
}

// A name whose length the struct says, and its NUL.
std::string_view ReadName(Cursor& in, const Dialect& dialect, uint32_t length) {
  const std::string_view name = in.Name(dialect.name_max);
  if (in.ok() && name.size() != length) in.Fail(Fault::kCountTooLarge);
  return name;
}

void ReadBody(Cursor& in, const Dialect& dialect, NotifyInvalEntry& n) {
  abi::fuse_notify_inval_entry_out wire;
  in.Struct(&wire);
  n = {wire.parent, wire.flags, ReadName(in, dialect, wire.namelen)};
}
void WriteBody(Writer& out, const Dialect& dialect, const NotifyInvalEntry& n) {
  out.Struct(abi::fuse_notify_inval_entry_out{
      n.parent, static_cast<uint32_t>(n.name.size()), n.flags});
  out.Name(n.name, dialect.name_max);
}

void ReadBody(Cursor& in, const Dialect&, NotifyStore& n) {
  abi::fuse_notify_store_out wire;
  in.Struct(&wire);
  n = {wire.nodeid, wire.offset, in.Take(wire.size)};
}
void WriteBody(Writer& out, const Dialect&, const NotifyStore& n) {
  out.Struct(abi::fuse_notify_store_out{
      n.nodeid, n.offset, static_cast<uint32_t>(n.data.size()), 0});
}

void ReadBody(Cursor& in, const Dialect&, NotifyRetrieve& n) {
  in.Struct<abi::fuse_notify_retrieve_out>(&n);
}
void WriteBody(Writer& out, const Dialect&, const NotifyRetrieve& n) {
  out.Struct<abi::fuse_notify_retrieve_out>(n);
}

void ReadBody(Cursor& in, const Dialect& dialect, NotifyDelete& n) {
  abi::fuse_notify_delete_out wire;
  in.Struct(&wire);
  n = {wire.parent, wire.child, ReadName(in, dialect, wire.namelen)};
}
void WriteBody(Writer& out, const Dialect& dialect, const NotifyDelete& n) {
  out.Struct(abi::fuse_notify_delete_out{
      n.parent, n.child, static_cast<uint32_t>(n.name.size()), 0});
  out.Name(n.name, dialect.name_max);
}

void ReadBody(Cursor&, const Dialect&, NotifyResend&) {}
void WriteBody(Writer&, const Dialect&, const NotifyResend&) {}
void ReadBody(Cursor&, const Dialect&, NotifyIncEpoch&) {}
void WriteBody(Writer&, const Dialect&, const NotifyIncEpoch&) {}

void ReadBody(Cursor& in, const Dialect&, NotifyPrune& n) {
  abi::fuse_notify_prune_out wire;
  in.Struct(&wire);
  n.nodeids = WireArray<uint64_t>(in.Take(uint64_t{wire.count} * 8));
}
void WriteBody(Writer& out, const Dialect&, const NotifyPrune& n) {
  out.Struct(abi::fuse_notify_prune_out{static_cast<uint32_t>(n.nodeids.size()),
                                        0, 0});
}

}  // namespace

std::string_view NotificationName(uint32_t code) {
  constexpr size_t kPrefix = sizeof("FUSE_NOTIFY_") - 1;
  switch (code) {
#define BAREFUSE_CASE(CONSTANT, Type, since) \
  case abi::CONSTANT:                        \
    return &#CONSTANT[kPrefix];
    BAREFUSE_NOTIFICATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  return "?";
}

uint32_t NotificationSince(uint32_t code) {
  switch (code) {
#define BAREFUSE_CASE(CONSTANT, Type, since) \
  case abi::CONSTANT:                        \
    return since;
    BAREFUSE_NOTIFICATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  return 0;
}

bool IsNotification(Bytes message) {
  abi::fuse_out_header header;
  if (message.size() < sizeof header) return false;
  std::memcpy(&header, message.data(), sizeof header);
  return header.unique == 0 && header.error > 0;
}

DecodeError DecodeNotification(Bytes message, const Dialect& dialect,
                               AnyNotification* notification) {
  notification->emplace<std::monostate>();
  if (message.size() < kHeaderSize) {
    return {Fault::kShortHeader, 0, static_cast<uint32_t>(message.size())};
  }
  abi::fuse_out_header header;
  std::memcpy(&header, message.data(), kHeaderSize);
  const auto code = static_cast<uint32_t>(header.error);
  if (header.len != message.size()) {
    return {Fault::kBadLength, code, offsetof(abi::fuse_out_header, len)};
  }
  if (header.unique != 0 || NotificationSince(code) == 0) {
    return {Fault::kUnknownNotification, code,
            offsetof(abi::fuse_out_header, error)};
  }
  Cursor in(message.subspan(kHeaderSize), kHeaderSize);
  switch (code) {
#define BAREFUSE_CASE(CONSTANT, Type, since)              \
  case abi::CONSTANT:                                     \
    ReadBody(in, dialect, notification->emplace<Type>()); \
    break;
    BAREFUSE_NOTIFICATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  in.End();
  if (in.ok()) return {};
  notification->emplace<std::monostate>();
  return {in.fault(), code, in.offset()};
}

namespace {

// `data_apart`: what DataOf gives is counted, and not written.
Encoded Encode(const AnyNotification& notification, const Dialect& dialect,
               bool data_apart, std::span<std::byte> buffer) {
  Writer out(buffer);
  out.Skip(kHeaderSize);
  abi::fuse_out_header header{};
  std::visit(
      [&](const auto& n) {
        using Type = std::decay_t<decltype(n)>;
        header.error = static_cast<int32_t>(NotificationCode<Type>);
        if constexpr (NotificationCode<Type> != 0) {
          WriteBody(out, dialect, n);
          if (data_apart) {
            header.len = static_cast<uint32_t>(DataOf(n).size());
          } else {
            out.Raw(DataOf(n));
          }
        } else {
          out.Fail(Fault::kUnknownNotification);
        }
      },
      notification);
  header.len += static_cast<uint32_t>(out.size());
  out.At(0, &header, sizeof header);
  return out.result();
}

}  // namespace

Encoded EncodeNotification(const AnyNotification& notification,
                           const Dialect& dialect,
                           std::span<std::byte> buffer) {
  return Encode(notification, dialect, false, buffer);
}

Encoded EncodeNotificationHead(const AnyNotification& notification,
                               const Dialect& dialect,
                               std::span<std::byte> buffer) {
  return Encode(notification, dialect, true, buffer);
}

}  // namespace barefuse::proto
