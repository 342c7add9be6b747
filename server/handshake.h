// The INIT exchange.
#ifndef BAREFUSE_SERVER_HANDSHAKE_H_
#define BAREFUSE_SERVER_HANDSHAKE_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/negotiation.h"
#include "server/device.h"
#include "server/log.h"
#include "server/message_tap.h"

namespace barefuse {

struct HandshakeOptions {
  proto::Wishes wishes;
  absl::Duration timeout = absl::Seconds(30);  // for the whole exchange
  LogSink log;
  MessageTap tap;
  bool debug = false;
};

// Reads INIT from `device`, answers it, and gives the terms. What comes before
// it is answered EIO where it can be answered, and passed over. Nobody else may
// read the device meanwhile.
absl::StatusOr<proto::Negotiated> Handshake(const Device& device,
                                            const HandshakeOptions& options);

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_HANDSHAKE_H_
