// The bytes of files: reading, writing, holes, and copies made by the kernel.
#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include <algorithm>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::Stat;
using testing::WriteFile;

constexpr off_t kMiB = 1 << 20;

class OperationsData : public TransportSuite {
 protected:
  // A file of 3 MiB: a hole, data, a hole, of a MiB each.
  UniqueFd MakeSparse() {
    UniqueFd fd = Open(At("sparse"), O_RDWR | O_CREAT);
    WriteAt(fd, kMiB, std::string(kMiB, 'd'));
    EXPECT_EQ(Errno(ftruncate(fd.get(), 3 * kMiB)), 0);
    EXPECT_EQ(Errno(fsync(fd.get())), 0);
    return fd;
  }
  // Bytes allocated.
  off_t Allocated(const UniqueFd& fd) {
    return barefuse::Stat(fd).st_blocks * 512;
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsData);

TEST_P(OperationsData, OddOffsetsAndSizes) {
  std::string expected;
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  uint32_t seed = 7;
  for (const auto& [offset, size] :
       std::vector<std::pair<size_t, size_t>>{{0, 1},
                                              {1, 4095},
                                              {4095, 2},
                                              {4097, 8191},
                                              {3, 5},
                                              {65535, 131073},
                                              {12345, 54321},
                                              {200'000, 1},
                                              {131'071, 4097}}) {
    const std::string piece = Pattern(size, ++seed);
    WriteAt(fd, static_cast<off_t>(offset), piece);
    expected.resize(std::max(expected.size(), offset + size));
    expected.replace(offset, size, piece);
    ASSERT_TRUE(ReadFile(At("file")) == expected) << offset << "+" << size;
  }
  for (const auto& [offset, size] : std::vector<std::pair<size_t, size_t>>{
           {0, 1}, {4094, 4}, {1, 65'537}, {65'530, 140'000}, {199'999, 10}}) {
    EXPECT_TRUE(ReadAt(fd, static_cast<off_t>(offset), size) ==
                expected.substr(offset, size))
        << offset << "+" << size;
  }
  EXPECT_EQ(ReadAt(fd, static_cast<off_t>(expected.size()), 10), "");
}

TEST_P(OperationsData, ReadAndWriteMoveTheOffset) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  EXPECT_EQ(write(fd.get(), "0123", 4), 4);
  EXPECT_EQ(write(fd.get(), "4567", 4), 4);
  EXPECT_EQ(lseek(fd.get(), 2, SEEK_SET), 2);
  char buffer[100];
  EXPECT_EQ(read(fd.get(), buffer, 3), 3);
  EXPECT_EQ(std::string(buffer, 3), "234");
  EXPECT_EQ(pwrite(fd.get(), "X", 1, 0), 1);
  EXPECT_EQ(write(fd.get(), "Y", 1), 1);
  EXPECT_EQ(ReadFile(At("file")), "X1234Y67");
  EXPECT_EQ(read(fd.get(), buffer, sizeof buffer), 2);
  EXPECT_EQ(read(fd.get(), buffer, sizeof buffer), 0);
}

TEST_P(OperationsData, VectorsAreOneReadOrWrite) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  std::string a = Pattern(1), b = Pattern(10'000, 2), c = Pattern(333, 3);
  const iovec out[] = {{a.data(), a.size()},
                       {b.data(), b.size()},
                       {nullptr, 0},
                       {c.data(), c.size()}};
  ASSERT_EQ(pwritev(fd.get(), out, 4, 77), ssize_t{10'334});
  EXPECT_TRUE(ReadFile(At("file")) == std::string(77, '\0') + a + b + c);
  std::string head(5000, '\0'), tail(10'000, '\0');
  const iovec in[] = {{head.data(), head.size()}, {tail.data(), tail.size()}};
  ASSERT_EQ(preadv(fd.get(), in, 2, 77), ssize_t{10'334});
  EXPECT_TRUE(head + tail.substr(0, 5334) == a + b + c);
}

TEST_P(OperationsData, LargeReadsAndWritesAreWhole) {
  const std::string content = Pattern(5 * kMiB + 12345);
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  // In one call each: a file gives or takes all that it can.
  ASSERT_EQ(pwrite(fd.get(), content.data(), content.size(), 0),
            static_cast<ssize_t>(content.size()));
  std::string back(content.size() + 100, '\0');
  ASSERT_EQ(pread(fd.get(), back.data(), back.size(), 0),
            static_cast<ssize_t>(content.size()));
  back.resize(content.size());
  EXPECT_TRUE(back == content);
  UniqueFd other = Open(At("file"), O_RDONLY);
  ASSERT_EQ(pread(other.get(), back.data(), 2 * kMiB, 4097), 2 * kMiB);
  EXPECT_TRUE(back.substr(0, 2 * kMiB) == content.substr(4097, 2 * kMiB));
}

TEST_P(OperationsData, HolesReadAsZeros) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  WriteAt(fd, 100'000, "end");
  EXPECT_TRUE(ReadAt(fd, 0, 200'000) == std::string(100'000, '\0') + "end");
  // Larger than all there is room for.
  WriteAt(fd, off_t{1} << 40, "far");
  EXPECT_EQ(Stat(At("file")).st_size, (off_t{1} << 40) + 3);
  EXPECT_EQ(ReadAt(fd, (off_t{1} << 40) - 2, 10), std::string(2, '\0') + "far");
  EXPECT_EQ(ReadAt(fd, off_t{1} << 39, 5), std::string(5, '\0'));
  EXPECT_LE(Allocated(fd), kMiB);
}

TEST_P(OperationsData, AllocationGrowsTheFile) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  WriteAt(fd, 0, "content");
  ASSERT_EQ(Errno(fallocate(fd.get(), 0, 100, 2 * kMiB)), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 2 * kMiB + 100);
  EXPECT_GE(Allocated(fd), 2 * kMiB);
  EXPECT_EQ(ReadAt(fd, 0, 9), std::string("content\0\0", 9));
  EXPECT_EQ(ReadAt(fd, kMiB, 5), std::string(5, '\0'));
  // It takes nothing away.
  ASSERT_EQ(Errno(fallocate(fd.get(), 0, 0, 10)), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 2 * kMiB + 100);
  EXPECT_EQ(ReadAt(fd, 0, 7), "content");
  EXPECT_EQ(Error(posix_fallocate(fd.get(), 3 * kMiB, 1)), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 3 * kMiB + 1);
}

TEST_P(OperationsData, AllocationCanKeepTheSize) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  WriteAt(fd, 0, "content");
  ASSERT_EQ(Errno(fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, kMiB)), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 7);
  EXPECT_EQ(ReadAt(fd, 0, 100), "content");
  EXPECT_GE(Allocated(fd), kMiB);
}

TEST_P(OperationsData, PunchedHolesAreZeros) {
  constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  std::string content = Pattern(4 * kMiB);
  WriteFile(At("file"), content);
  UniqueFd fd = Open(At("file"), O_RDWR);
  EXPECT_TRUE(ReadAt(fd, 0, 4 * kMiB) == content);
  const off_t before = Allocated(fd);
  ASSERT_EQ(Errno(fallocate(fd.get(), kPunch, kMiB, 2 * kMiB)), 0);
  std::fill_n(content.begin() + kMiB, 2 * kMiB, '\0');
  EXPECT_TRUE(ReadAt(fd, 0, 4 * kMiB) == content);
  EXPECT_LE(Allocated(fd), before - 2 * kMiB);
  // To the byte, also within a page.
  ASSERT_EQ(Errno(fallocate(fd.get(), kPunch, 1001, 10)), 0);
  ASSERT_EQ(Errno(fallocate(fd.get(), kPunch, 8191, 4098)), 0);
  std::fill_n(content.begin() + 1001, 10, '\0');
  std::fill_n(content.begin() + 8191, 4098, '\0');
  EXPECT_TRUE(ReadFile(At("file")) == content);
  // Beyond the end nothing grows.
  ASSERT_EQ(Errno(fallocate(fd.get(), kPunch, 4 * kMiB - 1, kMiB)), 0);
  content.back() = '\0';
  EXPECT_TRUE(ReadFile(At("file")) == content);
  // And what is punched can be written.
  WriteAt(fd, kMiB + 1, "again");
  EXPECT_EQ(ReadAt(fd, kMiB, 7), std::string("\0again\0", 7));
}

TEST_P(OperationsData, ZeroRangeGivesZeros) {
  std::string content = Pattern(kMiB);
  WriteFile(At("file"), content);
  UniqueFd fd = Open(At("file"), O_RDWR);
  ASSERT_EQ(Errno(fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, 1001, 100'000)), 0);
  std::fill_n(content.begin() + 1001, 100'000, '\0');
  EXPECT_TRUE(ReadFile(At("file")) == content);
  ASSERT_EQ(
      Errno(fallocate(fd.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                      kMiB - 10, 1000)),
      0);
  std::fill_n(content.end() - 10, 10, '\0');
  EXPECT_TRUE(ReadFile(At("file")) == content);
  ASSERT_EQ(Errno(fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, kMiB - 10, 1010)),
            0);
  EXPECT_EQ(Stat(At("file")).st_size, kMiB + 1000);
  EXPECT_TRUE(ReadFile(At("file")) == content + std::string(1000, '\0'));
}

TEST_P(OperationsData, OtherAllocationsAreNotSupported) {
  WriteFile(At("file"), std::string(kMiB, 'x'));
  UniqueFd fd = Open(At("file"), O_RDWR);
  for (const int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
                         FALLOC_FL_PUNCH_HOLE, 1 << 20}) {
    EXPECT_EQ(Errno(fallocate(fd.get(), mode, 0, 4096)), EOPNOTSUPP) << mode;
  }
  EXPECT_EQ(Stat(At("file")).st_size, kMiB);
}

TEST_P(OperationsData, SeekFindsDataAndHoles) {
  UniqueFd fd = MakeSparse();
  const auto seek = [&](off_t from, int whence) {
    return lseek(fd.get(), from, whence);
  };
  EXPECT_EQ(seek(0, SEEK_DATA), kMiB);
  EXPECT_EQ(seek(kMiB + 5, SEEK_DATA), kMiB + 5);
  EXPECT_EQ(seek(0, SEEK_HOLE), 0);
  EXPECT_EQ(seek(kMiB, SEEK_HOLE), 2 * kMiB);
  EXPECT_EQ(seek(2 * kMiB + 5, SEEK_HOLE), 2 * kMiB + 5);
  // No data follows, or nothing at all.
  EXPECT_EQ(Errno(seek(2 * kMiB, SEEK_DATA)), ENXIO);
  EXPECT_EQ(Errno(seek(3 * kMiB, SEEK_DATA)), ENXIO);
  EXPECT_EQ(Errno(seek(3 * kMiB, SEEK_HOLE)), ENXIO);
  EXPECT_EQ(Errno(seek(4 * kMiB, SEEK_HOLE)), ENXIO);
  EXPECT_EQ(Errno(seek(-1, SEEK_DATA)), ENXIO);
  // The end of the file is a hole, though nothing was left out.
  UniqueFd full = Open(At("full"), O_RDWR | O_CREAT);
  WriteAt(full, 0, "content");
  ASSERT_EQ(Errno(fsync(full.get())), 0);
  EXPECT_EQ(lseek(full.get(), 2, SEEK_HOLE), 7);
  EXPECT_EQ(lseek(full.get(), 2, SEEK_DATA), 2);
  UniqueFd empty = Open(At("empty"), O_RDWR | O_CREAT);
  EXPECT_EQ(Errno(lseek(empty.get(), 0, SEEK_DATA)), ENXIO);
  EXPECT_EQ(Errno(lseek(empty.get(), 0, SEEK_HOLE)), ENXIO);
}

TEST_P(OperationsData, SeekFindsPunchedHoles) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  WriteAt(fd, 0, std::string(4 * kMiB, 'd'));
  ASSERT_EQ(Errno(fsync(fd.get())), 0);
  ASSERT_EQ(
      Errno(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      kMiB, kMiB)),
      0);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_HOLE), kMiB);
  EXPECT_EQ(lseek(fd.get(), kMiB, SEEK_DATA), 2 * kMiB);
  EXPECT_EQ(lseek(fd.get(), 2 * kMiB, SEEK_HOLE), 4 * kMiB);
}

TEST_P(OperationsData, CopyFileRangeCopies) {
  const std::string content = Pattern(2 * kMiB);
  WriteFile(At("from"), content);
  WriteFile(At("to"), "0123456789");
  UniqueFd from = Open(At("from"), O_RDONLY);
  UniqueFd to = Open(At("to"), O_RDWR);
  const auto copy = [](const UniqueFd& source, off_t at, const UniqueFd& sink,
                       off_t to_at, size_t size) {
    return copy_file_range(source.get(), &at, sink.get(), &to_at, size, 0);
  };
  EXPECT_EQ(copy(from, 100, to, 5, 1000), 1000);
  EXPECT_TRUE(ReadFile(At("to")) == "01234" + content.substr(100, 1000));
  // At most to the end of the source, and then nothing.
  EXPECT_EQ(copy(from, 2 * kMiB - 10, to, 0, 1000), 10);
  EXPECT_EQ(ReadAt(to, 0, 10), content.substr(2 * kMiB - 10));
  EXPECT_EQ(copy(from, 2 * kMiB, to, 0, 1000), 0);
  // Without offsets, the files' own are used and moved.
  UniqueFd whole = Open(At("whole"), O_RDWR | O_CREAT);
  for (off_t done = 0; done < 2 * kMiB;) {
    const ssize_t n =
        copy_file_range(from.get(), nullptr, whole.get(), nullptr, 4 * kMiB, 0);
    ASSERT_GT(n, 0) << strerror(errno);
    done += n;
    EXPECT_EQ(lseek(from.get(), 0, SEEK_CUR), done);
    EXPECT_EQ(lseek(whole.get(), 0, SEEK_CUR), done);
  }
  EXPECT_TRUE(ReadFile(At("whole")) == content);
  // Within a file, but not onto itself.
  off_t copied = 0;
  while (copied < 5000) {
    // Where blocks are shared, first the whole ones.
    const ssize_t n = copy(whole, copied, whole, kMiB + copied,
                           static_cast<size_t>(5000 - copied));
    ASSERT_GT(n, 0) << strerror(errno);
    copied += n;
  }
  EXPECT_EQ(copied, 5000);
  EXPECT_TRUE(ReadAt(whole, kMiB, 5000) == content.substr(0, 5000));
  EXPECT_EQ(Errno(copy(whole, 0, whole, 10, 1000)), EINVAL);

  EXPECT_EQ(Errno(copy(from, 0, from, 0, 10)), EBADF);
  UniqueFd append = Open(At("to"), O_WRONLY | O_APPEND);
  EXPECT_EQ(Errno(copy(from, 0, append, 0, 10)), EBADF);
  UniqueFd dir = Open(root(), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Errno(copy(dir, 0, to, 0, 10)), EISDIR);
}

TEST_P(OperationsData, CopiesBetweenFilesystems) {
  const std::string content = Pattern(kMiB);
  WriteFile(elsewhere() + "/file", content);
  UniqueFd outside = Open(elsewhere() + "/file", O_RDONLY);
  UniqueFd inside = Open(At("file"), O_RDWR | O_CREAT);
  off_t at = 0;
  while (at < kMiB) {
    ASSERT_GT(sendfile(inside.get(), outside.get(), &at, kMiB), 0);
  }
  EXPECT_TRUE(ReadFile(At("file")) == content);
  UniqueFd back = Open(elsewhere() + "/back", O_RDWR | O_CREAT);
  for (at = 0; at < kMiB;) {
    ASSERT_GT(sendfile(back.get(), inside.get(), &at, kMiB), 0);
  }
  EXPECT_TRUE(ReadFile(elsewhere() + "/back") == content);
}

TEST_P(OperationsData, SplicesThroughAPipe) {
  const std::string content = Pattern(kMiB + 77);
  WriteFile(At("from"), content);
  UniqueFd from = Open(At("from"), O_RDONLY);
  UniqueFd to = Open(At("to"), O_WRONLY | O_CREAT);
  int ends[2];
  ASSERT_EQ(Errno(pipe2(ends, O_CLOEXEC)), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  for (;;) {
    ssize_t left = splice(from.get(), nullptr, in.get(), nullptr, 64 << 10, 0);
    ASSERT_GE(left, 0) << strerror(errno);
    if (left == 0) break;
    while (left > 0) {
      const ssize_t n = splice(out.get(), nullptr, to.get(), nullptr,
                               static_cast<size_t>(left), SPLICE_F_MOVE);
      ASSERT_GT(n, 0) << strerror(errno);
      left -= n;
    }
  }
  EXPECT_TRUE(ReadFile(At("to")) == content);
}

}  // namespace
}  // namespace barefuse
