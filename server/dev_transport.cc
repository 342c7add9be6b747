#include "server/dev_transport.h"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace barefuse {

StopReason DevTransport::Run(Dispatcher& dispatcher,
                             const std::atomic<bool>& stop) {
  for (;;) {
    SendFinished();
    if (stop.load(std::memory_order_acquire)) {
      return {StopReason::Kind::kStopped, ""};
    }
    // Without a free slot nothing is read until a reply frees one.
    pollfd events[] = {
        {pool_->has_free() ? device_->fd() : -1, POLLIN, 0},
        {pool_->wake_fd(), POLLIN, 0},
    };
    if (poll(events, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return Failure(errno, "cannot wait for requests");
    }
    if (events[1].revents != 0) {
      // What it is about is looked at on the way round.
      uint64_t count;
      [[maybe_unused]] ssize_t n = read(pool_->wake_fd(), &count, sizeof count);
    }
    if (events[0].revents != 0) {
      if (std::optional<StopReason> end = ReadOne(dispatcher)) {
        SendFinished();
        return *end;
      }
    }
  }
}

std::optional<StopReason> DevTransport::ReadOne(Dispatcher& dispatcher) {
  Slot* slot = pool_->TakeFree();
  // The descriptor is O_NONBLOCK: another worker may have been faster.
  const ssize_t size = read(device_->fd(), slot->request_buffer.data(),
                            slot->request_buffer.size());
  if (size <= 0) {
    const int error = size < 0 ? errno : ENODEV;
    pool_->Free(slot);
    return read_errors_.Judge(error, pool_->connection());
  }
  read_errors_.Clear();
  const proto::Bytes message =
      slot->request_buffer.first(static_cast<size_t>(size));
  NoteRequest(pool_->connection(), message);
  if (dispatcher.Dispatch(slot, message) == Dispatcher::Outcome::kDone) {
    pool_->Free(slot);
  }
  return std::nullopt;
}

void DevTransport::SendFinished() {
  for (Slot* slot = pool_->TakeFinished(); slot != nullptr;) {
    Slot* next = slot->next;
    NoteReply(slot);
    while (writev(device_->fd(), slot->parts,
                  static_cast<int>(PartsOf(*slot))) < 0) {
      if (errno != EINTR && !AnswerRefusal(slot, errno)) break;
    }
    pool_->Free(slot);
    slot = next;
  }
}

}  // namespace barefuse
