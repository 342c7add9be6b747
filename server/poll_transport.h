// A device or a socket, read and written by plain system calls: for sockets,
// and for where io_uring is forbidden.
//
// A worker waits in poll(2) for the descriptor and its pool's eventfd, reads
// one request at a time and writes its reply: three system calls for a request
// that is answered at once, where io_uring takes one. Each request wakes every
// idle worker, since poll(2) has no exclusive wake-up.
//
// While a socket is full of replies nothing is read from it: a peer that does
// not take answers gets none, and takes no memory.
#ifndef BAREFUSE_SERVER_POLL_TRANSPORT_H_
#define BAREFUSE_SERVER_POLL_TRANSPORT_H_

#include <memory>
#include <optional>

#include "server/busy_poll.h"
#include "server/device.h"
#include "server/device_io.h"
#include "server/transport.h"

namespace barefuse {

class PollTransport : public Transport {
 public:
  PollTransport(std::shared_ptr<const Device> device, SlotPool* pool,
                const WorkerPlace& place, absl::Duration busy_poll)
      : device_(std::move(device)),
        pool_(pool),
        place_(place),
        busy_poll_(busy_poll) {}

  StopReason Run(Dispatcher& dispatcher,
                 const std::atomic<bool>& stop) override;

 protected:
  // What to wait for.
  struct Plan {
    bool read = true;
    bool watch = true;  // for the connection's end; a request wakes us then too
    int timeout = -1;   // milliseconds
    bool again = false;  // there is something to do first
  };
  // Says so to whom it concerns, and looks for requests for a moment.
  virtual Plan NextWait(Dispatcher& dispatcher, const std::atomic<bool>& stop);
  // Hands a request over.
  virtual Dispatcher::Outcome Hand(Dispatcher& dispatcher, Slot* slot,
                                   proto::Bytes message);

  SlotPool* pool() { return pool_; }
  const std::shared_ptr<const Device>& device() const { return device_; }

 private:
  void SendFinished();
  int SendNow(const Slot& slot) const;
  bool ReadOne(Dispatcher& dispatcher);
  void ReadEnd();

  std::shared_ptr<const Device> device_;
  SlotPool* pool_;
  const WorkerPlace place_;
  BusyPoll busy_poll_;
  ReadErrors read_errors_;
  std::optional<StopReason> reason_;
  // Replies for which the socket has had no room.
  Slot* unsent_ = nullptr;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_POLL_TRANSPORT_H_
