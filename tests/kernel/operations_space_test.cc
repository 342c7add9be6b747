// Room: what statfs says of it, and its end.
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::Stat;
using testing::WriteFile;

constexpr off_t kMiB = 1 << 20;

class OperationsSpace : public TransportSuite {
 protected:
  bool Alone() const override { return true; }
  // Whether its size is exactly kCapacity.
  bool Exact() {
    return subject().type() == "tmpfs" || subject().type() == "memfs";
  }
  struct statfs Statfs() {
    struct statfs info;
    testing::Check(statfs(root().c_str(), &info) == 0, "statfs");
    return info;
  }
  uint64_t FreeBytes() {
    const struct statfs info = Statfs();
    return uint64_t{info.f_bfree} * static_cast<uint64_t>(info.f_bsize);
  }
  // Whether the room comes to what `condition` wants. Some filesystems give it
  // back when they next write to the disk.
  bool RoomBecomes(const std::function<bool()>& condition) {
    return Eventually([&] {
      const std::string& real =
          subject().source().empty() ? root() : subject().source();
      return condition() ||
             (syncfs(Open(real, O_RDONLY).get()) == 0 && condition());
    });
  }
  // Writes until there is no room. Gives the bytes that were written, and puts
  // the error that ended it into `end`.
  size_t FillUp(const UniqueFd& fd, Error* end) {
    const std::string piece(256 << 10, 'f');
    size_t written = 0;
    while (written < 4 * kCapacity) {
      const ssize_t n = pwrite(fd.get(), piece.data(), piece.size(),
                               static_cast<off_t>(written));
      // A filesystem that writes behind says it here.
      if (n <= 0 || fdatasync(fd.get()) != 0) {
        *end = n == 0 ? 0 : errno;
        break;
      }
      written += static_cast<size_t>(n);
    }
    return written;
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsSpace);

TEST_P(OperationsSpace, StatfsSaysWhatThereIs) {
  const struct statfs info = Statfs();
  ASSERT_GT(info.f_bsize, 0);
  const uint64_t size = info.f_blocks * static_cast<uint64_t>(info.f_bsize);
  if (Exact()) {
    EXPECT_EQ(size, kCapacity);
  } else {
    EXPECT_GT(size, kCapacity);
  }
  EXPECT_LE(info.f_bfree, info.f_blocks);
  EXPECT_GE(FreeBytes(), kCapacity - kMiB);
  EXPECT_LE(info.f_bavail, info.f_bfree);
  EXPECT_EQ(info.f_namelen, 255);
  EXPECT_EQ(info.f_files > 0, limits().counts_files);
  EXPECT_LE(info.f_ffree, info.f_files);
  if (const std::string source = subject().source(); !source.empty()) {
    struct statfs same;
    ASSERT_EQ(Errno(statfs(source.c_str(), &same)), 0);
    EXPECT_EQ(info.f_bsize, same.f_bsize);
    EXPECT_EQ(info.f_blocks, same.f_blocks);
    EXPECT_EQ(info.f_namelen, same.f_namelen);
    EXPECT_EQ(info.f_frsize, same.f_frsize);
    // What is free changes by itself, and with it how many files there can be.
    EXPECT_TRUE(Eventually([&] {
      const struct statfs now = Statfs();
      return statfs(source.c_str(), &same) == 0 &&
             now.f_bfree == same.f_bfree && now.f_bavail == same.f_bavail &&
             now.f_files == same.f_files && now.f_ffree == same.f_ffree;
    }));
  }
  struct statvfs other;
  ASSERT_EQ(Errno(statvfs(root().c_str(), &other)), 0);
  EXPECT_EQ(other.f_blocks * other.f_frsize, size);
  // Of a descriptor below too.
  WriteFile(At("file"), "x");
  struct statfs same;
  ASSERT_EQ(Errno(fstatfs(Open(At("file"), O_RDONLY).get(), &same)), 0);
  EXPECT_EQ(same.f_blocks, info.f_blocks);
}

TEST_P(OperationsSpace, StatfsFollowsUse) {
  const uint64_t free_bytes = FreeBytes();
  const uint64_t free_files = Statfs().f_ffree;
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  EXPECT_EQ(Statfs().f_ffree, limits().counts_files ? free_files - 1 : 0);
  WriteAt(fd, 0, std::string(2 * kMiB, 'x'));
  ASSERT_EQ(Errno(fsync(fd.get())), 0);
  EXPECT_TRUE(
      RoomBecomes([&] { return FreeBytes() <= free_bytes - 2 * kMiB; }));
  EXPECT_GE(FreeBytes(), free_bytes - 3 * kMiB);
  ASSERT_EQ(Errno(ftruncate(fd.get(), kMiB)), 0);
  EXPECT_TRUE(
      RoomBecomes([&] { return FreeBytes() >= free_bytes - 2 * kMiB; }));
  // A file that has lost its name takes room until it is closed.
  ASSERT_EQ(Errno(unlink(At("file").c_str())), 0);
  EXPECT_LE(FreeBytes(), free_bytes - kMiB);
  fd.reset();
  EXPECT_TRUE(RoomBecomes([&] {
    return FreeBytes() == free_bytes && Statfs().f_ffree == free_files;
  }));
}

TEST_P(OperationsSpace, HolesTakeNoRoom) {
  const uint64_t free_bytes = FreeBytes();
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(Errno(ftruncate(fd.get(), 100 * kMiB)), 0);
  EXPECT_GE(FreeBytes(), free_bytes - kMiB);
  ASSERT_EQ(Errno(fallocate(fd.get(), 0, 0, 4 * kMiB)), 0);
  EXPECT_TRUE(
      RoomBecomes([&] { return FreeBytes() <= free_bytes - 4 * kMiB; }));
  ASSERT_EQ(
      Errno(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                      4 * kMiB)),
      0);
  EXPECT_TRUE(RoomBecomes([&] { return FreeBytes() >= free_bytes - kMiB; }));
}

