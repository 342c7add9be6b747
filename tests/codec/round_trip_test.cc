// Every message of every minor survives encoding, decoding and encoding again,
// and damage to it is never more than an error.
#include <gtest/gtest.h>

#include <tuple>

#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/describe.h"
#include "proto/encode_reply.h"
#include "proto/encode_request.h"
#include "tests/codec/damage.h"
#include "tests/codec/random_messages.h"

namespace barefuse {
namespace {

using proto::Dialect;
using testing::AllOpcodes;
using testing::ForEachDamage;
using testing::RandomParts;

constexpr size_t kRoom = 1 << 16;
constexpr uint32_t kNewest = abi::FUSE_KERNEL_MINOR_VERSION;

// What the two sides can have agreed on: the kernel's own minor, the server's,
// and what changes layouts.
std::vector<Dialect> DialectsOf(uint32_t minor) {
  std::vector<Dialect> dialects;
  for (uint32_t kernel_minor : {minor, kNewest}) {
    for (uint64_t flags : {uint64_t{0}, abi::FUSE_SETXATTR_EXT}) {
      dialects.push_back({minor, kernel_minor, flags, proto::kLongNameMax});
      dialects.push_back({minor, kernel_minor, flags, proto::kShortNameMax});
    }
  }
  return dialects;
}

std::string Where(std::string_view name, const Dialect& dialect,
                  uint64_t seed) {
  return std::string(name) + " at minor " + std::to_string(dialect.minor) +
         ", kernel " + std::to_string(dialect.kernel_minor) + ", seed " +
         std::to_string(seed);
}

class MinorTest : public ::testing::TestWithParam<uint32_t> {};

TEST_P(MinorTest, RequestsSurvive) {
  std::vector<std::byte> first(kRoom), second(kRoom);
  for (uint32_t opcode : AllOpcodes()) {
    for (const Dialect& dialect : DialectsOf(GetParam())) {
      for (uint64_t seed = 0; seed < 6; ++seed) {
        SCOPED_TRACE(Where(proto::OperationName(opcode), dialect, seed));
        RandomParts parts(seed * 1000 + opcode);
        const proto::Request made =
            testing::RandomRequest(opcode, dialect, &parts);
        proto::Encoded once = EncodeRequest(made, dialect, first);
        ASSERT_TRUE(once.ok()) << FaultText(once.fault);
        const proto::Bytes bytes = proto::Bytes(first).first(once.size);

        proto::Request decoded;
        proto::DecodeError error =
            proto::DecodeRequest(bytes, dialect, &decoded);
        ASSERT_TRUE(error.ok())
            << FaultText(error.fault) << " at " << error.offset;
        EXPECT_EQ(decoded.header.unique, made.header.unique);
        EXPECT_EQ(decoded.operation.index(), made.operation.index());

        proto::Encoded twice = EncodeRequest(decoded, dialect, second);
        ASSERT_EQ(twice.size, once.size);
        ASSERT_EQ(std::memcmp(first.data(), second.data(), once.size), 0);
        // And in no less room.
        EXPECT_EQ(
            EncodeRequest(made, dialect, {second.data(), once.size - 1}).fault,
            proto::Fault::kNoRoom);
      }
    }
  }
}

TEST_P(MinorTest, RepliesSurvive) {
  std::vector<std::byte> first(kRoom), second(kRoom);
  for (uint32_t opcode : AllOpcodes()) {
    const proto::Operation& operation = *proto::FindOperation(opcode);
    for (const Dialect& dialect : DialectsOf(GetParam())) {
      for (uint64_t seed = 0; seed < 6; ++seed) {
        SCOPED_TRACE(Where(operation.name, dialect, seed));
        RandomParts parts(seed * 1000 + opcode);
        const proto::Request request =
            testing::RandomRequest(opcode, dialect, &parts);
        const proto::Asked asked = proto::WhatIsAsked(request);
        const proto::ReplyMessage made = testing::RandomReply(request, &parts);
        proto::Encoded once = EncodeReply(made, dialect, first);
        ASSERT_TRUE(once.ok()) << FaultText(once.fault);
        const proto::Bytes bytes = proto::Bytes(first).first(once.size);

        proto::ReplyMessage decoded;
        proto::DecodeError error =
            proto::DecodeReply(bytes, asked, dialect, &decoded);
        if (operation.owed == proto::Owed::kNothing ||
            operation.owed == proto::Owed::kCommit) {
          EXPECT_EQ(error.fault, proto::Fault::kUnexpectedReply);
          continue;
        }
        ASSERT_TRUE(error.ok())
            << FaultText(error.fault) << " at " << error.offset;
        proto::Encoded twice = EncodeReply(decoded, dialect, second);
        ASSERT_EQ(twice.size, once.size);
        ASSERT_EQ(std::memcmp(first.data(), second.data(), once.size), 0);
        EXPECT_EQ(
            EncodeReply(made, dialect, {second.data(), once.size - 1}).fault,
            proto::Fault::kNoRoom);
        // The same where the data is kept apart.
        const size_t cut = sizeof(abi::fuse_out_header);
        if (std::holds_alternative<proto::DataOut>(decoded.body)) {
          EXPECT_TRUE(proto::DecodeReply(bytes.first(cut), bytes.subspan(cut),
                                         asked, dialect, &decoded)
                          .ok());
        }
      }
    }
  }
}

TEST_P(MinorTest, NotificationsSurvive) {
  std::vector<std::byte> first(kRoom), second(kRoom);
  for (uint32_t code = abi::FUSE_NOTIFY_POLL; code <= abi::FUSE_NOTIFY_PRUNE;
       ++code) {
    for (const Dialect& dialect : DialectsOf(GetParam())) {
      SCOPED_TRACE(Where(proto::NotificationName(code), dialect, 0));
      RandomParts parts(code);
      const proto::AnyNotification made =
          testing::RandomNotification(code, dialect, &parts);
      proto::Encoded once = EncodeNotification(made, dialect, first);
      ASSERT_TRUE(once.ok()) << FaultText(once.fault);
      const proto::Bytes bytes = proto::Bytes(first).first(once.size);
      EXPECT_TRUE(proto::IsNotification(bytes));

      proto::AnyNotification decoded;
      proto::DecodeError error = DecodeNotification(bytes, dialect, &decoded);
      ASSERT_TRUE(error.ok()) << FaultText(error.fault);
      proto::Encoded twice = EncodeNotification(decoded, dialect, second);
      ASSERT_EQ(twice.size, once.size);
      ASSERT_EQ(std::memcmp(first.data(), second.data(), once.size), 0);
      EXPECT_EQ(
          EncodeNotification(made, dialect, {second.data(), once.size - 1})
              .fault,
          proto::Fault::kNoRoom);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Minors, MinorTest, ::testing::Range(1u, kNewest + 1));

// --- Damage ---

class DamageTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  char line_[proto::kDescribeBuffer];
};

TEST_P(DamageTest, OfRequestsIsAValueOrAnError) {
  const uint32_t opcode = GetParam();
  Dialect dialect;
  dialect.flags = abi::FUSE_SECURITY_CTX | abi::FUSE_SETXATTR_EXT;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    dialect.kernel_minor = dialect.minor = seed == 0 ? 37 : kNewest;
    RandomParts parts(seed);
    std::vector<std::byte> buffer(kRoom);
    proto::Encoded encoded = EncodeRequest(
        testing::RandomRequest(opcode, dialect, &parts), dialect, buffer);
    ASSERT_TRUE(encoded.ok());
    ForEachDamage(
        proto::Bytes(buffer).first(encoded.size), [&](proto::Bytes damaged) {
          proto::Request request;
          proto::DecodeError error =
              proto::DecodeRequest(damaged, dialect, &request);
          EXPECT_EQ(error.ok(),
                    !std::holds_alternative<std::monostate>(request.operation));
          EXPECT_LE(error.offset, damaged.size());
          // What was taken for good can be shown and sent.
          if (!error.ok()) return;
          DescribeRequest(request, line_);
          DescribeRequest(request, line_, proto::Format::kJson);
          std::vector<std::byte> again(damaged.size());
          EXPECT_LE(EncodeRequest(request, dialect, again).size,
                    damaged.size());
        });
  }
}

TEST_P(DamageTest, OfRepliesIsAValueOrAnError) {
  const uint32_t opcode = GetParam();
  const Dialect dialect;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    RandomParts parts(seed);
    const proto::Request request =
        testing::RandomRequest(opcode, dialect, &parts);
    const proto::Asked asked = proto::WhatIsAsked(request);
    std::vector<std::byte> buffer(kRoom);
    proto::Encoded encoded =
        EncodeReply(testing::RandomReply(request, &parts), dialect, buffer);
    ASSERT_TRUE(encoded.ok());
    ForEachDamage(proto::Bytes(buffer).first(encoded.size),
                  [&](proto::Bytes damaged) {
                    proto::ReplyMessage reply;
                    proto::DecodeError error =
                        proto::DecodeReply(damaged, asked, dialect, &reply);
                    EXPECT_LE(error.offset, damaged.size());
                    if (!error.ok()) return;
                    DescribeReply(opcode, reply, line_);
                    DescribeReply(opcode, reply, line_, proto::Format::kJson);
                  });
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, DamageTest,
                         ::testing::ValuesIn(AllOpcodes()),
                         [](const auto& row) {
                           return std::string(proto::OperationName(row.param));
                         });

TEST(DamageTest, OfNotificationsIsAValueOrAnError) {
  const Dialect dialect;
  char line[proto::kDescribeBuffer];
  for (uint32_t code = abi::FUSE_NOTIFY_POLL; code <= abi::FUSE_NOTIFY_PRUNE;
       ++code) {
    RandomParts parts(code);
    std::vector<std::byte> buffer(kRoom);
    proto::Encoded encoded = EncodeNotification(
        testing::RandomNotification(code, dialect, &parts), dialect, buffer);
    ASSERT_TRUE(encoded.ok());
    ForEachDamage(
        proto::Bytes(buffer).first(encoded.size), [&](proto::Bytes damaged) {
          proto::AnyNotification notification;
          proto::DecodeError error =
              DecodeNotification(damaged, dialect, &notification);
          EXPECT_LE(error.offset, damaged.size());
          DescribeNotification(notification, line);
          DescribeNotification(notification, line, proto::Format::kJson);
        });
  }
}

}  // namespace
}  // namespace barefuse
