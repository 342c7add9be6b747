#include "proto/directory.h"

#include <dirent.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace barefuse::proto {
namespace {

TEST(DirectoryWriter, WritesPaddedRecords) {
  std::vector<std::byte> buffer(64, std::byte{0xff});
  DirectoryWriter writer(buffer);
  ASSERT_TRUE(writer.Add("abc", 7, DT_REG, 1));
  ASSERT_TRUE(writer.Add("12345678", 8, DT_DIR, 2));
  EXPECT_EQ(writer.size(), 64u);  // 24 + 3 padded to 32, 24 + 8

  abi::fuse_dirent entry;
  std::memcpy(&entry, buffer.data(), sizeof entry);
  EXPECT_EQ(entry.ino, 7u);
  EXPECT_EQ(entry.off, 1u);
  EXPECT_EQ(entry.namelen, 3u);
  EXPECT_EQ(entry.type, static_cast<uint32_t>(DT_REG));
  EXPECT_EQ(std::memcmp(buffer.data() + 24, "abc\0\0\0\0\0", 8), 0);
  EXPECT_EQ(std::memcmp(buffer.data() + 56, "12345678", 8), 0);
}

TEST(DirectoryWriter, NeverOverruns) {
  for (size_t room = 0; room <= 40; ++room) {
    std::vector<std::byte> buffer(room + 1, std::byte{0xee});
    DirectoryWriter writer({buffer.data(), room});
    EXPECT_EQ(writer.Fits(3), room >= 32);
    EXPECT_EQ(writer.Add("abc", 1, DT_REG, 1), room >= 32) << room;
    EXPECT_EQ(buffer.back(), std::byte{0xee}) << room;
    EXPECT_EQ(writer.size(), room >= 32 ? 32u : 0u);
  }
}

TEST(DirectoryWriter, PassesOverNamesThatCannotBe) {
  std::vector<std::byte> buffer(8192);
  DirectoryWriter writer(buffer);
  const std::string long_name(4096, 'n');
  for (std::string_view name :
       {std::string_view(""), std::string_view("a/b"),
        std::string_view("a\0b", 3), std::string_view(long_name)}) {
    EXPECT_FALSE(DirectoryWriter::IsName(name));
    // Not "did not fit", which would be asked for again.
    EXPECT_TRUE(writer.Add(name, 1, DT_REG, 1));
    EXPECT_EQ(writer.size(), 0u);
  }
  EXPECT_TRUE(writer.Add(std::string_view(long_name).substr(1), 1, DT_REG, 1));
  EXPECT_GT(writer.size(), 4095u);
}

TEST(DirectoryWriter, WritesWholeEntries) {
  abi::fuse_entry_out entry{};
  entry.nodeid = 5;
  entry.attr.ino = 55;
  std::vector<std::byte> buffer(512);
  DirectoryWriter writer(buffer);
  ASSERT_TRUE(writer.AddPlus(entry, "x", DT_REG, 2));
  EXPECT_EQ(writer.size(), 160u);  // 128 + 24 + 1, padded
  abi::fuse_dirent dirent;
  std::memcpy(&dirent, buffer.data() + 128, sizeof dirent);
  EXPECT_EQ(dirent.ino, 55u);
  EXPECT_EQ(dirent.off, 2u);
}

}  // namespace
}  // namespace barefuse::proto
