// Notifications: what the server tells the kernel unasked. On the wire they are
// replies with unique 0 whose error field is the notification's code.
#ifndef BAREFUSE_PROTO_NOTIFICATIONS_H_
#define BAREFUSE_PROTO_NOTIFICATIONS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "kernel_abi/fuse.h"
#include "proto/dialect.h"
#include "proto/error.h"
#include "proto/requests.h"

namespace barefuse::proto {

// CONSTANT the code
// Type     the struct below
// since    the first minor version that has it
// clang-format off
#define BAREFUSE_NOTIFICATIONS(X)                          \
  X(FUSE_NOTIFY_POLL,        NotifyPoll,       11)         \
  X(FUSE_NOTIFY_INVAL_INODE, NotifyInvalInode, 12)         \
  X(FUSE_NOTIFY_INVAL_ENTRY, NotifyInvalEntry, 12)         \
  X(FUSE_NOTIFY_STORE,       NotifyStore,      15)         \
  X(FUSE_NOTIFY_RETRIEVE,    NotifyRetrieve,   15)         \
  X(FUSE_NOTIFY_DELETE,      NotifyDelete,     18)         \
  X(FUSE_NOTIFY_RESEND,      NotifyResend,     40)         \
  X(FUSE_NOTIFY_INC_EPOCH,   NotifyIncEpoch,   44)         \
  X(FUSE_NOTIFY_PRUNE,       NotifyPrune,      45)
// clang-format on

// A file that was polled has become ready.
struct NotifyPoll : abi::fuse_notify_poll_wakeup_out {};
// The attributes of an inode have changed, and its data from off on, len bytes
// (0: to the end). A negative off leaves the data alone.
struct NotifyInvalInode : abi::fuse_notify_inval_inode_out {};
// A name has changed its meaning. With FUSE_EXPIRE_ONLY in flags it is looked
// up again, without it is dropped.
struct NotifyInvalEntry {
  uint64_t parent = 0;
  uint32_t flags = 0;
  std::string_view name;
};
// Data for the page cache.
struct NotifyStore {
  uint64_t nodeid = 0;
  uint64_t offset = 0;
  Bytes data;
};
// Asks for data of the page cache, which comes as NOTIFY_REPLY.
struct NotifyRetrieve : abi::fuse_notify_retrieve_out {};
// A name is gone that was the inode `child`.
struct NotifyDelete {
  uint64_t parent = 0;
  uint64_t child = 0;
  std::string_view name;
};
// Asks for all requests again that have no reply yet.
struct NotifyResend {};
// All names that are cached by now are to be looked up again.
struct NotifyIncEpoch {};
// Inodes that the kernel need not remember.
struct NotifyPrune {
  WireArray<uint64_t> nodeids;
};

// The first alternative stands for "nothing decoded".
#define BAREFUSE_COMMA_TYPE(CONSTANT, Type, since) Type,
using AnyNotification = internal::OperationVariant<BAREFUSE_NOTIFICATIONS(
    BAREFUSE_COMMA_TYPE) internal::EndOfList>;
#undef BAREFUSE_COMMA_TYPE

// The code of a type; 0 for what stands for nothing.
template <class T>
inline constexpr uint32_t NotificationCode = 0;
#define BAREFUSE_CODE(CONSTANT, Type, since) \
  template <>                                \
  inline constexpr uint32_t NotificationCode<Type> = abi::CONSTANT;
BAREFUSE_NOTIFICATIONS(BAREFUSE_CODE)
#undef BAREFUSE_CODE

// "POLL", or "?" for a code that does not exist.
std::string_view NotificationName(uint32_t code);
// The first minor that has the notification, 0 for a code that does not exist.
uint32_t NotificationSince(uint32_t code);

// Whether a message from the server is a notification rather than a reply.
bool IsNotification(Bytes message);

// The kernel's side. Total, like DecodeRequest.
DecodeError DecodeNotification(Bytes message, const Dialect& dialect,
                               AnyNotification* notification);

// The server's side. Sizes and counts are those of names and data.
Encoded EncodeNotification(const AnyNotification& notification,
                           const Dialect& dialect, std::span<std::byte> buffer);

// The same up to the data of NotifyStore and the node ids of NotifyPrune, which
// the header counts and which are to be sent behind it. kNotificationHeadMax
// bytes are enough for any.
inline constexpr size_t kNotificationHeadMax =
    sizeof(abi::fuse_out_header) + sizeof(abi::fuse_notify_retrieve_out) +
    kLongNameMax + 1;
Encoded EncodeNotificationHead(const AnyNotification& notification,
                               const Dialect& dialect,
                               std::span<std::byte> buffer);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_NOTIFICATIONS_H_
