#include "proto/encode_reply.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace barefuse::proto {
namespace {

Dialect Minor(uint32_t minor) {
  Dialect dialect;
  dialect.minor = minor;
  return dialect;
}

template <class Out>
size_t SizeAt(uint32_t minor, const Out& out) {
  ReplyHead head;
  head.Encode(Minor(minor), out);
  head.Finish(1, 0);
  EXPECT_EQ(head.header().len, head.bytes().size());
  return head.bytes().size() - sizeof(abi::fuse_out_header);
}

TEST(ReplyHead, FollowsTheNegotiatedMinor) {
  EXPECT_EQ(SizeAt(8, abi::fuse_entry_out{}), 120u);
  EXPECT_EQ(SizeAt(9, abi::fuse_entry_out{}), 128u);
  EXPECT_EQ(SizeAt(8, abi::fuse_attr_out{}), 96u);
  EXPECT_EQ(SizeAt(9, abi::fuse_attr_out{}), 104u);
  EXPECT_EQ(SizeAt(3, abi::fuse_statfs_out{}), 48u);
  EXPECT_EQ(SizeAt(4, abi::fuse_statfs_out{}), 80u);
  EXPECT_EQ(SizeAt(4, abi::fuse_init_out{}), 8u);
  EXPECT_EQ(SizeAt(5, abi::fuse_init_out{}), 24u);
  EXPECT_EQ(SizeAt(22, abi::fuse_init_out{}), 24u);
  EXPECT_EQ(SizeAt(23, abi::fuse_init_out{}), 64u);
  EXPECT_EQ(SizeAt(8, CreateOut{}), 136u);
  EXPECT_EQ(SizeAt(45, CreateOut{}), 144u);
  CreateOut tmpfile;
  tmpfile.tmpfile = true;
  EXPECT_EQ(SizeAt(8, tmpfile), 144u);
  EXPECT_EQ(SizeAt(45, tmpfile), 144u);
  EXPECT_EQ(SizeAt(45, abi::fuse_statx_out{}), 288u);
}

TEST(ReplyHead, CountsTheDataThatGoesWithIt) {
  ReplyHead head;
  head.Encode(Dialect{});
  head.Finish(77, 4096);
  EXPECT_EQ(head.header().len, 16u + 4096u);
  EXPECT_EQ(head.header().error, 0);
  EXPECT_EQ(head.header().unique, 77u);
  EXPECT_EQ(head.bytes().size(), 16u);
}

TEST(ReplyHead, AnErrorIsTheHeaderAlone) {
  ReplyHead head;
  head.Encode(Dialect{}, abi::fuse_entry_out{});
  head.FinishError(5, ENOENT);
  EXPECT_EQ(head.bytes().size(), 16u);
  EXPECT_EQ(head.header().len, 16u);
  EXPECT_EQ(head.header().error, -ENOENT);
}

TEST(ReplyHead, SendsNoErrnoThatTheKernelRefuses) {
  for (int wrong : {0, -1, -ENOENT, 512, 1 << 30}) {
    ReplyHead head;
    head.FinishError(5, wrong);
    EXPECT_EQ(head.header().error, -EIO) << wrong;
  }
  ReplyHead head;
  head.FinishError(5, 511);
  EXPECT_EQ(head.header().error, -511);
}

}  // namespace
}  // namespace barefuse::proto
