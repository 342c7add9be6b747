// A program that uses all of the codec and is linked with the C library alone,
// as its test sees.
#include <cstddef>
#include <cstdio>

#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/describe.h"
#include "proto/encode_reply.h"
#include "proto/encode_request.h"
#include "proto/negotiation.h"

int main() {
  using namespace barefuse;
  std::byte buffer[512] = {};
  char line[512];
  proto::Request request;
  request.header.unique = 1;
  request.operation = proto::Lookup{"name"};
  const proto::Dialect dialect;
  proto::Encoded encoded = proto::EncodeRequest(request, dialect, buffer);
  if (!proto::DecodeRequest(proto::Bytes(buffer, encoded.size), dialect,
                            &request)
           .ok()) {
    return 1;
  }
  proto::DescribeRequest(request, line, proto::Format::kJson);
  proto::ReplyMessage reply;
  reply.header.unique = 1;
  reply.body = abi::fuse_entry_out{};
  encoded = proto::EncodeReply(reply, dialect, buffer);
  if (!proto::DecodeReply(proto::Bytes(buffer, encoded.size),
                          proto::WhatIsAsked(request), dialect, &reply)
           .ok()) {
    return 1;
  }
  proto::DescribeReply(abi::FUSE_LOOKUP, reply, line);
  proto::AnyNotification notification = proto::NotifyResend{};
  encoded = proto::EncodeNotification(notification, dialect, buffer);
  if (!proto::DecodeNotification(proto::Bytes(buffer, encoded.size), dialect,
                                 &notification)
           .ok()) {
    return 1;
  }
  proto::DescribeNotification(notification, line);
  proto::Negotiate({}, {});
  std::puts("ok");
  return 0;
}
