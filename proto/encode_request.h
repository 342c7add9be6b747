// Typed requests to bytes: the kernel's side of the protocol.
#ifndef BAREFUSE_PROTO_ENCODE_REQUEST_H_
#define BAREFUSE_PROTO_ENCODE_REQUEST_H_

#include <cstddef>
#include <span>

#include "proto/dialect.h"
#include "proto/error.h"
#include "proto/requests.h"

namespace barefuse::proto {

// Writes `request` to the front of `buffer`, as a kernel of
// dialect.kernel_minor sends it once dialect.minor is agreed. Unique, node,
// caller and padding are taken from request.header; length, opcode and
// total_extlen, and the counts of data and arrays, are those of the request's
// parts. Names are held to what a kernel sends, so that what is written can be
// decoded.
Encoded EncodeRequest(const Request& request, const Dialect& dialect,
                      std::span<std::byte> buffer);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_ENCODE_REQUEST_H_
