// Bytes to typed requests: the server's side of the protocol.
#ifndef BAREFUSE_PROTO_DECODE_REQUEST_H_
#define BAREFUSE_PROTO_DECODE_REQUEST_H_

#include "proto/dialect.h"
#include "proto/error.h"
#include "proto/message.h"
#include "proto/requests.h"

namespace barefuse::proto {

// Decodes one message. Total: any bytes give a request or a fault, nothing is
// allocated, nothing outside the spans is read.
//
// On success `*request` holds views into the message's spans. On a fault
// request->header is still filled in where the header could be read, and
// request->operation holds nothing.
DecodeError DecodeRequest(const Message& message, const Dialect& dialect,
                          Request* request);

// Cuts and decodes in one step, for a message that lies in one piece.
DecodeError DecodeRequest(Bytes bytes, const Dialect& dialect,
                          Request* request);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DECODE_REQUEST_H_
