#include "server/poll_transport.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace barefuse {

StopReason PollTransport::Run(Dispatcher& dispatcher,
                              const std::atomic<bool>& stop) {
  for (;;) {
    SendFinished();
    if (reason_.has_value()) return *reason_;
    if (stop.load(std::memory_order_acquire)) {
      return {StopReason::Kind::kStopped, ""};
    }
    const Plan plan = NextWait(dispatcher, stop);
    if (plan.again) continue;
    const bool read = plan.read && unsent_ == nullptr;
    // The end shows also where nothing is wanted: it needs no slot.
    const short wanted = unsent_ != nullptr ? POLLOUT : read ? POLLIN : 0;
    pollfd events[] = {
        {device_->fd(), wanted, 0},
        {pool_->wake_fd(), POLLIN, 0},
    };
    if (poll(events, 2, plan.timeout) < 0) {
      if (errno == EINTR) continue;
      return Failure(errno, "cannot wait for requests");
    }
    if (events[1].revents != 0) {
      // What it is about is looked at on the way round.
      uint64_t count;
      [[maybe_unused]] ssize_t n =
          ::read(pool_->wake_fd(), &count, sizeof count);
    }
    if (events[0].revents == 0) continue;
    if (read) {
      ReadOne(dispatcher);
    } else if ((events[0].revents & (POLLERR | POLLHUP)) != 0) {
      ReadEnd();
    }
  }
}

PollTransport::Plan PollTransport::NextWait(Dispatcher& dispatcher,
                                            const std::atomic<bool>& stop) {
  // Without a free slot nothing is read until a reply frees one.
  const bool read = pool_->has_free() && unsent_ == nullptr;
  place_.attendance->Waits(place_.worker, read);
  if (read && busy_poll_.ShouldLook()) {
    const bool found = busy_poll_.Spin([&] {
      return ReadOne(dispatcher) || pool_->has_finished() ||
             reason_.has_value() || stop.load(std::memory_order_relaxed);
    });
    return {read, -1, found};
  }
  return {read, -1, false};
}

// Whether there was one. The descriptor is O_NONBLOCK: another worker may have
// been faster.
bool PollTransport::ReadOne(Dispatcher& dispatcher) {
  Slot* slot = pool_->TakeFree();
  if (slot == nullptr) return false;
  const ssize_t size = device_->ReadNow(slot->request_buffer);
  if (size < 0) {
    pool_->Free(slot);
    reason_ = read_errors_.Judge(static_cast<int>(-size), pool_->connection());
    return false;
  }
  read_errors_.Clear();
  busy_poll_.Served();
  const proto::Bytes message =
      slot->request_buffer.first(static_cast<size_t>(size));
  NoteRequest(pool_->connection(), message);
  if (Hand(dispatcher, slot, message) == Dispatcher::Outcome::kDone) {
    pool_->Free(slot);
  }
  return true;
}

// The connection has ended, and there is no slot to read that into. What a
// socket still holds is nothing that anybody could be told of.
void PollTransport::ReadEnd() {
  std::vector<std::byte> buffer(pool_->slot(0).request_buffer.size());
  const ssize_t size = device_->ReadNow(buffer);
  reason_ = read_errors_.Judge(size < 0 ? static_cast<int>(-size) : ENODEV,
                               pool_->connection());
}

Dispatcher::Outcome PollTransport::Hand(Dispatcher& dispatcher, Slot* slot,
                                        proto::Bytes message) {
  place_.attendance->Busy(place_.worker);
  return dispatcher.Dispatch(slot, message);
}

void PollTransport::SendFinished() {
  Slot** end = &unsent_;
  while (*end != nullptr) end = &(*end)->next;
  *end = pool_->TakeFinished();
  for (Slot* slot = *end; slot != nullptr; slot = slot->next) {
    if (!slot->moved) NoteReply(slot);
  }
  while (unsent_ != nullptr) {
    Slot* slot = unsent_;
    const int error = slot->moved ? 0 : SendNow(*slot);
    if (error == EAGAIN) return;
    if (error != 0 && AnswerRefusal(slot, error)) continue;
    unsent_ = slot->next;
    pool_->Free(slot);
  }
}

// To where the request came from.
int PollTransport::SendNow(const Slot& slot) const {
  const std::shared_ptr<const Device> device =
      slot.parked ? slot.origin.lock() : device_;
  // Its worker has ended, and the connection with it.
  if (device == nullptr) return ENODEV;
  return device->SendNow(slot.parts, PartsOf(slot));
}

}  // namespace barefuse
