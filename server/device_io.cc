#include "server/device_io.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "proto/decode_reply.h"
#include "proto/describe.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

// What was made of the answer by a reader of replies, who sees faults of ours.
void LogReply(const Slot& slot, const Connection& connection) {
  proto::ReplyMessage reply;
  proto::DecodeError error = proto::DecodeReply(
      slot.head.bytes(), slot.data, proto::WhatIsAsked(slot.request),
      connection.dialect(), &reply);
  char line[512];
  connection.Log(LogLevel::kDebug,
                 proto::DescribeReply(slot.request.header.opcode, reply, line));
  if (!error.ok()) {
    const std::string_view fault = proto::FaultText(error.fault);
    connection.Log(LogLevel::kError,
                   absl::StrCat("the reply to request ", reply.header.unique,
                                " is malformed: ",
                                absl::string_view(fault.data(), fault.size())));
  }
}

void CountReply(const Slot& slot) {
  const uint32_t opcode = slot.request.header.opcode;
  WorkerCounters& counters = slot.pool->counters();
  if (slot.head.header().error != 0) {
    counters.operations[proto::OperationIndex(opcode)].errors.Add(1);
  } else if (opcode == abi::FUSE_READ) {
    counters.read_bytes.Add(slot.data.size());
  } else if (const auto* write =
                 std::get_if<proto::Write>(&slot.request.operation)) {
    counters.written_bytes.Add(write->size);
  }
}

}  // namespace

std::string_view TransportText(TransportKind kind) {
  switch (kind) {
    case TransportKind::kAuto:
      return "auto";
    case TransportKind::kDevUring:
      return "dev-uring";
    case TransportKind::kDev:
      return "dev";
    case TransportKind::kSocket:
      return "socket";
  }
  return "?";
}

std::string_view StopKindText(StopReason::Kind kind) {
  switch (kind) {
    case StopReason::Kind::kStopped:
      return "stopped";
    case StopReason::Kind::kUnmounted:
      return "unmounted";
    case StopReason::Kind::kAborted:
      return "aborted";
    case StopReason::Kind::kFailed:
      return "failed";
  }
  return "?";
}

void NoteRequest(const Connection& connection, proto::Bytes message) {
  connection.Tap(Direction::kFromKernel, message, {});
}

void NoteReply(Slot* slot) {
  const Connection& connection = slot->pool->connection();
  CountReply(*slot);
  if (connection.debug()) LogReply(*slot, connection);
  connection.Tap(Direction::kToKernel, slot->head.bytes(), slot->data);
  auto part = [](std::span<const std::byte> bytes) {
    return iovec{const_cast<std::byte*>(bytes.data()), bytes.size()};
  };
  slot->parts[0] = part(slot->head.bytes());
  slot->parts[1] = part(slot->data);
}

bool AnswerRefusal(Slot* slot, int error) {
  // The kernel does not wait for these: it may have unmounted meanwhile.
  const uint32_t opcode = slot->request.header.opcode;
  if (error == ENOENT &&
      (opcode == abi::FUSE_RELEASE || opcode == abi::FUSE_RELEASEDIR)) {
    return false;
  }
  slot->pool->counters().refused_replies.Add(1);
  // The other end is gone, which reading will tell.
  if (error == EPIPE || error == ECONNRESET || error == ENODEV) return false;
  slot->pool->connection().Log(
      LogLevel::kWarning,
      absl::StrCat("the kernel refused the reply to request ",
                   slot->request.header.unique, " (opcode ", opcode,
                   "): ", std::strerror(error)));
  // ENOENT means that nobody waits any more. A socket has its own word for a
  // message that it does not take.
  if ((error != EINVAL && error != EMSGSIZE) || slot->refused) return false;
  slot->refused = true;
  slot->data = {};
  slot->head.FinishError(slot->request.header.unique, EIO);
  slot->parts[0].iov_len = slot->head.bytes().size();  // data is sent no more
  return true;
}

std::optional<StopReason> ReadErrors::Judge(int error,
                                            const Connection& connection) {
  constexpr int kMostFailures = 100;
  constexpr int kAborts = 16;
  switch (error) {
    case EAGAIN:     // another worker was faster
    case EINTR:      // a signal
    case ENOENT:     // the request was taken back before it was read
    case ECANCELED:  // by the transport itself
      return std::nullopt;
    case ENODEV:
      return StopReason{StopReason::Kind::kUnmounted, ""};
    case ECONNABORTED:
      // Also what a read gets that has taken a request while an unmount was
      // ending the connection (fuse_dev_do_read). The next reads tell.
      if (++aborts_ < kAborts) return std::nullopt;
      return StopReason{StopReason::Kind::kAborted, ""};
    case ENOMEM:
    case EFAULT:
      // No page was to be had for the request, which the kernel has answered
      // with an error. The next may have better luck.
      if (++failures_ < kMostFailures) {
        connection.Log(LogLevel::kWarning, "no memory to read a request into");
        return std::nullopt;
      }
      break;
    default:
      break;
  }
  return Failure(error, "cannot read from the FUSE device");
}

StopReason Failure(int error, std::string_view what) {
  return {StopReason::Kind::kFailed,
          std::string(ErrnoStatus(error, what).message())};
}

}  // namespace barefuse
