// Names and attributes of the passthrough filesystem on a real kernel.
#include <dirent.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <filesystem>
#include <set>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::ReadFile;
using barefuse::testing::Snapshot;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

using PassthroughNameTest = PassthroughTest;

void MakeTree(const std::string& root) {
  for (const char* name : {"/a", "/a/b", "/a/b/c", "/empty"}) {
    testing::Check(mkdir((root + name).c_str(), 0750) == 0, name);
  }
  WriteFile(root + "/a/text", "some text\n");
  WriteFile(root + "/a/b/nothing", "");
  WriteFile(root + "/a/b/c/large", std::string(3 << 20, 'x') + "end");
  testing::Check(chmod((root + "/a/text").c_str(), 04711) == 0, "chmod");
  testing::Check(lchown((root + "/a/b/nothing").c_str(), 1234, 5678) == 0,
                 "lchown");
  testing::Check(symlink("b/c/large", (root + "/a/link").c_str()) == 0, "ln");
  testing::Check(symlink("/no/such/place", (root + "/dangling").c_str()) == 0,
                 "ln");
  testing::Check(
      link((root + "/a/text").c_str(), (root + "/a/b/hard").c_str()) == 0,
      "link");
  testing::Check(mkfifo((root + "/fifo").c_str(), 0600) == 0, "mkfifo");
  testing::Check(
      mknod((root + "/device").c_str(), S_IFCHR | 0640, makedev(1, 3)) == 0,
      "mknod");
  WriteFile(root + "/name with \xff\xfe\n bytes", "odd");
  const timespec times[] = {{1000, 1}, {-86400, 999999999}};
  testing::Check(utimensat(AT_FDCWD, (root + "/empty").c_str(), times, 0) == 0,
                 "utimes");
}

TEST_F(PassthroughNameTest, ShowsContentAndMetadataOfTheSource) {
  MakeTree(source_);
  Mount();
  EXPECT_EQ(Snapshot(mnt_), Snapshot(source_));
  EXPECT_EQ(Snapshot(mnt_).size(), 13u);
  EXPECT_EQ(Stat(mnt_ + "/a/text").st_ino, Stat(mnt_ + "/a/b/hard").st_ino);
}

TEST_F(PassthroughNameTest, WhatIsMadeThroughTheMountIsInTheSource) {
  Mount();
  MakeTree(mnt_);
  EXPECT_EQ(Snapshot(source_), Snapshot(mnt_));
  EXPECT_EQ(Snapshot(source_).size(), 13u);
}

TEST_F(PassthroughNameTest, ForgottenInodesAreLetGo) {
  for (int i = 0; i < 100; ++i) {
    WriteFile(source_ + "/" + std::to_string(i), "x");
  }
  Mount();
  Snapshot(mnt_);
  EXPECT_EQ(file_system_->inodes(), 101u);
  WriteFile("/proc/sys/vm/drop_caches", "2");
  // FORGETs come on their own time; each look is a request behind them.
  for (int i = 0; file_system_->inodes() > 2 && i < 1000; ++i) {
    EXPECT_NE(access((mnt_ + "/absent" + std::to_string(i)).c_str(), F_OK), 0);
  }
  EXPECT_LE(file_system_->inodes(), 2u);
}

