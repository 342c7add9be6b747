#include "tests/benchmark/codec_cases.h"

#include <dirent.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/directory.h"
#include "proto/encode_reply.h"
#include "proto/encode_request.h"

namespace barefuse {
namespace {

constexpr uint32_t kForgets = 1000;
constexpr int kEntries = 50;

// Keeps the compiler from leaving work out whose result nobody uses.
template <class T>
void Use(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

void Must(bool good) {
  if (good) return;
  std::fputs("a benchmark's message is wrong\n", stderr);
  std::abort();
}

// --- The messages, made once ---

std::vector<std::byte> Encoded(proto::AnyOperation operation) {
  proto::Request request;
  request.header.unique = 2;
  request.header.nodeid = 1;
  request.operation = std::move(operation);
  std::vector<std::byte> buffer(1 << 16);
  proto::Encoded encoded = EncodeRequest(request, proto::Dialect{}, buffer);
  Must(encoded.ok());
  buffer.resize(encoded.size);
  return buffer;
}

const std::vector<std::byte>& Page() {
  static const std::vector<std::byte> page(4096, std::byte{'p'});
  return page;
}

proto::Request Decoded(const std::vector<std::byte>& bytes) {
  proto::Request request;
  Must(proto::DecodeRequest(bytes, proto::Dialect{}, &request).ok());
  return request;
}

template <class Op>
const std::vector<std::byte>& Message() {
  static const std::vector<std::byte> bytes = [] {
    if constexpr (std::is_same_v<Op, proto::Lookup>) {
      return Encoded(proto::Lookup{"a_name.cc"});
    } else if constexpr (std::is_same_v<Op, proto::Write>) {
      proto::Write write{};
      write.data = Page();
      return Encoded(write);
    } else if constexpr (std::is_same_v<Op, proto::BatchForget>) {
      static const std::vector<abi::fuse_forget_one> items(kForgets, {7, 1});
      proto::BatchForget forget{};
      forget.items = proto::WireArray<abi::fuse_forget_one>(
          std::as_bytes(std::span(items.data(), items.size())));
      return Encoded(forget);
    } else {
      Op op{};
      if constexpr (std::is_base_of_v<abi::fuse_read_in, Op>) op.size = 32768;
      return Encoded(op);
    }
  }();
  return bytes;
}

// --- The server's side ---

template <class Op>
void DecodeRequest(uint64_t times) {
  const std::vector<std::byte>& bytes = Message<Op>();
  const proto::Dialect dialect;
  proto::Request request;
  for (; times != 0; --times) {
    Must(proto::DecodeRequest(bytes, dialect, &request).ok());
    Use(request);
  }
}

// Decoding alone does not look at the items.
void DecodeAndWalkForgets(uint64_t times) {
  const std::vector<std::byte>& bytes = Message<proto::BatchForget>();
  const proto::Dialect dialect;
  proto::Request request;
  for (; times != 0; --times) {
    Must(proto::DecodeRequest(bytes, dialect, &request).ok());
    const auto& items = std::get<proto::BatchForget>(request.operation).items;
    uint64_t sum = 0;
    for (size_t i = 0; i < items.size(); ++i) sum += items[i].nlookup;
    Use(sum);
  }
}

template <class Out>
void EncodeReply(uint64_t times) {
  const proto::Dialect dialect;
  proto::ReplyHead head;
  Out out{};
  for (; times != 0; --times) {
    Use(out);
    head.Encode(dialect, out);
    head.Finish(times, 0);
    Use(head);
  }
}

// The data lies where it is sent from.
void EncodeReadReply(uint64_t times) {
  const proto::Dialect dialect;
  proto::ReplyHead head;
  for (; times != 0; --times) {
    head.Encode(dialect);
    head.Finish(times, Page().size());
    Use(head);
  }
}

size_t FillDirectory(std::span<std::byte> buffer) {
  proto::DirectoryWriter writer(buffer);
  abi::fuse_entry_out entry{};
  entry.nodeid = 5;
  for (int i = 0; i < kEntries; ++i) {
    Must(writer.AddPlus(entry, "an_entry_name.cc", DT_REG,
                        static_cast<uint64_t>(i) + 1));
  }
  return writer.size();
}

void EncodeReaddirplusReply(uint64_t times) {
  static std::byte buffer[32768];
  proto::ReplyHead head;
  for (; times != 0; --times) {
    const size_t size = FillDirectory(buffer);
    head.Encode(proto::Dialect{});
    head.Finish(times, size);
    Use(head);
  }
}

// --- The kernel's side ---

template <class Op>
void EncodeRequest(uint64_t times) {
  const proto::Request request = Decoded(Message<Op>());
  static std::byte buffer[32768];
  const proto::Dialect dialect;
  for (; times != 0; --times) {
    Must(proto::EncodeRequest(request, dialect, buffer).ok());
    Use(buffer);
  }
}

template <class Op, class Body>
void DecodeReply(uint64_t times, const Body& body) {
  const proto::Asked asked = proto::WhatIsAsked(Decoded(Message<Op>()));
  const proto::Dialect dialect;
  static std::byte buffer[32768];
  proto::ReplyMessage reply;
  reply.header.unique = 2;
  reply.body = body;
  const uint32_t size = proto::EncodeReply(reply, dialect, buffer).size;
  for (; times != 0; --times) {
    Must(proto::DecodeReply(proto::Bytes(buffer, size), asked, dialect, &reply)
             .ok());
    Use(reply);
  }
}

void DecodeEntry(uint64_t times) {
  DecodeReply<proto::Lookup>(times, abi::fuse_entry_out{});
}
void DecodeAttr(uint64_t times) {
  DecodeReply<proto::Getattr>(times, abi::fuse_attr_out{});
}
void DecodeData(uint64_t times) {
  DecodeReply<proto::Read>(times, proto::DataOut{Page()});
}
void DecodeDirectory(uint64_t times) {
  static std::byte records[32768];
  const size_t size = FillDirectory(records);
  DecodeReply<proto::Readdirplus>(
      times, proto::DirectoryPlusOut{proto::Bytes(records, size)});
}

constexpr CodecCase kCases[] = {
    {"decode LOOKUP request", DecodeRequest<proto::Lookup>},
    {"decode GETATTR request", DecodeRequest<proto::Getattr>},
    {"decode READ request", DecodeRequest<proto::Read>},
    {"decode WRITE request, 4 KiB", DecodeRequest<proto::Write>},
    {"decode BATCH_FORGET request, 1000", DecodeRequest<proto::BatchForget>},
    {"decode BATCH_FORGET and walk it", DecodeAndWalkForgets},
    {"decode READDIRPLUS request", DecodeRequest<proto::Readdirplus>},
    {"encode LOOKUP reply", EncodeReply<abi::fuse_entry_out>},
    {"encode GETATTR reply", EncodeReply<abi::fuse_attr_out>},
    {"encode READ reply, 4 KiB", EncodeReadReply},
    {"encode WRITE reply", EncodeReply<abi::fuse_write_out>},
    {"encode READDIRPLUS reply, 50", EncodeReaddirplusReply},
    {"encode LOOKUP request", EncodeRequest<proto::Lookup>},
    {"encode GETATTR request", EncodeRequest<proto::Getattr>},
    {"encode READ request", EncodeRequest<proto::Read>},
    {"encode WRITE request, 4 KiB", EncodeRequest<proto::Write>},
    {"encode BATCH_FORGET request, 1000", EncodeRequest<proto::BatchForget>},
    {"decode LOOKUP reply", DecodeEntry},
    {"decode GETATTR reply", DecodeAttr},
    {"decode READ reply, 4 KiB", DecodeData},
    {"decode READDIRPLUS reply, 50", DecodeDirectory},
};

}  // namespace

std::span<const CodecCase> CodecCases() { return kCases; }

}  // namespace barefuse
