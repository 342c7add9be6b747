// /dev/fuse, read and written through io_uring.
//
// What a worker does, once around:
//
//   io_uring_enter  --->  WRITEV   the reply to the request before
//                         POLL     until the device has a request,
//                           `link  then
//                         READ     it into a free slot
//                   <---  the READ completes
//   decode, call the filesystem, encode the reply
//
// so that a request that is answered at once costs one system call.
//
// The device descriptor is O_NONBLOCK. Descriptors of one connection share one
// queue of requests: each worker polls, one gets the request, and the others'
// READ must come back with EAGAIN. On a blocking descriptor it would put the
// whole ring to sleep inside the kernel, replies, wake-ups and stop included.
//
// Polls are exclusive, which takes the care that server/wake_relay.h describes.
//
// Replies that other threads finish come through the pool's list; its eventfd
// is read on the same ring.
#ifndef BAREFUSE_SERVER_DEV_URING_TRANSPORT_H_
#define BAREFUSE_SERVER_DEV_URING_TRANSPORT_H_

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/busy_poll.h"
#include "server/device.h"
#include "server/device_io.h"
#include "server/transport.h"

namespace barefuse {

class DevUringTransport : public Transport {
 public:
  // `device` is the worker's own clone, or one that all share. `pool` and what
  // `place` names outlive the transport.
  static absl::StatusOr<std::unique_ptr<DevUringTransport>> Create(
      std::shared_ptr<const Device> device, SlotPool* pool,
      const WorkerPlace& place, absl::Duration busy_poll);
  ~DevUringTransport() override;

  StopReason Run(Dispatcher& dispatcher,
                 const std::atomic<bool>& stop) override;

 private:
  // What a completion is of, and of which slot: packed into user_data.
  enum class Tag : uint8_t {
    kPoll,
    kRead,
    kReply,
    kAfterReply,
    kWake,
    kEnd,
    kCancel
  };
  static uint64_t Pack(Tag tag, uint32_t slot) {
    return uint64_t{slot} << 8 | static_cast<uint8_t>(tag);
  }
  static Tag TagOf(uint64_t data) { return static_cast<Tag>(data & 0xff); }
  static uint32_t SlotOf(uint64_t data) {
    return static_cast<uint32_t>(data >> 8);
  }

  DevUringTransport(std::shared_ptr<const Device> device, SlotPool* pool,
                    const WorkerPlace& place, absl::Duration busy_poll)
      : device_(std::move(device)),
        pool_(pool),
        place_(place),
        busy_poll_(busy_poll) {}

  io_uring_sqe* Sqe();
  void ArmWake();
  void ArmRead();
  void ArmEnd();
  void OnEnd(int result);
  void SendFinished();
  void Send(Slot* slot);
  bool LookForRequest(Dispatcher& dispatcher, const std::atomic<bool>& stop);
  bool OnRead(Slot* slot, ssize_t result, Dispatcher& dispatcher);
  void OnReply(Slot* slot, int result);
  void Handle(const io_uring_cqe& cqe, Dispatcher& dispatcher);
  void HandleCompletions(Dispatcher& dispatcher);
  void Drain(Dispatcher& dispatcher);
  void CancelRead();
  void Cancel(uint64_t data);
  // Submits what is prepared and waits for what comes next.
  bool SubmitAndWait();

  std::shared_ptr<const Device> device_;
  SlotPool* pool_;
  const WorkerPlace place_;
  BusyPoll busy_poll_;
  io_uring ring_{};
  bool ring_ready_ = false;
  uint64_t wake_count_ = 0;    // where the eventfd is read to
  bool reading_ = false;       // a POLL and READ are under way,
  uint32_t reading_slot_ = 0;  // for this slot
  bool wake_armed_ = false;    // the eventfd is being read
  bool end_armed_ = false;     // the connection's end is polled for
  bool draining_ = false;
  uint32_t sending_ = 0;  // WRITEVs under way
  ReadErrors read_errors_;
  std::optional<StopReason> reason_;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_DEV_URING_TRANSPORT_H_
