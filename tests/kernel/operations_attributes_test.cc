// Attributes: mode, owner, size, and what statx adds.
#include <linux/stat.h>
#include <sys/syscall.h>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::Stat;
using testing::WriteFile;

constexpr User kUser = {1000, 1000};

class OperationsAttributes : public TransportSuite {
 protected:
  void SetUp() override {
    TransportSuite::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    WriteFile(At("file"), "content");
  }
  Error Chmod(mode_t mode) { return Errno(chmod(At("file").c_str(), mode)); }
  Error Chown(uid_t uid, gid_t gid) {
    return Errno(chown(At("file").c_str(), uid, gid));
  }
  Error Truncate(off_t size) {
    return Errno(truncate(At("file").c_str(), size));
  }
  mode_t Mode() { return Permissions(At("file")); }
};
INSTANTIATE_FOR_SUBJECTS(OperationsAttributes);

TEST_P(OperationsAttributes, ChmodSetsAllTwelveBits) {
  for (const mode_t mode : {0u, 07777u, 04711u, 02750u, 01644u, 0444u, 0777u}) {
    EXPECT_EQ(Chmod(mode), 0);
    EXPECT_EQ(Mode(), mode);
  }
  UniqueFd fd = Open(At("file"), O_RDONLY);
  EXPECT_EQ(Errno(fchmod(fd.get(), 0604)), 0);
  EXPECT_EQ(barefuse::Stat(fd).st_mode, mode_t{S_IFREG | 0604});
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0700)), 0);
  EXPECT_EQ(Errno(chmod(At("dir").c_str(), 03775)), 0);
  EXPECT_EQ(Stat(At("dir")).st_mode, mode_t{S_IFDIR | 03775});
  // Through a symlink the target's.
  ASSERT_EQ(Errno(symlink("file", At("link").c_str())), 0);
  EXPECT_EQ(Errno(chmod(At("link").c_str(), 0640)), 0);
  EXPECT_EQ(Mode(), 0640u);
}

TEST_P(OperationsAttributes, OnlyTheOwnerMayChmod) {
  ASSERT_EQ(Chmod(0666), 0);
  EXPECT_EQ(As(kUser, [&] { return Chmod(0777); }), EPERM);
  ASSERT_EQ(Chown(kUser.uid, 0), 0);
  EXPECT_EQ(As(kUser, [&] { return Chmod(0707); }), 0);
  EXPECT_EQ(Mode(), 0707u);
  // But set-group-id not for a group that is not the owner's.
  EXPECT_EQ(As(kUser, [&] { return Chmod(02755); }), 0);
  EXPECT_EQ(Mode(), 0755u);
  ASSERT_EQ(Chown(kUser.uid, kUser.gid), 0);
  EXPECT_EQ(As(kUser, [&] { return Chmod(06755); }), 0);
  EXPECT_EQ(Mode(), 06755u);
}

