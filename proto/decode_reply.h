// Bytes to typed replies: the kernel's side of the protocol.
#ifndef BAREFUSE_PROTO_DECODE_REPLY_H_
#define BAREFUSE_PROTO_DECODE_REPLY_H_

#include "proto/dialect.h"
#include "proto/error.h"
#include "proto/replies.h"

namespace barefuse::proto {

// Decodes the reply to a request that asked for `asked`. Total: any bytes give
// a reply or a fault, nothing is allocated, nothing outside the spans is read.
//
// As strict as the kernel, and where the kernel overlooks a fault, stricter: a
// directory's records are checked one by one, an error carries no body. On a
// fault reply->header is still filled in where there are enough bytes for it.
//
// `head` starts the message; `data` goes on with it, for those who keep a
// reply's data apart.
DecodeError DecodeReply(Bytes head, Bytes data, const Asked& asked,
                        const Dialect& dialect, ReplyMessage* reply);

// The same for a message that lies in one piece.
inline DecodeError DecodeReply(Bytes message, const Asked& asked,
                               const Dialect& dialect, ReplyMessage* reply) {
  return DecodeReply(message, {}, asked, dialect, reply);
}

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DECODE_REPLY_H_
