// /dev/fuse, read and written by plain system calls: for where io_uring is
// forbidden.
//
// A worker waits in poll(2) for the device and its pool's eventfd, reads one
// request at a time and writes its reply: three system calls for a request that
// is answered at once, where io_uring takes one. Each request wakes every idle
// worker, since poll(2) has no exclusive wake-up.
#ifndef BAREFUSE_SERVER_DEV_TRANSPORT_H_
#define BAREFUSE_SERVER_DEV_TRANSPORT_H_

#include <memory>
#include <optional>

#include "server/device.h"
#include "server/device_io.h"
#include "server/transport.h"

namespace barefuse {

class DevTransport : public Transport {
 public:
  // `device` is the worker's own clone, or one that all share. `pool` outlives
  // the transport.
  DevTransport(std::shared_ptr<const Device> device, SlotPool* pool)
      : device_(std::move(device)), pool_(pool) {}

  StopReason Run(Dispatcher& dispatcher,
                 const std::atomic<bool>& stop) override;

 private:
  void SendFinished();
  std::optional<StopReason> ReadOne(Dispatcher& dispatcher);

  std::shared_ptr<const Device> device_;
  SlotPool* pool_;
  ReadErrors read_errors_;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_DEV_TRANSPORT_H_
