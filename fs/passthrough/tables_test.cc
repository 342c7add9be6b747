#include <fcntl.h>
#include <gtest/gtest.h>

#include "fs/passthrough/inode_table.h"

namespace barefuse {
namespace {

struct stat File(ino_t ino, dev_t dev = 1) {
  struct stat info {};
  info.st_dev = dev;
  info.st_ino = ino;
  info.st_mode = S_IFREG | 0644;
  return info;
}

UniqueFd AnyFd() { return UniqueFd(open("/", O_PATH | O_CLOEXEC)); }

TEST(InodeTable, KnowsTheRootForGood) {
  InodeTable table(AnyFd(), File(2));
  ASSERT_NE(table.Find(abi::FUSE_ROOT_ID), nullptr);
  table.Forget(abi::FUSE_ROOT_ID, 100);
  EXPECT_NE(table.Find(abi::FUSE_ROOT_ID), nullptr);
  // ".." of a directory in it, or a hard link, leads back to it.
  EXPECT_EQ(table.Lookup(AnyFd(), File(2))->node, abi::FUSE_ROOT_ID);
}

TEST(InodeTable, OneInodePerDeviceAndNumber) {
  InodeTable table(AnyFd(), File(2));
  const NodeId first = table.Lookup(AnyFd(), File(10))->node;
  EXPECT_EQ(table.Lookup(AnyFd(), File(10))->node, first);
  EXPECT_NE(table.Lookup(AnyFd(), File(10, 2))->node, first);
  EXPECT_NE(table.Lookup(AnyFd(), File(11))->node, first);
  EXPECT_EQ(table.size(), 4u);
}

TEST(InodeTable, ForgetsAtTheLastLookup) {
  InodeTable table(AnyFd(), File(2));
  const NodeId node = table.Lookup(AnyFd(), File(10))->node;
  table.Lookup(AnyFd(), File(10));
  table.Forget(node, 1);
  EXPECT_NE(table.Find(node), nullptr);
  table.Forget(node, 1);
  EXPECT_EQ(table.Find(node), nullptr);
  // The number is not used again, so that a late request cannot meet another
  // file.
  EXPECT_NE(table.Lookup(AnyFd(), File(10))->node, node);
}

TEST(InodeTable, TakesNoHarmFromWrongForgets) {
  InodeTable table(AnyFd(), File(2));
  table.Forget(12345, 1);
  table.Forget(0, ~uint64_t{0});
  const NodeId node = table.Lookup(AnyFd(), File(10))->node;
  table.Forget(node, ~uint64_t{0});
  EXPECT_EQ(table.Find(node), nullptr);
  EXPECT_EQ(table.size(), 1u);
}

TEST(InodeTable, AnInodeInUseOutlivesItsForget) {
  InodeTable table(AnyFd(), File(2));
  std::shared_ptr<Inode> held = table.Lookup(AnyFd(), File(10));
  table.Forget(held->node, 1);
  EXPECT_TRUE(held->fd);
}

}  // namespace
}  // namespace barefuse
