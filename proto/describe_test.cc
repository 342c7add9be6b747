#include "proto/describe.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/encode_reply.h"
#include "tests/testing/messages.h"

namespace barefuse::proto {
namespace {

using barefuse::testing::MessageBuilder;

std::string Described(const MessageBuilder& message) {
  auto bytes = message.Bytes();
  Request request;
  DecodeError error = DecodeRequest(bytes, Dialect{}, &request);
  EXPECT_TRUE(error.ok()) << FaultText(error.fault);
  char line[1024];
  return std::string(DescribeRequest(request, line));
}

template <class Out>
std::string DescribedReply(uint32_t opcode, const Out& out) {
  ReplyHead head;
  head.Encode(Dialect{}, out);
  head.Finish(2, 0);
  ReplyMessage reply;
  DecodeError error = DecodeReply(head.bytes(), {opcode, 0}, Dialect{}, &reply);
  EXPECT_TRUE(error.ok()) << FaultText(error.fault);
  char line[2048];
  return std::string(DescribeReply(opcode, reply, line));
}

TEST(DescribeRequest, SaysWhoAsksWhat) {
  EXPECT_EQ(Described(MessageBuilder(abi::FUSE_LOOKUP).Name("a")),
            "#2 LOOKUP node=1 uid=1000 gid=100 pid=77 name=\"a\"");
}

TEST(DescribeRequest, HasNoCallerWhereThereIsNone) {
  abi::fuse_release_in in{};
  in.fh = 8;
  in.flags = O_RDWR | O_APPEND;
  EXPECT_EQ(Described(MessageBuilder(abi::FUSE_RELEASE, 3).Struct(in)),
            "#2 RELEASE node=3 fh=8 flags=O_RDWR|O_APPEND");
}

TEST(DescribeRequest, ShowsBothNamesOfARename) {
  const std::string line = Described(MessageBuilder(abi::FUSE_RENAME2)
                                         .Struct(abi::fuse_rename2_in{4, 1, 0})
                                         .Name("from")
                                         .Name("to"));
  EXPECT_NE(line.find("old=\"from\" newdir=4 new=\"to\" flags=NOREPLACE"),
            line.npos)
      << line;
}

TEST(DescribeRequest, EscapesWhatCouldBreakTheLine) {
  const std::string line =
      Described(MessageBuilder(abi::FUSE_LOOKUP).Name("a\n\"\\\xff"));
  EXPECT_NE(line.find(R"(name="a\x0a\"\\\xff")"), line.npos) << line;
}

TEST(DescribeRequest, CutsOffWhereTheBufferIsFull) {
  auto bytes =
      MessageBuilder(abi::FUSE_LOOKUP).Name(std::string(300, 'x')).Bytes();
  Request request;
  ASSERT_TRUE(DecodeRequest(bytes, Dialect{}, &request).ok());
  char line[64];
  std::string_view text = DescribeRequest(request, line);
  EXPECT_EQ(text.size(), 64u);
  EXPECT_TRUE(text.ends_with("...")) << text;
}

TEST(DescribeReply, ShowsTheStackDepthOfInit) {
  abi::fuse_init_out out{};
  out.major = 7;
  out.minor = 45;
  out.max_stack_depth = 2;
  out.flags = static_cast<uint32_t>(abi::FUSE_INIT_EXT);
  out.flags2 = static_cast<uint32_t>(abi::FUSE_PASSTHROUGH >> 32);
  const std::string line = DescribedReply(abi::FUSE_INIT, out);
  EXPECT_NE(line.find("max_stack_depth=2"), line.npos) << line;
  EXPECT_NE(line.find("INIT_EXT|PASSTHROUGH"), line.npos) << line;
}

TEST(DescribeReply, ShowsTheBackingIdOfAnOpen) {
  abi::fuse_open_out out{};
  out.fh = 3;
  out.open_flags = abi::FOPEN_PASSTHROUGH;
  out.backing_id = 12;
  EXPECT_EQ(DescribedReply(abi::FUSE_OPEN, out),
            "#2 OPEN = OK fh=3 open_flags=PASSTHROUGH backing_id=12");
}

TEST(DescribeReply, NamesErrors) {
  ReplyMessage reply;
  reply.header.unique = 2;
  reply.header.error = -ENOENT;
  char line[256];
  EXPECT_EQ(DescribeReply(abi::FUSE_LOOKUP, reply, line), "#2 LOOKUP = ENOENT");
  EXPECT_EQ(DescribeReply(99, reply, line), "#2 opcode 99 = ENOENT");
  reply.header.error = INT32_MIN;  // what a decoder has found fault with
  EXPECT_EQ(DescribeReply(abi::FUSE_LOOKUP, reply, line),
            "#2 LOOKUP = error -2147483648");
  reply.header.error = -511;
  EXPECT_EQ(DescribeReply(abi::FUSE_LOOKUP, reply, line),
            "#2 LOOKUP = error -511");
}

}  // namespace
}  // namespace barefuse::proto
