// What is shown of any message is valid: JSON that parses, lines that are one.
#include <gtest/gtest.h>

#include "proto/describe.h"
#include "tests/codec/json_checker.h"
#include "tests/codec/random_messages.h"

namespace barefuse {
namespace {

using testing::IsJson;
using testing::RandomParts;

// Room for names of the greatest length, all escaped.
constexpr size_t kLarge = 1 << 17;

class DescribeTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  void ExpectGood(std::string_view json, std::string_view text) {
    EXPECT_TRUE(IsJson(json)) << json;
    EXPECT_FALSE(text.empty());
    for (char c : text) {
      ASSERT_TRUE(c >= 0x20 && c < 0x7f) << "in: " << text;
    }
  }

  proto::Dialect dialect_;
  std::vector<char> json_ = std::vector<char>(kLarge);
  std::vector<char> text_ = std::vector<char>(kLarge);
};

TEST_P(DescribeTest, IsValid) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    RandomParts parts(seed);
    const proto::Request request =
        testing::RandomRequest(GetParam(), dialect_, &parts);
    ExpectGood(DescribeRequest(request, json_, proto::Format::kJson),
               DescribeRequest(request, text_));
    const proto::ReplyMessage reply = testing::RandomReply(request, &parts);
    ExpectGood(DescribeReply(GetParam(), reply, json_, proto::Format::kJson),
               DescribeReply(GetParam(), reply, text_));
  }
}

TEST_P(DescribeTest, IsWholeOrNothing) {
  RandomParts parts(1);
  const proto::Request request =
      testing::RandomRequest(GetParam(), dialect_, &parts);
  const std::string whole(
      DescribeRequest(request, json_, proto::Format::kJson));
  for (size_t room = 0; room < whole.size(); room += 1 + room / 20) {
    EXPECT_EQ(
        DescribeRequest(request, {json_.data(), room}, proto::Format::kJson),
        "");
    std::string_view text = DescribeRequest(request, {text_.data(), room});
    EXPECT_LE(text.size(), room);
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, DescribeTest,
                         ::testing::ValuesIn(testing::AllOpcodes()),
                         [](const auto& row) {
                           return std::string(proto::OperationName(row.param));
                         });

TEST_F(DescribeTest, NotificationsAreValid) {
  for (uint32_t code = abi::FUSE_NOTIFY_POLL; code <= abi::FUSE_NOTIFY_PRUNE;
       ++code) {
    RandomParts parts(code);
    const proto::AnyNotification notification =
        testing::RandomNotification(code, dialect_, &parts);
    ExpectGood(DescribeNotification(notification, json_, proto::Format::kJson),
               DescribeNotification(notification, text_));
  }
}

TEST_F(DescribeTest, NamesThatAreNotUtf8BecomeSurrogates) {
  proto::Request request;
  request.header.opcode = abi::FUSE_LOOKUP;
  request.operation = proto::Lookup{"a\xff\xc3\xa9\n\""};
  EXPECT_EQ(DescribeRequest(request, json_, proto::Format::kJson),
            "{\"unique\":0,\"op\":\"LOOKUP\",\"node\":0,\"caller\":{\"uid\":0,"
            "\"gid\":0,\"pid\":0},\"args\":{\"name\":\"a\\udcff\xc3\xa9\\u000a"
            "\\\"\"}}");
}

TEST_F(DescribeTest, TimesAreReadable) {
  abi::fuse_attr_out out{};
  out.attr.mtime = 1;
  out.attr.ctime = static_cast<uint64_t>(-1);
  out.attr.atime = 1709164800;  // a leap day
  out.attr.atimensec = 5;
  out.attr_valid = 1;
  out.attr_valid_nsec = 500'000'000;
  proto::ReplyMessage reply;
  reply.body = out;
  const std::string text(DescribeReply(abi::FUSE_GETATTR, reply, text_));
  out.attr_valid_nsec = 2'000'000'005;
  reply.body = out;
  EXPECT_NE(DescribeReply(abi::FUSE_GETATTR, reply, json_, proto::Format::kJson)
                .find("\"attr_valid\":3.000000005"),
            std::string_view::npos);
  EXPECT_NE(text.find("attr_valid=1.500000000s"), text.npos) << text;
  EXPECT_NE(text.find("mtime=1970-01-01T00:00:01Z"), text.npos) << text;
  EXPECT_NE(text.find("ctime=1969-12-31T23:59:59Z"), text.npos) << text;
  EXPECT_NE(text.find("atime=2024-02-29T00:00:00.000000005Z"), text.npos)
      << text;
}

}  // namespace
}  // namespace barefuse
