// A request message as three spans: header, operation bytes, payload.
//
// FUSE over io_uring hands them over separately; a message read from /dev/fuse
// or a socket is cut into them. One decoder serves both.
#ifndef BAREFUSE_PROTO_MESSAGE_H_
#define BAREFUSE_PROTO_MESSAGE_H_

#include <cstddef>

#include "proto/dialect.h"
#include "proto/error.h"
#include "proto/requests.h"

namespace barefuse::proto {

struct Message {
  Bytes header;     // sizeof(fuse_in_header) bytes
  Bytes operation;  // the fixed struct, if the operation has one
  Bytes payload;    // names, data, arrays, extensions
};

// Cuts `bytes`, one whole message as read from the device, and checks its
// header: the length field equals bytes.size(), unique is not 0. Bodies are
// not looked at; DecodeRequest does that.
DecodeError CutMessage(Bytes bytes, const Dialect& dialect, Message* message);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_MESSAGE_H_
