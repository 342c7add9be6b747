// A request message as three spans: header, operation bytes, payload.
//
// FUSE over io_uring hands them over separately; a message read from /dev/fuse
// or a socket is cut into them. One decoder serves both.
#ifndef BAREFUSE_PROTO_MESSAGE_H_
#define BAREFUSE_PROTO_MESSAGE_H_

#include "proto/requests.h"

namespace barefuse::proto {

struct Message {
  Bytes header;     // sizeof(fuse_in_header) bytes
  Bytes operation;  // the fixed struct, if the operation has one
  Bytes payload;    // names, data, arrays, extensions
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_MESSAGE_H_
