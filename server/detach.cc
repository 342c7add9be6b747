#include "server/detach.h"

#include <cstring>

#include "proto/decode_request.h"

namespace barefuse {

Slot* Connection::TakeParked() {
  absl::MutexLock lock(&mutex_);
  Slot* slot = parking_ == nullptr ? nullptr : parking_->TakeFree();
  // Before the pool can be closed, which leaves such a slot to its owner.
  if (slot != nullptr) {
    slot->state.store(Slot::State::kHandling, std::memory_order_release);
  }
  return slot;
}

Slot* Detach(Slot* slot) {
  if (slot->parked) return slot;
  Connection& connection = slot->pool->connection();
  // A reply goes out where the request came in.
  std::shared_ptr<const Device> origin = slot->pool->device();
  if (origin == nullptr) return nullptr;
  Slot* parked = connection.TakeParked();
  if (parked == nullptr) return nullptr;
  parked->parked = true;
  parked->origin = origin;
  parked->message_size = slot->message_size;
  std::memcpy(parked->request_buffer.data(), slot->request_buffer.data(),
              slot->message_size);
  // What could be decoded once can be again.
  proto::DecodeRequest(
      proto::Bytes(parked->request_buffer.first(parked->message_size)),
      connection.dialect(), &parked->request)
      .ok();
  connection.interrupts().Move(slot, parked);
  connection.CountDetached();
  slot->moved = true;
  slot->pool->Finish(slot);
  return parked;
}

}  // namespace barefuse