TEST_P(OperationsSpace, AFullFilesystemRecovers) {
  WriteFile(At("early"), Pattern(kMiB));
  UniqueFd fd = Open(At("large"), O_RDWR | O_CREAT);
  Error end = 0;
  const size_t written = FillUp(fd, &end);
  EXPECT_EQ(end, ENOSPC);
  EXPECT_GE(written, kCapacity / 2);
  EXPECT_LE(written, kCapacity - kMiB);
  // What is there stays there, and can be read and overwritten.
  EXPECT_TRUE(ReadFile(At("early")) == Pattern(kMiB));
  EXPECT_EQ(ReadAt(fd, static_cast<off_t>(written) - 3, 3), "fff");
  if (limits().overwrites_in_place) {
    WriteAt(fd, 0, "over");
    EXPECT_EQ(Errno(fdatasync(fd.get())), 0);
    EXPECT_EQ(ReadAt(fd, 0, 5), "overf");
  }
  EXPECT_EQ(Errno(fallocate(fd.get(), 0, 0, 2 * kCapacity)), ENOSPC);

  fd.reset();
  ASSERT_EQ(Errno(unlink(At("large").c_str())), 0);
  EXPECT_TRUE(RoomBecomes([&] { return FreeBytes() >= kCapacity - 3 * kMiB; }));
  WriteFile(At("late"), Pattern(4 * kMiB));
  EXPECT_TRUE(ReadFile(At("late")) == Pattern(4 * kMiB));
}

TEST_P(OperationsSpace, AllocatedRoomCanBeWritten) {
  UniqueFd reserved = Open(At("reserved"), O_RDWR | O_CREAT);
  ASSERT_EQ(Errno(fallocate(reserved.get(), 0, 0, 2 * kMiB)), 0);
  UniqueFd fd = Open(At("large"), O_RDWR | O_CREAT);
  Error end = 0;
  FillUp(fd, &end);
  EXPECT_EQ(end, ENOSPC);
  WriteAt(reserved, 0, Pattern(2 * kMiB));
  EXPECT_EQ(Errno(fdatasync(reserved.get())), 0);
  EXPECT_TRUE(ReadFile(At("reserved")) == Pattern(2 * kMiB));
}

}  // namespace
}  // namespace barefuse