TEST_F(PassthroughNameTest, NamesAreCreatedRenamedAndRemoved) {
  Mount();
  auto at = [&](const char* name) { return mnt_ + "/" + name; };
  WriteFile(at("one"), "1");
  WriteFile(at("two"), "2");
  EXPECT_EQ(renameat2(AT_FDCWD, at("one").c_str(), AT_FDCWD, at("two").c_str(),
                      RENAME_NOREPLACE),
            -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(renameat2(AT_FDCWD, at("one").c_str(), AT_FDCWD, at("two").c_str(),
                      RENAME_EXCHANGE),
            0);
  EXPECT_EQ(ReadFile(at("one")), "2");
  EXPECT_EQ(rename(at("one").c_str(), at("two").c_str()), 0);
  EXPECT_EQ(ReadFile(source_ + "/two"), "2");
  EXPECT_EQ(mkdir(at("dir").c_str(), 0700), 0);
  EXPECT_EQ(rename(at("two").c_str(), at("dir/two").c_str()), 0);
  EXPECT_EQ(rmdir(at("dir").c_str()), -1);
  EXPECT_EQ(errno, ENOTEMPTY);
  EXPECT_EQ(unlink(at("dir/two").c_str()), 0);
  EXPECT_EQ(rmdir(at("dir").c_str()), 0);
  EXPECT_TRUE(std::filesystem::is_empty(source_));
}

TEST_F(PassthroughNameTest, SetattrChangesWhatItIsAskedTo) {
  WriteFile(source_ + "/file", "0123456789");
  Mount();
  const std::string file = mnt_ + "/file";
  EXPECT_EQ(chmod(file.c_str(), 0640), 0);
  EXPECT_EQ(chown(file.c_str(), 11, 22), 0);
  EXPECT_EQ(truncate(file.c_str(), 4), 0);
  const timespec times[] = {{123456789, 987654321}, {5, 6}};
  EXPECT_EQ(utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  const struct stat info = Stat(source_ + "/file");
  EXPECT_EQ(info.st_mode, S_IFREG | 0640u);
  EXPECT_EQ(info.st_uid, 11u);
  EXPECT_EQ(info.st_gid, 22u);
  EXPECT_EQ(info.st_size, 4);
  EXPECT_EQ(info.st_atim.tv_sec, 123456789);
  EXPECT_EQ(info.st_atim.tv_nsec, 987654321);
  EXPECT_EQ(info.st_mtim.tv_nsec, 6);
  const timespec omit[] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  EXPECT_EQ(utimensat(AT_FDCWD, file.c_str(), omit, 0), 0);
  EXPECT_EQ(Stat(source_ + "/file").st_atim.tv_sec, 123456789);
  EXPECT_GT(Stat(source_ + "/file").st_mtim.tv_sec, 1000000);
}

TEST_F(PassthroughNameTest, ExtendedAttributesGoThrough) {
  WriteFile(source_ + "/file", "");
  Mount();
  const std::string file = mnt_ + "/file";
  ASSERT_EQ(setxattr(file.c_str(), "user.one", "value", 5, 0), 0)
      << strerror(errno);
  char buffer[64];
  EXPECT_EQ(
      getxattr((source_ + "/file").c_str(), "user.one", buffer, sizeof buffer),
      5);
  EXPECT_EQ(getxattr(file.c_str(), "user.one", nullptr, 0), 5);
  EXPECT_EQ(getxattr(file.c_str(), "user.one", buffer, 2), -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(getxattr(file.c_str(), "user.none", buffer, 2), -1);
  EXPECT_EQ(errno, ENODATA);
  EXPECT_EQ(setxattr(file.c_str(), "user.one", "v", 1, XATTR_CREATE), -1);
  EXPECT_EQ(errno, EEXIST);
  ssize_t size = listxattr(file.c_str(), buffer, sizeof buffer);
  ASSERT_GT(size, 0);
  EXPECT_NE(std::string(buffer, static_cast<size_t>(size)).find("user.one"),
            std::string::npos);
  EXPECT_EQ(removexattr(file.c_str(), "user.one"), 0);
  EXPECT_EQ(getxattr(file.c_str(), "user.one", nullptr, 0), -1);
}

TEST_F(PassthroughNameTest, UnnamedFilesCanBeMadeAndNamed) {
  Mount();
  UniqueFd fd = Open(".", O_TMPFILE | O_RDWR);
  WriteAt(fd, 0, "unnamed");
  EXPECT_TRUE(std::filesystem::is_empty(source_));
  const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
  EXPECT_EQ(linkat(AT_FDCWD, name.c_str(), AT_FDCWD, (mnt_ + "/named").c_str(),
                   AT_SYMLINK_FOLLOW),
            0)
      << strerror(errno);
  EXPECT_EQ(ReadFile(source_ + "/named"), "unnamed");
}

TEST_F(PassthroughNameTest, StatxShowsTheBirthTime) {
  WriteFile(source_ + "/file", "x");
  struct statx of_source, of_mount;
  ASSERT_EQ(statx(AT_FDCWD, (source_ + "/file").c_str(), 0,
                  STATX_BASIC_STATS | STATX_BTIME, &of_source),
            0);
  if ((of_source.stx_mask & STATX_BTIME) == 0) {
    GTEST_SKIP() << "the source's filesystem has no birth times";
  }
  Mount();
  ASSERT_EQ(statx(AT_FDCWD, (mnt_ + "/file").c_str(), 0,
                  STATX_BASIC_STATS | STATX_BTIME, &of_mount),
            0);
  EXPECT_NE(of_mount.stx_mask & STATX_BTIME, 0u);
  EXPECT_EQ(of_mount.stx_btime.tv_sec, of_source.stx_btime.tv_sec);
  EXPECT_EQ(of_mount.stx_btime.tv_nsec, of_source.stx_btime.tv_nsec);
  EXPECT_EQ(of_mount.stx_size, 1u);
}

TEST_F(PassthroughNameTest, StatfsIsTheSourcesOwn) {
  Mount();
  namespace stdfs = std::filesystem;
  EXPECT_EQ(stdfs::space(mnt_).capacity, stdfs::space(source_).capacity);
}

TEST_F(PassthroughNameTest, LargeDirectoriesAreListedWholeAndInPieces) {
  constexpr int kFiles = 3000;
  for (int i = 0; i < kFiles; ++i) {
    WriteFile(source_ + "/file-" + std::to_string(i), "");
  }
  Mount();
  DIR* directory = opendir(mnt_.c_str());
  ASSERT_NE(directory, nullptr);
  std::set<std::string> first, second;
  long middle = 0;
  while (dirent* entry = readdir(directory)) {
    EXPECT_TRUE(first.insert(entry->d_name).second) << entry->d_name;
    if (first.size() == 1500) middle = telldir(directory);
  }
  EXPECT_EQ(first.size(), kFiles + 2u);
  seekdir(directory, middle);
  while (dirent* entry = readdir(directory)) second.insert(entry->d_name);
  EXPECT_EQ(second.size(), kFiles + 2u - 1500u);
  rewinddir(directory);
  EXPECT_NE(readdir(directory), nullptr);
  closedir(directory);
}

TEST_F(PassthroughNameTest, OthersFilesAreTheirs) {
  testing::Check(chmod(source_.c_str(), 0777) == 0, "chmod");
  // The way to the mount must be open too.
  testing::Check(chmod(dir_.path().c_str(), 0755) == 0, "chmod");
  Mount();
  testing::Process other([&] {
    umask(027);
    if (setgid(4321) != 0 || setuid(1234) != 0) return 1;
    WriteFile(mnt_ + "/theirs", "x");
    if (mkdir((mnt_ + "/their dir").c_str(), 0777) != 0) return 2;
    if (symlink("x", (mnt_ + "/their link").c_str()) != 0) return 3;
    return 0;
  });
  ASSERT_EQ(other.Wait(), 0);
  for (const char* name : {"/theirs", "/their dir", "/their link"}) {
    EXPECT_EQ(Stat(source_ + name).st_uid, 1234u) << name;
    EXPECT_EQ(Stat(source_ + name).st_gid, 4321u) << name;
  }
  EXPECT_EQ(Stat(source_ + "/theirs").st_mode & 0777, 0640u);
  EXPECT_EQ(Stat(source_ + "/their dir").st_mode & 0777, 0750u);
}

TEST_F(PassthroughNameTest, ChangesInTheSourceShow) {
  WriteFile(source_ + "/file", "old");
  Mount({.timeout = absl::ZeroDuration()});
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "old");
  WriteFile(source_ + "/file", "newer");
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "newer");
  EXPECT_EQ(Stat(mnt_ + "/file").st_size, 5);
  ASSERT_EQ(unlink((source_ + "/file").c_str()), 0);
  EXPECT_NE(access((mnt_ + "/file").c_str(), F_OK), 0);
}

TEST_F(PassthroughNameTest, AReadOnlyMountRefusesWrites) {
  WriteFile(source_ + "/file", "x");
  SessionOptions session;
  session.mount.flags |= MS_RDONLY;
  Mount({}, std::move(session));
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "x");
  EXPECT_EQ(open((mnt_ + "/file").c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
}

}  // namespace
}  // namespace barefuse
