// From the bytes of a request to the filesystem's function.
#ifndef BAREFUSE_SERVER_DISPATCH_H_
#define BAREFUSE_SERVER_DISPATCH_H_

#include <memory>
#include <string_view>

#include "proto/message.h"
#include "server/file_system.h"
#include "server/slot.h"

namespace barefuse {

// The function of FileSystem that serves an operation ("Lookup"), or nothing
// where the core serves it itself.
std::string_view CallbackOf(uint32_t opcode);

// Decodes one message into its slot and calls the filesystem. Any number of
// threads, each with slots of its own.
class Dispatcher {
 public:
  explicit Dispatcher(std::shared_ptr<FileSystem> file_system)
      : file_system_(std::move(file_system)) {}

  enum class Outcome {
    kOwed,  // the slot is with a handler, or finished already
    kDone,  // no reply is owed: the slot is free
  };

  // `bytes` is one message in slot->request_buffer, slot->state kReading.
  Outcome Dispatch(Slot* slot, proto::Bytes bytes);

 private:
  Outcome Reject(Slot* slot, const proto::DecodeError& error);

  std::shared_ptr<FileSystem> file_system_;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_DISPATCH_H_
