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

TEST(DirectoryWriter, TakesNoEmptyName) {
  std::vector<std::byte> buffer(64);
  DirectoryWriter writer(buffer);
  EXPECT_FALSE(writer.Add("", 1, DT_REG, 1));
  EXPECT_EQ(writer.size(), 0u);
}

TEST(DirectoryWriter, WritesEntriesInTheSizeOfTheMinor) {
  abi::fuse_entry_out entry{};
  entry.nodeid = 5;
  entry.attr.ino = 55;
  std::vector<std::byte> buffer(512);
  Dialect now;
  Dialect old;
  old.minor = 8;
  DirectoryWriter writer(buffer);
  ASSERT_TRUE(writer.AddPlus(now, entry, "x", DT_REG, 1));
  EXPECT_EQ(writer.size(), 160u);  // 128 + 24 + 1, padded
  ASSERT_TRUE(writer.AddPlus(old, entry, "x", DT_REG, 2));
  EXPECT_EQ(writer.size(), 160u + 152u);  // 120 + 24 + 1, padded
  abi::fuse_dirent dirent;
  std::memcpy(&dirent, buffer.data() + 160 + 120, sizeof dirent);
  EXPECT_EQ(dirent.ino, 55u);
  EXPECT_EQ(dirent.off, 2u);
}

}  // namespace
}  // namespace barefuse::proto
