#include "fs/memfs/file_data.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace barefuse::memfs {
namespace {

constexpr uint64_t kPage = FileData::kPageSize;
constexpr uint64_t kFar = uint64_t{1} << 62;

int64_t Write(FileData& file, uint64_t offset, std::string_view data) {
  return file.Write(offset, std::as_bytes(std::span(data)));
}
std::string Read(const FileData& file, uint64_t offset, size_t size) {
  std::string data(size, '?');
  data.resize(file.Read(offset, std::as_writable_bytes(std::span(data))));
  return data;
}

class FileDataTest : public ::testing::Test {
 protected:
  Space space_{1 << 20, 10};
  FileData file_{space_};
};

TEST_F(FileDataTest, HolesReadAsZeros) {
  EXPECT_EQ(Write(file_, 10000, "x"), 1);
  EXPECT_EQ(file_.size(), 10001u);
  EXPECT_EQ(file_.allocated(), kPage);
  EXPECT_EQ(Read(file_, 9998, 10), std::string("\0\0x", 3));
  EXPECT_EQ(Read(file_, 10001, 10), "");
  EXPECT_EQ(Read(file_, UINT64_MAX, 10), "");
}

TEST_F(FileDataTest, SizesCostNothing) {
  EXPECT_EQ(file_.Resize(kFar), 0);
  EXPECT_EQ(file_.allocated(), 0u);
  EXPECT_EQ(Read(file_, kFar - 2, 10), std::string(2, '\0'));
  EXPECT_EQ(file_.SeekData(0), -ENXIO);
  EXPECT_EQ(file_.SeekHole(5), 5);
  file_.Punch(0, kFar);
  EXPECT_EQ(file_.Resize(FileData::kMaxSize), 0);
  EXPECT_EQ(file_.Resize(FileData::kMaxSize + 1), -EFBIG);
  EXPECT_EQ(file_.Resize(UINT64_MAX), -EFBIG);
  EXPECT_EQ(space_.bytes_used(), 0u);
}

TEST_F(FileDataTest, EndsAtTheLargestSize) {
  EXPECT_EQ(Write(file_, FileData::kMaxSize - 2, "abcdef"), 2);
  EXPECT_EQ(file_.size(), FileData::kMaxSize);
  EXPECT_EQ(Write(file_, FileData::kMaxSize, "a"), -EFBIG);
  EXPECT_EQ(Write(file_, UINT64_MAX, "a"), -EFBIG);
  EXPECT_EQ(file_.Allocate(FileData::kMaxSize, 1, false), -EFBIG);
  EXPECT_EQ(file_.Allocate(1, UINT64_MAX, false), -EFBIG);
}

TEST_F(FileDataTest, WritesAsMuchAsThereIsRoom) {
  const std::string big((1 << 20) + 1, 'x');
  EXPECT_EQ(Write(file_, 1, big), (1 << 20) - 1);
  EXPECT_EQ(file_.size(), 1u << 20);
  EXPECT_EQ(Write(file_, 1 << 20, "x"), -ENOSPC);
  // What is there can still be changed.
  EXPECT_EQ(Write(file_, 5, "y"), 1);
  EXPECT_EQ(file_.Resize(1), 0);
  EXPECT_EQ(space_.bytes_used(), kPage);
}

TEST_F(FileDataTest, AllocatesAllOrNothing) {
  EXPECT_EQ(Write(file_, 0, "x"), 1);
  EXPECT_EQ(file_.Allocate(0, (1 << 20) + 1, false), -ENOSPC);
  EXPECT_EQ(file_.Allocate(0, kFar, false), -ENOSPC);
  EXPECT_EQ(space_.bytes_used(), kPage);
  EXPECT_EQ(file_.Allocate(0, 1 << 20, true), 0);
  EXPECT_EQ(space_.bytes_used(), 1u << 20);
  EXPECT_EQ(file_.size(), 1u);
  // Truncation gives back what lies beyond the end too.
  EXPECT_EQ(file_.Resize(1), 0);
  EXPECT_EQ(space_.bytes_used(), 1u << 20);
  EXPECT_EQ(file_.Resize(0), 0);
  EXPECT_EQ(space_.bytes_used(), 0u);
}

TEST_F(FileDataTest, GivesBackWhenItGoes) {
  {
    FileData other(space_);
    Write(other, 0, "x");
    Write(other, kFar, "x");
    EXPECT_EQ(space_.bytes_used(), 2 * kPage);
  }
  EXPECT_EQ(space_.bytes_used(), 0u);
}

TEST_F(FileDataTest, CopiesHolesAsHoles) {
  FileData to(space_);
  Write(file_, kFar, "data");
  Write(to, 100, "old");
  EXPECT_EQ(FileData::Copy(file_, 0, to, 0, UINT64_MAX),
            static_cast<int64_t>(kFar + 4));
  EXPECT_EQ(to.size(), kFar + 4);
  EXPECT_EQ(Read(to, 100, 3), std::string(3, '\0'));
  EXPECT_EQ(Read(to, kFar, 9), "data");
  EXPECT_EQ(FileData::Copy(file_, kFar + 4, to, 0, 1), 0);
  EXPECT_EQ(FileData::Copy(file_, 0, to, UINT64_MAX, 1), -EFBIG);
}

// A string, and which of its pages exist.
struct Model {
  std::string bytes;
  std::vector<bool> pages = std::vector<bool>(64, false);

