#include "server/detach.h"

#include <cstring>

#include "proto/decode_request.h"

namespace barefuse {

// All of it under the lock: before the pool can be closed, which leaves slots
// that are kHandling, and nothing else, to their owners.
Slot* Connection::Park(absl::FunctionRef<void(Slot*)> fill) {
  absl::MutexLock lock(&mutex_);
  Slot* slot = parking_ == nullptr ? nullptr : parking_->TakeFree();
  if (slot == nullptr) return nullptr;
  fill(slot);
  slot->state.store(Slot::State::kHandling, std::memory_order_release);
  return slot;
}

Slot* Detach(Slot* slot) {
  if (slot->parked) {
    const bool ended =
        slot->state.load(std::memory_order_acquire) == Slot::State::kOrphaned;
    return ended ? nullptr : slot;
  }
  Connection& connection = slot->pool->connection();
  // A reply goes out where the request came in.
  const std::shared_ptr<const Device> origin = slot->pool->device();
  if (origin == nullptr) return nullptr;
  Slot* parked = connection.Park([&](Slot* to) {
    to->parked = true;
    to->origin = origin;
    to->message_size = slot->message_size;
    std::memcpy(to->request_buffer.data(), slot->request_buffer.data(),
                slot->message_size);
    // What could be decoded once can be again.
    proto::DecodeRequest(
        proto::Bytes(to->request_buffer.first(to->message_size)),
        connection.dialect(), &to->request)
        .ok();
  });
  if (parked == nullptr) return nullptr;
  connection.interrupts().Move(slot, parked);
  connection.CountDetached();
  slot->moved = true;
  slot->pool->Finish(slot);
  return parked;
}

}  // namespace barefuse
