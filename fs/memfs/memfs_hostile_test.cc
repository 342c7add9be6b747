// What no kernel sends, and what becomes of files that nobody names any more.
#include <errno.h>
#include <linux/falloc.h>

#include "fs/memfs/memfs_fixture.h"

namespace barefuse::memfs {
namespace {

class Hostile : public MemfsFixture {};

TEST_F(Hostile, UnknownNodesAreStale) {
  abi::fuse_attr attr{};
  abi::fuse_entry_out entry{};
  uint64_t fh = 0;
  for (uint64_t node : {uint64_t{0}, uint64_t{2}, UINT64_MAX}) {
    EXPECT_EQ(Getattr(node, &attr), ESTALE);
    EXPECT_EQ(Chmod(node, 0), ESTALE);
    EXPECT_EQ(Lookup(node, "x", &entry), ESTALE);
    EXPECT_EQ(Create(node, "x"), ESTALE);
    EXPECT_EQ(Mkdir(node, "x"), ESTALE);
    EXPECT_EQ(Unlink(node, "x"), ESTALE);
    EXPECT_EQ(Rename(kRoot, "x", node, "y"), ESTALE);
    EXPECT_EQ(Link(node, kRoot, "y"), ESTALE);
    EXPECT_EQ(Open(node, O_RDONLY, &fh), ESTALE);
    EXPECT_EQ(Setxattr(node, "user.x", "y"), ESTALE);
    EXPECT_EQ(Ask(Message(abi::FUSE_OPENDIR, node)
                      .Struct(abi::fuse_open_in{O_RDONLY, 0})),
              ESTALE);
    Forget(node, 5);
  }
}

TEST_F(Hostile, FilesAreNoDirectories) {
  uint64_t file = 0;
  ASSERT_EQ(Create(kRoot, "f", &file), 0);
  abi::fuse_entry_out entry{};
  uint64_t fh = 0;
  EXPECT_EQ(Lookup(file, "x", &entry), ENOTDIR);
  EXPECT_EQ(Create(file, "x"), ENOTDIR);
  EXPECT_EQ(Unlink(file, "x"), ENOTDIR);
  EXPECT_EQ(Rename(file, "x", kRoot, "y"), ENOTDIR);
  EXPECT_EQ(Rename(kRoot, "f", file, "y"), ENOTDIR);
  EXPECT_EQ(Open(kRoot, O_RDONLY, &fh), EISDIR);
  EXPECT_EQ(Truncate(kRoot, 0), EISDIR);
}

TEST_F(Hostile, HandlesAreOfTheirNode) {
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t fh = 0;
  ASSERT_EQ(Create(kRoot, "a", &a, &fh), 0);
  ASSERT_EQ(Create(kRoot, "b", &b), 0);
  std::string data;
  EXPECT_EQ(Read(b, fh, 0, 10, &data), EBADF);
  EXPECT_EQ(Read(a, fh + 100, 0, 10, &data), EBADF);
  EXPECT_EQ(Write(b, fh, 0, "x"), EBADF);
  EXPECT_EQ(Release(b, fh), EBADF);
  EXPECT_EQ(Release(a, fh), 0);
  EXPECT_EQ(Release(a, fh), EBADF);
  EXPECT_EQ(Write(a, fh, 0, "x"), EBADF);
  uint64_t read_only = 0;
  ASSERT_EQ(Open(a, O_RDONLY, &read_only), 0);
  EXPECT_NE(read_only, fh);
  EXPECT_EQ(Write(a, read_only, 0, "x"), EBADF);
  // A file is not read as a directory, nor the other way round.
  abi::fuse_read_in in{};
  in.fh = read_only;
  in.size = 100;
  EXPECT_EQ(Ask(Message(abi::FUSE_READDIR, a).Struct(in)), EBADF);
}

TEST_F(Hostile, TooManyForgetsDoNoHarm) {
  uint64_t file = 0;
  ASSERT_EQ(Create(kRoot, "f", &file), 0);
  Forget(file, UINT64_MAX);
  Forget(file, 1);
  EXPECT_EQ(IdOf(kRoot, "f"), file) << "it still has a name";
  EXPECT_EQ(Unlink(kRoot, "f"), 0);
  Forget(file, 1);
  abi::fuse_attr attr{};
  EXPECT_EQ(Getattr(file, &attr), ESTALE);
  Forget(kRoot, UINT64_MAX);
  EXPECT_EQ(Getattr(kRoot, &attr), 0);
  // Its number is not given to another.
  uint64_t other = 0;
  ASSERT_EQ(Create(kRoot, "f", &other), 0);
  EXPECT_NE(other, file);
}

TEST_F(Hostile, AnOpenFileLivesOnWithoutAName) {
  const uint64_t before = Statfs().bfree;
  uint64_t file = 0;
  uint64_t fh = 0;
  ASSERT_EQ(Create(kRoot, "f", &file, &fh), 0);
  ASSERT_EQ(Write(file, fh, 0, std::string(100000, 'x')), 0);
  ASSERT_EQ(Unlink(kRoot, "f"), 0);
  abi::fuse_entry_out entry{};
  EXPECT_EQ(Lookup(file, ".", &entry), 0);
  Forget(file, 1);
  std::string data;
  ASSERT_EQ(Read(file, fh, 99990, 100, &data), 0);
  EXPECT_EQ(data, std::string(10, 'x'));
  Forget(file, 1);
  ASSERT_EQ(Read(file, fh, 0, 1, &data), 0);
  EXPECT_LT(Statfs().bfree, before);
  ASSERT_EQ(Release(file, fh), 0);
  EXPECT_EQ(Statfs().bfree, before);
  EXPECT_EQ(Statfs().files - Statfs().ffree, 1u);

  // Neither open nor named: no file handle leads to it, though the kernel has
  // still to say that it has forgotten it.
  ASSERT_EQ(Create(kRoot, "g", &file, &fh), 0);
  ASSERT_EQ(Release(file, fh), 0);
  EXPECT_EQ(Lookup(file, ".", &entry), 0);
  ASSERT_EQ(Unlink(kRoot, "g"), 0);
  EXPECT_EQ(Lookup(file, ".", &entry), ESTALE);
}

TEST_F(Hostile, AnotherMountFindsFilesButNoneOfThemOpen) {
  const uint64_t before = Statfs().bfree;
  uint64_t gone = 0;
  uint64_t kept = 0;
  uint64_t fh = 0;
  ASSERT_EQ(Create(kRoot, "gone", &gone, &fh), 0);
  ASSERT_EQ(Write(gone, fh, 0, std::string(100000, 'x')), 0);
  ASSERT_EQ(Unlink(kRoot, "gone"), 0);
  ASSERT_EQ(Create(kRoot, "kept", &kept, &fh), 0);
  abi::fuse_lk_in lock{};
  lock.fh = fh;
  lock.owner = 5;
  lock.lk = {0, 9, F_WRLCK, 1};
  ASSERT_EQ(Ask(Message(abi::FUSE_SETLK, kept).Struct(lock)), 0);

  fs_->Init(server_.connection());
  abi::fuse_attr attr{};
  EXPECT_EQ(Getattr(gone, &attr), ESTALE);
  EXPECT_EQ(IdOf(kRoot, "kept"), kept);
  std::string data;
  EXPECT_EQ(Read(kept, fh, 0, 1, &data), EBADF);
  ASSERT_EQ(Open(kept, O_RDWR, &fh), 0);
  lock.fh = fh;
  lock.owner = 6;
  EXPECT_EQ(Ask(Message(abi::FUSE_SETLK, kept).Struct(lock)), 0);
  ASSERT_EQ(Unlink(kRoot, "kept"), 0);
  ASSERT_EQ(Release(kept, fh), 0);
  Forget(kept, 1);
  EXPECT_EQ(Statfs().bfree, before);
}

TEST_F(Hostile, OffsetsAndSizesCostNothing) {
  uint64_t file = 0;
  uint64_t fh = 0;
  ASSERT_EQ(Create(kRoot, "f", &file, &fh), 0);
  EXPECT_EQ(Truncate(file, uint64_t{1} << 62), 0);
  EXPECT_EQ(Attr(file).size, uint64_t{1} << 62);
  EXPECT_EQ(Attr(file).blocks, 0u);
  EXPECT_EQ(Truncate(file, UINT64_MAX), EFBIG);
  std::string data;
  EXPECT_EQ(Read(file, fh, UINT64_MAX - 5, 100, &data), 0);
  EXPECT_EQ(data, "");
  EXPECT_EQ(Write(file, fh, UINT64_MAX - 1, "abc"), EFBIG);
  auto fallocate = [&](uint64_t offset, uint64_t length, uint32_t mode) {
    return Ask(
        Message(abi::FUSE_FALLOCATE, file)
            .Struct(abi::fuse_fallocate_in{fh, offset, length, mode, 0}));
  };
  EXPECT_EQ(fallocate(0, uint64_t{1} << 62, 0), ENOSPC);
  EXPECT_EQ(fallocate(UINT64_MAX, 1, 0), EINVAL);
  EXPECT_EQ(fallocate(INT64_MAX, INT64_MAX, 0), EFBIG);
  EXPECT_EQ(fallocate(0, 0, 0), EINVAL);
  EXPECT_EQ(fallocate(0, 1, FALLOC_FL_PUNCH_HOLE), EOPNOTSUPP);
  EXPECT_EQ(fallocate(0, 1, FALLOC_FL_COLLAPSE_RANGE), EOPNOTSUPP);
  EXPECT_EQ(fallocate(0, INT64_MAX, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
            0);
  EXPECT_EQ(Attr(file).blocks, 0u);
  abi::fuse_copy_file_range_in copy{fh, 0, file, fh, 0, UINT64_MAX, 0};
  EXPECT_EQ(Ask(Message(abi::FUSE_COPY_FILE_RANGE_64, file).Struct(copy)),
            EINVAL)
      << "onto itself";
  copy.off_out = UINT64_MAX;
  EXPECT_EQ(Ask(Message(abi::FUSE_COPY_FILE_RANGE, file).Struct(copy)), EINVAL);
}

TEST_F(Hostile, TimesMayBeOldAndMustBeTimes) {
  abi::fuse_setattr_in in{};
  in.valid = abi::FATTR_ATIME | abi::FATTR_MTIME;
  in.atime = static_cast<uint64_t>(int64_t{-5});
  in.atimensec = 7;
  in.mtime = static_cast<uint64_t>(int64_t{1} << 40);
  in.mtimensec = 999999999;
  abi::fuse_attr attr{};
  ASSERT_EQ(Setattr(kRoot, in, &attr), 0);
  EXPECT_EQ(static_cast<int64_t>(attr.atime), -5);
  EXPECT_EQ(attr.atimensec, 7u);
  EXPECT_EQ(attr.mtime, uint64_t{1} << 40);
  EXPECT_EQ(attr.mtimensec, 999999999u);
  in.mtimensec = 1000000000;
  EXPECT_EQ(Setattr(kRoot, in), EINVAL);
}

TEST_F(Hostile, PrivilegesGoWhereTheKernelSaysSo) {
  uint64_t file = 0;
  uint64_t fh = 0;
  ASSERT_EQ(Create(kRoot, "f", &file, &fh, 06755), 0);
  ASSERT_EQ(Setxattr(file, "security.capability", "x"), 0);
  ASSERT_EQ(Write(file, fh, 0, "x"), 0);
  EXPECT_EQ(Attr(file).mode & 07777, 06755u) << "root's write";
  std::string value;
  EXPECT_EQ(Getxattr(file, "security.capability", &value), ENODATA);
  ASSERT_EQ(Write(file, fh, 0, "x", nullptr, abi::FUSE_WRITE_KILL_SUIDGID), 0);
  EXPECT_EQ(Attr(file).mode & 07777, 0755u);
  // chown(-1, -1), which leaves nothing but this.
  for (uint32_t valid : {0u, uint32_t{abi::FATTR_CTIME}}) {
    ASSERT_EQ(Chmod(file, 06755), 0);
    abi::fuse_setattr_in in{};
    in.valid = valid;
    ASSERT_EQ(Setattr(file, in), 0);
    EXPECT_EQ(Attr(file).mode & 07777, 0755u);
  }
  // Without the group's execute bit it is no set-group-id program.
  ASSERT_EQ(Chmod(file, 06745), 0);
  abi::fuse_setattr_in in{};
  in.valid = abi::FATTR_SIZE | abi::FATTR_KILL_SUIDGID;
  ASSERT_EQ(Setattr(file, in), 0);
  EXPECT_EQ(Attr(file).mode & 07777, 02745u);
}

}  // namespace
}  // namespace barefuse::memfs