  void Mark(uint64_t offset, uint64_t length, bool exist, bool whole) {
    for (uint64_t page = 0; page < pages.size(); ++page) {
      const uint64_t start = page * kPage;
      const bool inside = start >= offset && start + kPage <= offset + length;
      const bool touched = start < offset + length && offset < start + kPage;
      if (whole ? inside : touched) pages[page] = exist;
    }
  }
  void Fill(uint64_t offset, uint64_t length) {
    for (uint64_t i = offset; i < offset + length && i < bytes.size(); ++i) {
      bytes[i] = '\0';
    }
  }
};

TEST(FileDataModel, DoesWhatAStringDoes) {
  constexpr uint64_t kRange = 40 * kPage;
  std::mt19937_64 random(20240229);
  Space space(64 * kPage, 1);
  FileData file(space);
  Model model;
  auto pick = [&random](uint64_t limit) { return random() % limit; };
  for (int step = 0; step < 20000; ++step) {
    const uint64_t offset = pick(kRange);
    uint64_t length = 1 + pick(pick(4) == 0 ? 12 * kPage : 300);
    if (pick(4) == 0) length = kPage * (1 + pick(4));
    const uint64_t from = pick(3) == 0 ? offset / kPage * kPage : offset;
    const uint64_t end = from + length;
    switch (pick(8)) {
      case 0:
      case 1: {
        const std::string data(length, static_cast<char>('a' + pick(26)));
        ASSERT_EQ(Write(file, from, data), static_cast<int64_t>(length));
        if (model.bytes.size() < end) model.bytes.resize(end);
        model.bytes.replace(from, length, data);
        model.Mark(from, length, true, false);
        break;
      }
      case 2:
        ASSERT_EQ(file.Resize(from), 0);
        if (from < model.bytes.size()) {
          const uint64_t first = (from + kPage - 1) / kPage;
          for (size_t i = first; i < model.pages.size(); ++i) {
            model.pages[i] = false;
          }
        }
        model.bytes.resize(from);
        break;
      case 3:
        file.Punch(from, length);
        model.Fill(from, length);
        model.Mark(from, length, false, true);
        break;
      case 4: {
        const bool keep = pick(2) == 0;
        ASSERT_EQ(file.Zero(from, length, keep), 0);
        model.Fill(from, length);
        model.Mark(from, length, true, false);
        if (!keep && model.bytes.size() < end) model.bytes.resize(end);
        break;
      }
      case 5: {
        const bool keep = pick(2) == 0;
        ASSERT_EQ(file.Allocate(from, length, keep), 0);
        model.Mark(from, length, true, false);
        if (!keep && model.bytes.size() < end) model.bytes.resize(end);
        break;
      }
      case 6: {
        const std::string expected =
            from < model.bytes.size() ? model.bytes.substr(from, length) : "";
        ASSERT_EQ(Read(file, from, length), expected);
        break;
      }
      default: {
        int64_t data = -ENXIO;
        int64_t hole = -ENXIO;
        const uint64_t size = model.bytes.size();
        if (from < size) hole = static_cast<int64_t>(size);
        for (uint64_t at = from; at < size; at = (at / kPage + 1) * kPage) {
          const bool exists = model.pages[at / kPage];
          if (exists && data < 0) data = static_cast<int64_t>(at);
          if (!exists && hole == static_cast<int64_t>(size)) {
            hole = static_cast<int64_t>(at);
          }
        }
        ASSERT_EQ(file.SeekData(from), data);
        ASSERT_EQ(file.SeekHole(from), hole);
      }
    }
    ASSERT_EQ(file.size(), model.bytes.size());
    const auto pages = static_cast<uint64_t>(
        std::count(model.pages.begin(), model.pages.end(), true));
    ASSERT_EQ(file.allocated(), pages * kPage);
    ASSERT_EQ(space.bytes_used(), pages * kPage);
  }
  ASSERT_EQ(Read(file, 0, model.bytes.size()), model.bytes);
}

}  // namespace
}  // namespace barefuse::memfs
