#include "server/dispatch.h"

#include <cerrno>
#include <concepts>

#include "absl/strings/str_cat.h"
#include "proto/decode_request.h"
#include "proto/describe.h"

namespace barefuse {
namespace {

using proto::Fault;

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

void LogRequest(const Slot& slot, const Connection& connection) {
  char line[512];
  connection.Log(LogLevel::kDebug, proto::DescribeRequest(slot.request, line));
}

// The requests that are the core's own. Those without a reply answer nothing.
void ServeCore(FileSystem& fs, Slot& slot, const proto::Forget& op) {
  fs.Forget(slot.request.header.nodeid, op.nlookup);
}
void ServeCore(FileSystem& fs, Slot&, const proto::BatchForget& op) {
  for (size_t i = 0; i < op.items.size(); ++i) {
    abi::fuse_forget_one item = op.items[i];
    fs.Forget(item.nodeid, item.nlookup);
  }
}
// Never answered: EAGAIN would have it sent again, which parking does without,
// and ENOSYS would turn interrupts off.
void ServeCore(FileSystem&, Slot& slot, const proto::Interrupt& op) {
  slot.pool->connection().interrupts().Interrupt(op.victim);
}
void ServeCore(FileSystem&, Slot& slot, const proto::NotifyReply& op) {
  slot.pool->connection().notifier()->OnReply(slot.request.header.unique, op);
}
// The session has had its INIT.
void ServeCore(FileSystem&, Slot& slot, const proto::Init&) {
  internal::CoreReply(slot).Error(EIO);
}
// Of a character device's session, which this is not.
void ServeCore(FileSystem&, Slot& slot, const proto::CuseInit&) {
  internal::CoreReply(slot).Error(ENOSYS);
}
void ServeCore(FileSystem& fs, Slot& slot, const proto::Destroy&) {
  fs.Destroy();
  EmptyReply(slot).Ok();
}

template <class Op>
concept CoreOperation = requires(FileSystem& fs, Slot& slot, const Op& op) {
  ServeCore(fs, slot, op);
};

// `call` hands request and reply to the function of the filesystem that the
// table names; it is compiled only for operations that are not the core's.
template <class Op, class Call>
void Serve(FileSystem& fs, Slot& slot, Call call) {
  const Op& op = *std::get_if<Op>(&slot.request.operation);
  if constexpr (CoreOperation<Op>) {
    ServeCore(fs, slot, op);
  } else {
    call(fs, Request<Op>(slot), ReplyTo<Op>(slot));
  }
}

// What the core does of its own operations, beside answering, is to call these.
constexpr std::string_view CoreCallback(uint32_t opcode) {
  switch (opcode) {
    case abi::FUSE_INIT:
      return "Init";
    case abi::FUSE_FORGET:
    case abi::FUSE_BATCH_FORGET:
      return "Forget";
    case abi::FUSE_DESTROY:
      return "Destroy";
  }
  return "";
}

}  // namespace

std::string_view CallbackOf(uint32_t opcode) {
  switch (opcode) {
#define BAREFUSE_CASE(CONSTANT, Type, ...)                   \
  case abi::CONSTANT:                                        \
    return CoreOperation<proto::Type> ? CoreCallback(opcode) \
                                      : std::string_view(#Type);
    BAREFUSE_OPERATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  return "";
}

void CallFileSystem(FileSystem& file_system, Slot* slot) {
  switch (slot->request.header.opcode) {
#define BAREFUSE_CASE(CONSTANT, Type, ...)                             \
  case abi::CONSTANT:                                                  \
    Serve<proto::Type>(file_system, *slot,                             \
                       [](auto& fs, const auto& request, auto reply) { \
                         fs.Type(request, std::move(reply));           \
                       });                                             \
    break;
    BAREFUSE_OPERATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
}

Dispatcher::Dispatcher(std::shared_ptr<FileSystem> file_system,
                       std::shared_ptr<Offload> offload)
    : file_system_(std::move(file_system)), offload_(std::move(offload)) {
  for (const proto::Operation& operation : proto::kOperations) {
    may_block_[proto::OperationIndex(operation.opcode)] =
        offload_ != nullptr && !operation.name.empty() &&
        file_system_->ExecutionOf(operation.opcode) == Execution::kBlocking;
  }
}

Dispatcher::Outcome Dispatcher::Dispatch(Slot* slot, proto::Bytes bytes,
                                         Offload* all) {
  SlotPool& pool = *slot->pool;
  Connection& connection = pool.connection();
  slot->message_size = bytes.size();
  slot->may_block = false;
  proto::DecodeError error =
      proto::DecodeRequest(bytes, connection.dialect(), &slot->request);
  if (!error.ok()) return Reject(slot, error);

  const uint32_t opcode = slot->request.header.opcode;
  const size_t place = proto::OperationIndex(opcode);
  pool.counters().operations[place].requests.Add(1);
  pool.SetServing(opcode);
  if (connection.debug()) LogRequest(*slot, connection);
  slot->state.store(Slot::State::kHandling, std::memory_order_relaxed);
  if (proto::kOperations[place].owed != proto::Owed::kReply) {
    CallFileSystem(*file_system_, slot);
    return Outcome::kDone;
  }
  // From here on the slot may be answered, and used again, before the call
  // returns.
  connection.interrupts().Begin(slot);
  Offload* offload = may_block_[place] ? offload_.get() : all;
  if (offload != nullptr && opcode != abi::FUSE_DESTROY &&
      offload->Take(slot)) {
    return Outcome::kOwed;
  }
  if (all != nullptr && opcode != abi::FUSE_DESTROY) {
    // No thread is to be had, and this one is needed for others.
    internal::CoreReply(*slot).Error(EAGAIN);
  } else {
    CallFileSystem(*file_system_, slot);
  }
  return Outcome::kOwed;
}

// A malformed body is the request's fault and gets EIO; ENOSYS is for what
// does not exist, since the kernel stops sending what got ENOSYS. A header that
// lies leaves nobody to answer.
Dispatcher::Outcome Dispatcher::Reject(Slot* slot,
                                       const proto::DecodeError& error) {
  SlotPool& pool = *slot->pool;
  WorkerCounters& counters = pool.counters();
  pool.connection().Log(
      LogLevel::kWarning,
      absl::StrCat(ToAbsl(proto::OperationName(error.opcode)), " (opcode ",
                   error.opcode, "): ", ToAbsl(proto::FaultText(error.fault)),
                   ", at byte ", error.offset));
  const proto::Operation* operation = proto::FindOperation(error.opcode);
  if (!error.answerable() ||
      (operation != nullptr && operation->owed != proto::Owed::kReply)) {
    counters.dropped_messages.Add(1);
    return Outcome::kDone;
  }
  const bool unknown = error.fault == Fault::kUnknownOpcode;
  (unknown ? counters.unknown : counters.malformed).Add(1);
  slot->state.store(Slot::State::kHandling, std::memory_order_relaxed);
  internal::CoreReply(*slot).Error(unknown ? ENOSYS : EIO);
  return Outcome::kOwed;
}

}  // namespace barefuse
