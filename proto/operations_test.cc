#include "proto/operations.h"

#include <gtest/gtest.h>

#include <set>

#include "proto/requests.h"

namespace barefuse::proto {
namespace {

TEST(Operations, KnowsEveryOpcodeAndTheHoles) {
  size_t known = 0;
  for (uint32_t opcode = 0; opcode < kOpcodeLimit; ++opcode) {
    const Operation* operation = FindOperation(opcode);
    const bool hole = opcode == 0 || opcode == 7 || opcode == 19;
    EXPECT_EQ(operation == nullptr, hole) << opcode;
    if (operation == nullptr) continue;
    ++known;
    EXPECT_EQ(operation->opcode, opcode);
  }
  EXPECT_EQ(known, 51u);
  ASSERT_NE(FindOperation(abi::CUSE_INIT), nullptr);
  EXPECT_EQ(FindOperation(abi::CUSE_INIT)->name, "CUSE_INIT");
  for (uint32_t opcode : {54u, 4095u, 1u << 31, ~0u}) {
    EXPECT_EQ(FindOperation(opcode), nullptr) << opcode;
    EXPECT_EQ(OperationName(opcode), "?");
  }
}

TEST(Operations, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const Operation& operation : kOperations) {
    if (!operation.name.empty()) {
      EXPECT_TRUE(names.insert(operation.name).second) << operation.name;
    }
  }
}

TEST(Operations, OnlyForgetsAndAnswersOfTheKernelOweNoReply) {
  for (const Operation& operation : kOperations) {
    if (operation.name.empty()) continue;
    switch (operation.opcode) {
      case abi::FUSE_FORGET:
      case abi::FUSE_BATCH_FORGET:
        EXPECT_EQ(operation.owed, Owed::kNothing);
        break;
      case abi::FUSE_NOTIFY_REPLY:
        EXPECT_EQ(operation.owed, Owed::kCommit);
        break;
      case abi::FUSE_INTERRUPT:
        EXPECT_EQ(operation.owed, Owed::kSometimes);
        break;
      default:
        EXPECT_EQ(operation.owed, Owed::kReply) << operation.name;
        EXPECT_NE(operation.reply, ReplyKind::kNone) << operation.name;
    }
  }
}

TEST(Operations, FixedSizesAreThoseOfTheStructs) {
  auto fixed = [](uint32_t opcode) {
    return size_t{FindOperation(opcode)->fixed_size};
  };
  EXPECT_EQ(fixed(abi::FUSE_FORGET), sizeof(abi::fuse_forget_in));
  EXPECT_EQ(fixed(abi::FUSE_SETATTR), sizeof(abi::fuse_setattr_in));
  EXPECT_EQ(fixed(abi::FUSE_READ), sizeof(abi::fuse_read_in));
  EXPECT_EQ(fixed(abi::FUSE_WRITE), sizeof(abi::fuse_write_in));
  EXPECT_EQ(fixed(abi::FUSE_INIT), sizeof(abi::fuse_init_in));
  EXPECT_EQ(fixed(abi::FUSE_IOCTL), sizeof(abi::fuse_ioctl_in));
  EXPECT_EQ(fixed(abi::FUSE_STATX), sizeof(abi::fuse_statx_in));
  EXPECT_EQ(fixed(abi::FUSE_SETXATTR), sizeof(abi::fuse_setxattr_in));
  EXPECT_EQ(fixed(abi::FUSE_COPY_FILE_RANGE_64),
            sizeof(abi::fuse_copy_file_range_in));
}

}  // namespace
}  // namespace barefuse::proto
