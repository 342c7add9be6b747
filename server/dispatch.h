// From the bytes of a request to the filesystem's function.
#ifndef BAREFUSE_SERVER_DISPATCH_H_
#define BAREFUSE_SERVER_DISPATCH_H_

#include <array>
#include <memory>
#include <string_view>

#include "proto/message.h"
#include "server/file_system.h"
#include "server/offload.h"
#include "server/slot.h"

namespace barefuse {

// The function of FileSystem that serves an operation ("Lookup"), or nothing
// where the core serves it itself.
std::string_view CallbackOf(uint32_t opcode);

// Calls the filesystem's function for a decoded request.
void CallFileSystem(FileSystem& file_system, Slot* slot);

// Decodes one message into its slot and calls the filesystem. Any number of
// threads, each with slots of its own.
class Dispatcher {
 public:
  // Operations that may block are handed to `offload`, if there is one.
  explicit Dispatcher(std::shared_ptr<FileSystem> file_system,
                      std::shared_ptr<Offload> offload = nullptr);

  enum class Outcome {
    kOwed,  // the slot is with a handler, or finished already
    kDone,  // no reply is owed: the slot is free
  };

  // `bytes` is one message in slot->request_buffer, slot->state kReading.
  Outcome Dispatch(Slot* slot, proto::Bytes bytes) {
    return Dispatch(slot, bytes, nullptr);
  }
  // The same, but every request that is owed a reply is handed to `all`, or
  // answered EAGAIN where that has no thread; but for DESTROY, the kernel's
  // goodbye, which must not wait for others.
  Outcome Dispatch(Slot* slot, proto::Bytes bytes, Offload* all);

 private:
  Outcome Reject(Slot* slot, const proto::DecodeError& error);

  const std::shared_ptr<FileSystem> file_system_;
  const std::shared_ptr<Offload> offload_;
  std::array<bool, proto::kOperationSlots> may_block_{};
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_DISPATCH_H_
