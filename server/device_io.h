// What the transports that read and write /dev/fuse have in common: what is
// counted and shown of a message, and what the device's errors mean.
#ifndef BAREFUSE_SERVER_DEVICE_IO_H_
#define BAREFUSE_SERVER_DEVICE_IO_H_

#include <optional>
#include <string_view>

#include "proto/requests.h"
#include "server/connection.h"
#include "server/slot.h"
#include "server/transport.h"

namespace barefuse {

// A request has been read.
void NoteRequest(const Connection& connection, proto::Bytes message);

// The reply in `slot` is about to be sent; its parts are where writev(2) takes
// them from. Once for each reply.
void NoteReply(Slot* slot);

// How many of slot->parts there are.
inline unsigned PartsOf(const Slot& slot) { return slot.data.empty() ? 1 : 2; }

// The kernel refused the reply in `slot` with `error`. True where the slot has
// another one to send now: a reply that was malformed leaves its request
// waiting, which an EIO ends.
bool AnswerRefusal(Slot* slot, int error);

// Judges the errors of reading the device, in the order in which they come.
class ReadErrors {
 public:
  // The end of the session, or nothing where reading goes on.
  std::optional<StopReason> Judge(int error, const Connection& connection);
  // Something was read.
  void Clear() { failures_ = aborts_ = 0; }

 private:
  // In a row.
  int failures_ = 0;
  int aborts_ = 0;
};

// "WHAT: error" as a reason.
StopReason Failure(int error, std::string_view what);

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_DEVICE_IO_H_
