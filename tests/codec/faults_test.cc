// Each fault that the codec knows is provoked, at the byte where it is.
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/directory.h"
#include "proto/encode_reply.h"
#include "proto/encode_request.h"
#include "proto/notifications.h"
#include "tests/testing/messages.h"

namespace barefuse {
namespace {

using proto::Asked;
using proto::Dialect;
using proto::Fault;
using testing::MessageBuilder;

// Remembers what was seen, so that the last test can say what is missing.
std::set<Fault>& Seen() {
  static std::set<Fault> seen;
  return seen;
}

void Expect(Fault fault, uint32_t offset, const proto::DecodeError& error) {
  EXPECT_EQ(error.fault, fault)
      << FaultText(error.fault) << " instead of " << FaultText(fault);
  EXPECT_EQ(error.offset, offset) << FaultText(fault);
  Seen().insert(error.fault);
}

void ExpectOfRequest(Fault fault, uint32_t offset,
                     const std::vector<std::byte>& bytes,
                     const Dialect& dialect = {}) {
  proto::Request request;
  Expect(fault, offset, proto::DecodeRequest(bytes, dialect, &request));
}

// A reply with `error`, and `size` bytes of body of which the first are `body`.
std::vector<std::byte> Reply(int error, size_t size, std::string_view body = "",
                             uint64_t unique = 2) {
  std::vector<std::byte> bytes(sizeof(abi::fuse_out_header) + size);
  const abi::fuse_out_header header{static_cast<uint32_t>(bytes.size()), error,
                                    unique};
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!body.empty()) {
    std::memcpy(bytes.data() + sizeof header, body.data(), body.size());
  }
  return bytes;
}

void ExpectOfReply(Fault fault, uint32_t offset, Asked asked,
                   const std::vector<std::byte>& bytes) {
  proto::ReplyMessage reply;
  Expect(fault, offset, proto::DecodeReply(bytes, asked, Dialect{}, &reply));
}

void ExpectOfNotification(Fault fault, uint32_t offset,
                          const std::vector<std::byte>& bytes) {
  proto::AnyNotification notification;
  Expect(fault, offset, DecodeNotification(bytes, Dialect{}, &notification));
}

TEST(Faults, OfHeaders) {
  ExpectOfRequest(Fault::kShortHeader, 0, {});
  ExpectOfRequest(Fault::kShortHeader, 39, std::vector<std::byte>(39));
  MessageBuilder liar(abi::FUSE_STATFS);
  liar.header().len = 41;
  ExpectOfRequest(Fault::kBadLength, 0, liar.Bytes());
  ExpectOfRequest(Fault::kZeroUnique, 8,
                  MessageBuilder(abi::FUSE_STATFS, 1, 0).Bytes());
  for (uint32_t hole : {0u, 7u, 19u, 54u, 1u << 31}) {
    ExpectOfRequest(Fault::kUnknownOpcode, 4, MessageBuilder(hole).Bytes());
  }
}

TEST(Faults, OfTheOtherByteOrder) {
  // INIT and CUSE_INIT as a machine of the other order writes them: the length
  // is swapped too, and is not what is complained of.
  for (uint32_t opcode : {uint32_t{abi::FUSE_INIT}, uint32_t{abi::CUSE_INIT}}) {
    MessageBuilder swapped(__builtin_bswap32(opcode));
    swapped.Struct(abi::fuse_init_in{});
    swapped.header().len = __builtin_bswap32(104);
    ExpectOfRequest(Fault::kByteSwapped, 4, swapped.Bytes());
  }
}

TEST(Faults, OfBodies) {
  ExpectOfRequest(Fault::kTooShort, 40,
                  MessageBuilder(abi::FUSE_OPEN).Raw("1234567").Bytes());
  ExpectOfRequest(Fault::kTrailingBytes, 48,
                  MessageBuilder(abi::FUSE_OPEN).Raw("123456789").Bytes());
  ExpectOfRequest(Fault::kMissingNul, 40,
                  MessageBuilder(abi::FUSE_LOOKUP).Raw("abc").Bytes());
  ExpectOfRequest(Fault::kEmptyName, 40,
                  MessageBuilder(abi::FUSE_UNLINK).Name("").Bytes());
  ExpectOfRequest(Fault::kSlashInName, 40,
                  MessageBuilder(abi::FUSE_RMDIR).Name("a/b").Bytes());
  Dialect short_names;
  short_names.name_max = proto::kShortNameMax;
  ExpectOfRequest(
      Fault::kNameTooLong, 40,
      MessageBuilder(abi::FUSE_LOOKUP).Name(std::string(1025, 'n')).Bytes(),
      short_names);
  ExpectOfRequest(
      Fault::kNameTooLong, 40,
      MessageBuilder(abi::FUSE_LOOKUP).Name(std::string(4096, 'n')).Bytes());
  for (uint32_t opcode :
       {uint32_t{abi::FUSE_BATCH_FORGET}, uint32_t{abi::FUSE_REMOVEMAPPING}}) {
    const size_t fixed = proto::FindOperation(opcode)->fixed_size;
    std::string all_ones(fixed, '\xff');
    ExpectOfRequest(Fault::kCountTooLarge, 40 + static_cast<uint32_t>(fixed),
                    MessageBuilder(opcode).Raw(all_ones).Bytes());
  }
}

TEST(Faults, OfSetxattrWithTheOtherLayout) {
  abi::fuse_setxattr_in in{};
  in.size = 5;
  auto short_layout = MessageBuilder(abi::FUSE_SETXATTR)
                          .Struct(in, 8)
                          .Name("user.x")
                          .Raw("value")
                          .Bytes();
  Dialect ext;
  ext.flags = abi::FUSE_SETXATTR_EXT;
  // Half the name is taken for flags: no attribute comes of it.
  proto::Request request;
  EXPECT_FALSE(proto::DecodeRequest(short_layout, ext, &request).ok());
  auto long_layout = MessageBuilder(abi::FUSE_SETXATTR)
                         .Struct(in)
                         .Name("user.x")
                         .Raw("value")
                         .Bytes();
  ExpectOfRequest(Fault::kEmptyName, 49, long_layout);
  ExpectOfRequest(
      Fault::kMissingNul, 48,
      MessageBuilder(abi::FUSE_SETXATTR).Struct(in, 8).Raw("no nul").Bytes());
}

TEST(Faults, OfExtensions) {
  auto mkdir = [](uint16_t extlen, const auto&... parts) {
    MessageBuilder message(abi::FUSE_MKDIR);
    message.Struct(abi::fuse_mkdir_in{}).Name("d");
    (message.Struct(parts), ...);
    message.header().total_extlen = extlen;
    return message.Bytes();
  };
  constexpr uint32_t kStart = 50;
  // More than the message has.
  ExpectOfRequest(Fault::kBadExtension, kStart,
                  mkdir(0xffff, abi::fuse_secctx_header{8, 0}));
  // A size that cannot be: none, not its header's, not of 8, beyond the end.
  for (uint32_t size : {0u, 7u, 9u, 16u, ~0u}) {
    ExpectOfRequest(Fault::kBadExtension, kStart,
                    mkdir(1, abi::fuse_ext_header{size, 40}));
  }
  // A header of contexts at the buffer's end.
  ExpectOfRequest(Fault::kBadExtension, kStart + 8,
                  mkdir(1, abi::fuse_secctx_header{8, 1}));
  // A context whose size is more than there is, or that has no name.
  ExpectOfRequest(Fault::kBadExtension, kStart + 8,
                  mkdir(3, abi::fuse_secctx_header{24, 1},
                        abi::fuse_secctx{100, 0}, uint64_t{'n'}));
  ExpectOfRequest(Fault::kBadExtension, kStart + 8,
                  mkdir(3, abi::fuse_secctx_header{24, 1},
                        abi::fuse_secctx{0, 0}, uint64_t{0}));
  // Fewer contexts than bytes.
  ExpectOfRequest(Fault::kBadExtension, kStart + 24,
                  mkdir(4, abi::fuse_secctx_header{32, 1},
                        abi::fuse_secctx{1, 0}, uint64_t{'n'}, uint64_t{0}));
  // More groups than there are.
  ExpectOfRequest(Fault::kBadExtension, kStart,
                  mkdir(2, abi::fuse_ext_header{16, abi::FUSE_EXT_GROUPS},
                        uint32_t{2}, uint32_t{100}));
}

TEST(Faults, OfReplies) {
  const Asked lookup{abi::FUSE_LOOKUP, 0};
  ExpectOfReply(Fault::kShortHeader, 15, lookup, std::vector<std::byte>(15));
  ExpectOfReply(Fault::kZeroUnique, 8, lookup, Reply(-ENOENT, 0, "", 0));
  for (int error : {1, ENOENT, -512, INT32_MIN}) {
    ExpectOfReply(Fault::kErrorRange, 4, lookup, Reply(error, 0));
  }
  ExpectOfReply(Fault::kErrorWithBody, 16, lookup, Reply(-ENOENT, 1));
  auto wrong_length = Reply(-ENOENT, 0);
  wrong_length[0] = std::byte{17};
  ExpectOfReply(Fault::kBadLength, 0, lookup, wrong_length);
  for (size_t size : {0u, 120u, 127u}) {
    ExpectOfReply(Fault::kWrongReplySize, 16, lookup, Reply(0, size));
  }
  ExpectOfReply(Fault::kWrongReplySize, 16 + 128, lookup, Reply(0, 129));
  ExpectOfReply(Fault::kMoreThanAsked, 16, {abi::FUSE_READ, 4}, Reply(0, 5));
  ExpectOfReply(Fault::kMoreThanAsked, 16, {abi::FUSE_LISTXATTR, 4},
                Reply(0, 5));
  ExpectOfReply(Fault::kMoreThanAsked, 16, {abi::FUSE_IOCTL, 0}, Reply(0, 17));
  for (uint32_t silent : {abi::FUSE_FORGET, abi::FUSE_BATCH_FORGET,
                          abi::FUSE_NOTIFY_REPLY, abi::FUSE_INTERRUPT}) {
    ExpectOfReply(Fault::kUnexpectedReply, 0, {silent, 0}, Reply(0, 0));
  }
  ExpectOfReply(Fault::kUnexpectedReply, 0, {abi::FUSE_INTERRUPT, 0},
                Reply(-EINTR, 0));
  ExpectOfReply(Fault::kUnknownOpcode, 0, {99, 0}, Reply(0, 0));
}

TEST(Faults, OfRetriedIoctls) {
  auto retry = [](uint32_t in_iovs, uint32_t out_iovs, size_t bytes) {
    abi::fuse_ioctl_out out{0, abi::FUSE_IOCTL_RETRY, in_iovs, out_iovs};
    return Reply(0, sizeof out + bytes,
                 {reinterpret_cast<const char*>(&out), sizeof out});
  };
  const Asked ioctl{abi::FUSE_IOCTL, 0};
  proto::ReplyMessage reply;
  EXPECT_TRUE(
      proto::DecodeReply(retry(1, 1, 32), ioctl, Dialect{}, &reply).ok());
  ExpectOfReply(Fault::kBadIoctlRetry, 16, ioctl, retry(1, 1, 31));
  ExpectOfReply(Fault::kBadIoctlRetry, 16, ioctl, retry(257, 0, 257 * 16));
  EXPECT_TRUE(
      proto::DecodeReply(retry(200, 56, 256 * 16), ioctl, Dialect{}, &reply)
          .ok());
  // Both directions together.
  ExpectOfReply(Fault::kBadIoctlRetry, 16, ioctl, retry(200, 57, 257 * 16));
  ExpectOfReply(Fault::kBadIoctlRetry, 16, ioctl, retry(~0u, ~0u, 0));
}

TEST(Faults, OfDirectoryEntries) {
  std::string buffer(64, '\0');
  proto::DirectoryWriter writer(
      std::as_writable_bytes(std::span(buffer.data(), buffer.size())));
  ASSERT_TRUE(writer.Add("abc", 7, 8, 1));
  ASSERT_TRUE(writer.Add("defg", 9, 8, 2));
  const Asked asked{abi::FUSE_READDIR, 4096};
  proto::ReplyMessage reply;
  EXPECT_TRUE(
      proto::DecodeReply(Reply(0, 64, buffer), asked, Dialect{}, &reply).ok());
  auto expect_bad = [&](size_t at, char value) {
    std::string damaged = buffer;
    damaged[at] = value;
    ExpectOfReply(Fault::kBadDirectoryEntry, 16, asked, Reply(0, 64, damaged));
  };
  expect_bad(16, 0);     // a name without length
  expect_bad(17, 0x20);  // longer than anything
  expect_bad(25, '/');
  expect_bad(25, '\0');
  expect_bad(28, 'x');    // padding
  expect_bad(32 + 8, 1);  // the same offset again
  expect_bad(8, 0);       // or the beginning's
  // Cut off in the middle of a record.
  ExpectOfReply(Fault::kBadDirectoryEntry, 16, asked,
                Reply(0, 60, buffer.substr(0, 60)));
}

TEST(Faults, OfNotifications) {
  auto notify = [](int code, std::string_view body) {
    return Reply(code, body.size(), body, 0);
  };
  ExpectOfNotification(Fault::kShortHeader, 3, std::vector<std::byte>(3));
  ExpectOfNotification(Fault::kUnknownNotification, 4, notify(10, ""));
  ExpectOfNotification(Fault::kUnknownNotification, 4, notify(-1, ""));
  ExpectOfNotification(Fault::kUnknownNotification, 4, Reply(1, 8));
  ExpectOfNotification(Fault::kTooShort, 16,
                       notify(abi::FUSE_NOTIFY_POLL, "1234567"));
  ExpectOfNotification(Fault::kTrailingBytes, 24,
                       notify(abi::FUSE_NOTIFY_POLL, "123456789"));
  abi::fuse_notify_inval_entry_out entry{1, 3, 0};
  std::string body(reinterpret_cast<const char*>(&entry), sizeof entry);
  ExpectOfNotification(Fault::kMissingNul, 32,
                       notify(abi::FUSE_NOTIFY_INVAL_ENTRY, body + "abc"));
  ExpectOfNotification(
      Fault::kCountTooLarge, 37,
      notify(abi::FUSE_NOTIFY_INVAL_ENTRY, body + std::string("abcd\0", 5)));
  const std::string prune(16, '\xff');
  ExpectOfNotification(Fault::kCountTooLarge, 32,
                       notify(abi::FUSE_NOTIFY_PRUNE, prune));
}

TEST(Faults, OfEncoding) {
  std::vector<std::byte> buffer(8192);
  auto expect = [&](Fault fault, proto::AnyOperation operation,
                    const Dialect& dialect = {}) {
    proto::Request request;
    request.operation = std::move(operation);
    proto::Encoded encoded = EncodeRequest(request, dialect, buffer);
    EXPECT_EQ(encoded.fault, fault) << FaultText(encoded.fault);
    EXPECT_EQ(encoded.size, 0u);
    Seen().insert(encoded.fault);
  };
  expect(Fault::kNulInName, proto::Lookup{std::string_view("a\0b", 3)});
  expect(Fault::kEmptyName, proto::Lookup{""});
  expect(Fault::kSlashInName, proto::Lookup{"a/b"});
  const std::string long_name(4096, 'n');
  expect(Fault::kNameTooLong, proto::Lookup{long_name});
  const std::byte garbage[8] = {};
  proto::Mkdir mkdir{};
  mkdir.name = "d";
  mkdir.extensions.bytes = garbage;
  expect(Fault::kBadExtension, mkdir);
  // Behind an older kernel's request they would be trailing bytes.
  const abi::fuse_secctx_header none{8, 0};
  mkdir.extensions.bytes = std::as_bytes(std::span(&none, 1));
  expect(Fault::kBadExtension, mkdir, Dialect{37, 37, 0, 4095});
  expect(Fault::kZeroUnique, proto::Lookup{"a"});
  expect(Fault::kUnknownOpcode, std::monostate());
  const std::vector<std::byte> large(8192);
  proto::Write write{};
  write.data = large;
  expect(Fault::kNoRoom, write);
  proto::ReplyMessage reply;
  reply.header.error = ENOENT;
  EXPECT_EQ(EncodeReply(reply, Dialect{}, buffer).fault, Fault::kErrorRange);
  reply.header.error = -ENOENT;
  EXPECT_EQ(EncodeReply(reply, Dialect{}, buffer).fault, Fault::kZeroUnique);
  // What is no whole item of an array is neither counted nor written.
  const std::byte odd[13] = {};
  proto::Encoded prune = EncodeNotification(
      proto::NotifyPrune{proto::WireArray<uint64_t>(odd)}, Dialect{}, buffer);
  proto::AnyNotification notification;
  EXPECT_TRUE(DecodeNotification(proto::Bytes(buffer).first(prune.size),
                                 Dialect{}, &notification)
                  .ok());
}

// Last, after all of the above.
TEST(FaultsZ, EachOneWasProvoked) {
  if (::testing::GTEST_FLAG(filter) != "*") {
    GTEST_SKIP() << "not all tests run";
  }
  for (int fault = 1; fault < proto::kFaultCount; ++fault) {
    EXPECT_EQ(Seen().count(static_cast<Fault>(fault)), 1u)
        << FaultText(static_cast<Fault>(fault));
  }
}

}  // namespace
}  // namespace barefuse