TEST_P(OperationsAttributes, ChownSetsUserAndGroup) {
  constexpr uid_t kNone = static_cast<uid_t>(-1);
  const auto expect = [&](uid_t uid, gid_t gid) {
    EXPECT_EQ(Stat(At("file")).st_uid, uid);
    EXPECT_EQ(Stat(At("file")).st_gid, gid);
  };
  EXPECT_EQ(Chown(1, 2), 0);
  expect(1, 2);
  EXPECT_EQ(Chown(3, kNone), 0);
  expect(3, 2);
  EXPECT_EQ(Chown(kNone, 4'000'000'000), 0);
  expect(3, 4'000'000'000);
  EXPECT_EQ(Chown(kNone, kNone), 0);
  expect(3, 4'000'000'000);
  ASSERT_EQ(Errno(symlink("file", At("link").c_str())), 0);
  EXPECT_EQ(Errno(lchown(At("link").c_str(), 7, 8)), 0);
  EXPECT_EQ(Stat(At("link")).st_uid, 7u);
  EXPECT_EQ(Errno(chown(At("link").c_str(), 5, 6)), 0);
  expect(5, 6);
  UniqueFd fd = Open(At("file"), O_RDONLY);
  EXPECT_EQ(Errno(fchown(fd.get(), 9, 10)), 0);
  expect(9, 10);
}

TEST_P(OperationsAttributes, UsersGiveFilesOnlyToTheirGroups) {
  const User in_group = {1000, 1000, {2000}};
  ASSERT_EQ(Chown(1000, 1000), 0);
  EXPECT_EQ(As(in_group, [&] { return Chown(1001, 1000); }), EPERM);
  EXPECT_EQ(As(in_group, [&] { return Chown(1000, 3000); }), EPERM);
  EXPECT_EQ(As(in_group, [&] { return Chown(1000, 2000); }), 0);
  EXPECT_EQ(Stat(At("file")).st_gid, 2000u);
  EXPECT_EQ(As({1001, 2000}, [&] { return Chown(1001, 2000); }), EPERM);
}

TEST_P(OperationsAttributes, ChownTakesSetIdBitsAway) {
  ASSERT_EQ(Chmod(06755), 0);
  EXPECT_EQ(Chown(1000, 1000), 0);
  EXPECT_EQ(Mode(), 0755u);
  // Also when an owner changes the group to the one that it is.
  ASSERT_EQ(Chmod(06755), 0);
  EXPECT_EQ(As(kUser, [&] { return Chown(1000, 1000); }), 0);
  EXPECT_EQ(Mode(), 0755u);
  // Without execution by the group, the bit is not set-group-id.
  ASSERT_EQ(Chmod(02644), 0);
  EXPECT_EQ(Chown(1, 1), 0);
  EXPECT_EQ(Mode(), 02644u);
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  ASSERT_EQ(Errno(chmod(At("dir").c_str(), 06755)), 0);
  EXPECT_EQ(Errno(chown(At("dir").c_str(), 1, 1)), 0);
  EXPECT_EQ(Permissions(At("dir")), 06755u);
}

TEST_P(OperationsAttributes, AUsersWriteTakesSetIdBitsAway) {
  ASSERT_EQ(Chmod(06777), 0);
  EXPECT_EQ(As(kUser,
               [&] {
                 WriteAt(Open(At("file"), O_WRONLY), 0, "x");
                 return Error(0);
               }),
            0);
  EXPECT_EQ(Mode(), 0777u);
  ASSERT_EQ(Chmod(06777), 0);
  EXPECT_EQ(As(kUser, [&] { return Truncate(3); }), 0);
  EXPECT_EQ(Mode(), 0777u);
  ASSERT_EQ(Chmod(06777), 0);
  EXPECT_EQ(As(kUser, [&] { return TryOpen(At("file"), O_WRONLY | O_TRUNC); }),
            0);
  EXPECT_EQ(Mode(), 0777u);
  // Opening and reading takes nothing away.
  ASSERT_EQ(Chmod(06777), 0);
  EXPECT_EQ(As(kUser,
               [&] {
                 ReadFile(At("file"));
                 return TryOpen(At("file"), O_RDWR);
               }),
            0);
  EXPECT_EQ(Mode(), 06777u);
}

TEST_P(OperationsAttributes, RootsWriteLeavesSetIdBits) {
  ASSERT_EQ(Chmod(06777), 0);
  WriteAt(Open(At("file"), O_WRONLY), 0, "x");
  EXPECT_EQ(Mode(), 06777u);
  EXPECT_EQ(Truncate(3), 0);
  EXPECT_EQ(Mode(), 06777u);
}

TEST_P(OperationsAttributes, TruncationCutsAndGrows) {
  const std::string content = Pattern(100'000);
  WriteFile(At("file"), content);
  EXPECT_EQ(Truncate(50'001), 0);
  EXPECT_TRUE(ReadFile(At("file")) == content.substr(0, 50'001));
  EXPECT_EQ(Truncate(90'000), 0);
  EXPECT_TRUE(ReadFile(At("file")) ==
              content.substr(0, 50'001) + std::string(39'999, '\0'));
  UniqueFd fd = Open(At("file"), O_RDWR);
  EXPECT_EQ(Errno(ftruncate(fd.get(), 10)), 0);
  EXPECT_EQ(barefuse::Stat(fd).st_size, 10);
  EXPECT_EQ(Errno(ftruncate(fd.get(), 20)), 0);
  EXPECT_EQ(ReadAt(fd, 0, 100), content.substr(0, 10) + std::string(10, '\0'));
  EXPECT_EQ(Truncate(0), 0);
  EXPECT_EQ(ReadAt(fd, 0, 100), "");
  EXPECT_EQ(Stat(At("file")).st_blocks, 0);
  EXPECT_EQ(Truncate(off_t{1} << 42), 0);
  EXPECT_EQ(Stat(At("file")).st_size, off_t{1} << 42);
}

TEST_P(OperationsAttributes, TruncationIsRefused) {
  EXPECT_EQ(Truncate(-1), EINVAL);
  EXPECT_EQ(Errno(truncate(root().c_str(), 0)), EISDIR);
  EXPECT_EQ(Errno(truncate(At("none").c_str(), 0)), ENOENT);
  EXPECT_EQ(As(kUser, [&] { return Truncate(0); }), EACCES);
  EXPECT_EQ(ReadFile(At("file")), "content");
}

TEST_P(OperationsAttributes, BlocksFollowTheSize) {
  UniqueFd fd = Open(At("file"), O_RDWR);
  WriteAt(fd, 0, std::string(1 << 20, 'x'));
  ASSERT_EQ(Errno(fsync(fd.get())), 0);
  const off_t blocks = barefuse::Stat(fd).st_blocks;
  EXPECT_GE(blocks * 512, 1 << 20);
  EXPECT_LE(blocks * 512, 2 << 20);
  EXPECT_EQ(Truncate(0), 0);
  EXPECT_EQ(barefuse::Stat(fd).st_blocks, 0);
  EXPECT_GT(barefuse::Stat(fd).st_blksize, 0);
}

// struct statx of <linux/stat.h>, which glibc declares too.
struct statx Statx(const std::string& path, unsigned mask) {
  struct statx info = {};
  testing::Check(
      statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, mask, &info) == 0,
      path);
  return info;
}
FileTime Birth(const struct statx& info) {
  return {info.stx_btime.tv_sec, info.stx_btime.tv_nsec};
}

TEST_P(OperationsAttributes, StatxAgreesWithStat) {
  ASSERT_EQ(Chmod(0640), 0);
  ASSERT_EQ(Chown(5, 6), 0);
  const struct stat old = Stat(At("file"));
  const struct statx info = Statx(At("file"), STATX_BASIC_STATS);
  EXPECT_EQ(info.stx_mask & STATX_BASIC_STATS, unsigned{STATX_BASIC_STATS});
  EXPECT_EQ(info.stx_mode, old.st_mode);
  EXPECT_EQ(info.stx_ino, old.st_ino);
  EXPECT_EQ(info.stx_uid, 5u);
  EXPECT_EQ(info.stx_gid, 6u);
  EXPECT_EQ(info.stx_size, 7u);
  EXPECT_EQ(info.stx_nlink, 1u);
  EXPECT_EQ(info.stx_blocks, static_cast<uint64_t>(old.st_blocks));
  EXPECT_EQ(FileTime(info.stx_mtime.tv_sec, info.stx_mtime.tv_nsec),
            FileTime(old.st_mtim));
}

TEST_P(OperationsAttributes, BirthTimeIsSetOnce) {
  const FileTime before = FileClock();
  AwaitNextTick();
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  WriteFile(At("born"), "x");
  struct statx info = Statx(At("born"), STATX_BTIME);
  ASSERT_TRUE(info.stx_mask & STATX_BTIME);
  const FileTime birth = Birth(info);
  EXPECT_GT(birth, before);
  AwaitNextTick();
  EXPECT_LT(birth, FileClock());
  WriteFile(At("born"), "changed");
  const timespec past[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(Errno(utimensat(AT_FDCWD, At("born").c_str(), past, 0)), 0);
  ASSERT_EQ(Errno(rename(At("born").c_str(), At("dir/renamed").c_str())), 0);
  EXPECT_EQ(Birth(Statx(At("dir/renamed"), STATX_BTIME)), birth);
  EXPECT_GT(Ctime(At("dir/renamed")), birth);

  ASSERT_TRUE(Statx(At("dir"), STATX_BTIME).stx_mask & STATX_BTIME);
  EXPECT_LT(before, Birth(Statx(At("dir"), STATX_BTIME)));
  EXPECT_TRUE(Statx(root(), STATX_BTIME).stx_mask & STATX_BTIME);
}

}  // namespace
}  // namespace barefuse
