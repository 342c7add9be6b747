// Reads requests where no worker can.
//
// A worker takes no request while it is in a handler, nor while all its slots
// are taken. Where handlers block, that can be so of all workers, and the
// request that would free them (an INTERRUPT, an unlock, a FORGET, DESTROY)
// would wait for ever. Then the reserve reads: into slots of its own, the
// parking pool, and hands what it reads to threads of its own. It serves by
// itself only what is owed no reply.
//
// The bounds: with the whole parking pool taken nothing is read any more until
// a reply is given. The end of the session needs none of this.
#ifndef BAREFUSE_SERVER_RESERVE_H_
#define BAREFUSE_SERVER_RESERVE_H_

#include <chrono>
#include <memory>

#include "server/attendance.h"
#include "server/offload.h"
#include "server/poll_transport.h"

namespace barefuse {

// The transport of the parking pool. It also sends the replies to requests that
// were moved there.
class Reserve : public PollTransport {
 public:
  // How long all workers must have been unable to read before it steps in, at
  // least; at most twice as long.
  static constexpr int kTick = 20;  // milliseconds

  // Hands what it reads to `overflow`.
  Reserve(std::shared_ptr<const Device> device, SlotPool* pool,
          Attendance* attendance, std::shared_ptr<Offload> overflow)
      : PollTransport(std::move(device), pool, {}, absl::ZeroDuration()),
        attendance_(attendance),
        overflow_(std::move(overflow)) {}

 protected:
  Plan NextWait(Dispatcher& dispatcher, const std::atomic<bool>& stop) override;
  Dispatcher::Outcome Hand(Dispatcher& dispatcher, Slot* slot,
                           proto::Bytes message) override;

 private:
  using Clock = std::chrono::steady_clock;

  Attendance* attendance_;
  const std::shared_ptr<Offload> overflow_;
  Clock::time_point look_at_{};
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_RESERVE_H_
