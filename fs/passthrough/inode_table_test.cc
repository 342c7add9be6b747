#include "fs/passthrough/inode_table.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace barefuse {
namespace {

// Real files, in a directory that goes with the test. Bazel's is on a disk.
class InodeTableTest : public ::testing::Test {
 protected:
  InodeTableTest() {
    const char* place = getenv("TEST_TMPDIR");
    path_ = std::string(place == nullptr ? "/tmp" : place) + "/XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    auto table = InodeTable::Create(OpenPath(path_), 8, false);
    EXPECT_TRUE(table.ok()) << table.status();
    table_ = *std::move(table);
  }
  ~InodeTableTest() override {
    for (const std::string& name : names_) unlink(PathOf(name).c_str());
    rmdir(path_.c_str());
  }

  static UniqueFd OpenPath(const std::string& path) {
    return UniqueFd(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  std::string PathOf(const std::string& name) { return path_ + "/" + name; }
  void Make(const std::string& name) {
    names_.push_back(name);
    UniqueFd fd(
        open(PathOf(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd);
  }
  NodeId Lookup(const std::string& name) {
    Inode inode;
    struct statx info;
    EXPECT_EQ(table_->Lookup(OpenPath(PathOf(name)), 0, &inode, &info), 0);
    return inode.node;
  }
  ino_t InoOf(NodeId node) {
    Inode inode;
    struct stat info {};
    EXPECT_EQ(table_->Open(node, &inode), 0);
    EXPECT_EQ(fstat(inode.fd.get(), &info), 0);
    return info.st_ino;
  }
  int OpenError(NodeId node) {
    Inode inode;
    return table_->Open(node, &inode);
  }

  std::string path_;
  std::vector<std::string> names_;
  std::unique_ptr<InodeTable> table_;
};

TEST_F(InodeTableTest, TheRootIsThereAndStays) {
  EXPECT_EQ(table_->size(), 1u);
  table_->Forget(abi::FUSE_ROOT_ID, 100);
  EXPECT_EQ(OpenError(abi::FUSE_ROOT_ID), 0);
}

TEST_F(InodeTableTest, HardLinksShareAnInode) {
  Make("a");
  names_.push_back("b");
  ASSERT_EQ(link(PathOf("a").c_str(), PathOf("b").c_str()), 0);
  Make("c");
  EXPECT_EQ(Lookup("a"), Lookup("b"));
  EXPECT_NE(Lookup("a"), Lookup("c"));
  EXPECT_EQ(table_->size(), 3u);
}

TEST_F(InodeTableTest, KeepsAnInodeForAsManyLookupsAsItTook) {
  Make("a");
  const NodeId node = Lookup("a");
  Lookup("a");
  table_->Forget(node, 1);
  EXPECT_EQ(OpenError(node), 0);
  table_->Forget(node, 1);
  EXPECT_EQ(OpenError(node), ESTALE);
  // The number is not used again, so that a late request cannot meet another
  // file.
  EXPECT_NE(Lookup("a"), node);
}

TEST_F(InodeTableTest, TakesNoHarmFromWrongForgets) {
  Make("a");
  table_->Forget(12345, 1);
  table_->Forget(0, ~uint64_t{0});
  const NodeId node = Lookup("a");
  table_->Forget(node, ~uint64_t{0});
  EXPECT_EQ(OpenError(node), ESTALE);
  EXPECT_EQ(OpenError(0), ESTALE);
  EXPECT_EQ(OpenError(~uint64_t{0}), ESTALE);
  EXPECT_EQ(table_->size(), 1u);
}

TEST_F(InodeTableTest, OpensMoreInodesThanItKeepsDescriptors) {
  std::vector<NodeId> nodes;
  std::vector<ino_t> numbers;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "f" + std::to_string(i);
    Make(name);
    nodes.push_back(Lookup(name));
    struct stat info {};
    ASSERT_EQ(stat(PathOf(name).c_str(), &info), 0);
    numbers.push_back(info.st_ino);
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(InoOf(nodes[i]), numbers[i]) << i;
  }
}

TEST_F(InodeTableTest, AFileThatIsReplacedIsAnotherInode) {
  Make("a");
  const NodeId before = Lookup("a");
  ASSERT_EQ(unlink(PathOf("a").c_str()), 0);
  Make("a");  // many filesystems use the number again at once
  EXPECT_NE(Lookup("a"), before);
}

TEST_F(InodeTableTest, APinnedInodeIsFoundWithoutAName) {
  Make("a");
  const NodeId node = Lookup("a");
  PathFd fd(OpenPath(PathOf("a")));
  struct statx info;
  EXPECT_EQ(table_->Peek(fd, 0, &info), node);
  table_->Pin(node, fd);
  fd = PathFd();
  ASSERT_EQ(unlink(PathOf("a").c_str()), 0);
  EXPECT_EQ(InoOf(node), info.stx_ino);
  table_->Forget(node, 1);
  EXPECT_EQ(OpenError(node), ESTALE);
}

TEST_F(InodeTableTest, OpenFilesShareWhatBelongsToTheirInode) {
  Make("a");
  Inode inode;
  struct statx info;
  ASSERT_EQ(table_->Lookup(OpenPath(PathOf("a")), 0, &inode, &info), 0);
  auto first = table_->Share(inode);
  auto second = table_->Share(inode);
  EXPECT_EQ(first, second);
  std::weak_ptr<OpenInode> watched = first;
  first.reset();
  EXPECT_FALSE(watched.expired());
  second.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_NE(table_->Share(inode), nullptr);
}

TEST_F(InodeTableTest, GivesMemoryBack) {
  // More than the smallest tables hold.
  constexpr int kMany = 3000;
  std::vector<NodeId> nodes;
  for (int i = 0; i < kMany; ++i) {
    const std::string name = "f" + std::to_string(i);
    Make(name);
    nodes.push_back(Lookup(name));
  }
  EXPECT_EQ(table_->size(), kMany + 1u);
  for (NodeId node : nodes) table_->Forget(node, 1);
  EXPECT_EQ(table_->size(), 1u);
  for (int i = 0; i < 10; ++i) EXPECT_NE(Lookup("f" + std::to_string(i)), 0u);
}

}  // namespace
}  // namespace barefuse
