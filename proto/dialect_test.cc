#include "proto/dialect.h"

#include <gtest/gtest.h>

namespace barefuse::proto {
namespace {

Dialect Minor(uint32_t minor) { return {minor, minor, 0, kLongNameMax}; }

// The size of a request's fixed struct, as a kernel of that minor sends it.
size_t Sent(uint32_t opcode, uint32_t minor) {
  return Minor(minor).SentSize(*FindOperation(opcode));
}

TEST(Dialect, RequestsGrewWithTheirMinors) {
  struct Row {
    uint32_t opcode;
    size_t before;
    size_t since;
    uint32_t minor;
  };
  const Row rows[] = {
      {abi::FUSE_FLUSH, 16, 24, 7},      {abi::FUSE_RELEASE, 16, 24, 8},
      {abi::FUSE_RELEASEDIR, 16, 24, 8}, {abi::FUSE_GETATTR, 0, 16, 9},
      {abi::FUSE_READ, 24, 40, 9},       {abi::FUSE_READDIR, 24, 40, 9},
      {abi::FUSE_WRITE, 24, 40, 9},      {abi::FUSE_GETLK, 40, 48, 9},
      {abi::FUSE_SETLK, 40, 48, 9},      {abi::FUSE_SETLKW, 40, 48, 9},
      {abi::FUSE_MKNOD, 8, 16, 12},      {abi::FUSE_CREATE, 8, 16, 12},
      {abi::FUSE_INIT, 8, 16, 6},        {abi::FUSE_INIT, 16, 64, 36},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Sent(row.opcode, row.minor - 1), row.before)
        << OperationName(row.opcode) << " before 7." << row.minor;
    EXPECT_EQ(Sent(row.opcode, row.minor), row.since)
        << OperationName(row.opcode) << " since 7." << row.minor;
  }
  // The others never did.
  for (const Operation& operation : kOperations) {
    if (operation.name.empty() || operation.grew != 0 ||
        operation.opcode == abi::FUSE_INIT ||
        operation.opcode == abi::FUSE_SETXATTR) {
      continue;
    }
    for (uint32_t minor = 1; minor <= 45; ++minor) {
      EXPECT_EQ(Sent(operation.opcode, minor), operation.fixed_size)
          << operation.name;
    }
  }
}

TEST(Dialect, ANewKernelShrinksOnlyWhatHasBytesBehindIt) {
  const Dialect dialect{8, 45, 0, kLongNameMax};
  auto sent = [&](uint32_t opcode) {
    return dialect.SentSize(*FindOperation(opcode));
  };
  EXPECT_EQ(sent(abi::FUSE_WRITE), 24u);
  EXPECT_EQ(sent(abi::FUSE_MKNOD), 8u);
  EXPECT_EQ(sent(abi::FUSE_CREATE), 8u);
  EXPECT_EQ(sent(abi::FUSE_READ), 40u);
  EXPECT_EQ(sent(abi::FUSE_GETATTR), 16u);
  EXPECT_EQ(sent(abi::FUSE_FLUSH), 24u);
}

TEST(Dialect, SetxattrGrowsWithACapability) {
  const Operation& setxattr = *FindOperation(abi::FUSE_SETXATTR);
  for (uint32_t minor : {1u, 32u, 33u, 45u}) {
    Dialect dialect = Minor(minor);
    EXPECT_EQ(dialect.SentSize(setxattr), 8u);
    dialect.flags = abi::FUSE_SETXATTR_EXT;
    EXPECT_EQ(dialect.SentSize(setxattr), 16u);
  }
}

TEST(Dialect, EitherSizeIsWholeWhereNothingFollows) {
  const Operation& read = *FindOperation(abi::FUSE_READ);
  EXPECT_TRUE(Dialect::IsWholeSize(read, 24));
  EXPECT_TRUE(Dialect::IsWholeSize(read, 40));
  EXPECT_FALSE(Dialect::IsWholeSize(read, 32));
  const Operation& open = *FindOperation(abi::FUSE_OPEN);
  EXPECT_TRUE(Dialect::IsWholeSize(open, 8));
  EXPECT_FALSE(Dialect::IsWholeSize(open, 0));
}

}  // namespace
}  // namespace barefuse::proto
