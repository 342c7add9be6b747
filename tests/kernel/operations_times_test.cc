// Times of files and directories: set, and moved by what happens.
#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::Stat;
using testing::WriteFile;

constexpr User kUser = {1000, 1000};

class OperationsTimes : public TransportSuite {
 protected:
  Error SetTimes(std::string_view name, timespec access, timespec change,
                 int flags = 0) {
    const timespec times[2] = {access, change};
    return Errno(utimensat(AT_FDCWD, At(name).c_str(), times, flags));
  }
  FileTime Atime(std::string_view name) { return Stat(At(name)).st_atim; }
  // Whether `action` moves the modification and change times of the directory.
  void ExpectTouches(std::string_view directory,
                     const std::function<long()>& action, int line) {
    const FileTime mtime = Mtime(At(directory));
    const FileTime ctime = Ctime(At(directory));
    AwaitNextTick();
    EXPECT_EQ(Errno(action()), 0) << "line " << line;
    EXPECT_GT(Mtime(At(directory)), mtime) << directory << ", line " << line;
    EXPECT_GT(Ctime(At(directory)), ctime) << directory << ", line " << line;
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsTimes);

TEST_P(OperationsTimes, AreSetToTheNanosecond) {
  WriteFile(At("file"), "x");
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  for (const char* name : {"file", "dir"}) {
    EXPECT_EQ(SetTimes(name, {1'000'000'000, 123'456'789}, {5, 999'999'999}),
              0);
    EXPECT_EQ(Atime(name), FileTime(1'000'000'000, 123'456'789));
    EXPECT_EQ(Mtime(At(name)), FileTime(5, 999'999'999));
  }
  EXPECT_EQ(SetTimes("file", {0, 1'000'000'000}, {0, 0}), EINVAL);
}

TEST_P(OperationsTimes, ReachBefore1970AndBeyond2038) {
  WriteFile(At("file"), "x");
  for (const int64_t seconds :
       {int64_t{-1}, int64_t{-1'000'000'000}, int64_t{0}, int64_t{2147483647},
        int64_t{2147483648}, int64_t{4294967296}, int64_t{253402300799}}) {
    EXPECT_EQ(SetTimes("file", {seconds, 1}, {seconds, 2}), 0);
    // Beyond the last second that can be, it is that one.
    const int64_t last = limits().last_time;
    const bool fits = seconds < last;
    EXPECT_EQ(Atime("file"), fits ? FileTime(seconds, 1) : FileTime(last, 0));
    EXPECT_EQ(Mtime(At("file")),
              fits ? FileTime(seconds, 2) : FileTime(last, 0));
  }
}

TEST_P(OperationsTimes, AreSetToNowOrLeftAlone) {
  WriteFile(At("file"), "x");
  ASSERT_EQ(SetTimes("file", {10, 1}, {20, 2}), 0);
  const FileTime before = FileClock();
  EXPECT_EQ(SetTimes("file", {0, UTIME_NOW}, {0, UTIME_OMIT}), 0);
  EXPECT_GE(Atime("file"), before);
  EXPECT_EQ(Mtime(At("file")), FileTime(20, 2));
  EXPECT_EQ(SetTimes("file", {0, UTIME_OMIT}, {30, 3}), 0);
  EXPECT_GE(Atime("file"), before);
  EXPECT_EQ(Mtime(At("file")), FileTime(30, 3));
  EXPECT_EQ(SetTimes("file", {40, 4}, {0, UTIME_NOW}), 0);
  EXPECT_EQ(Atime("file"), FileTime(40, 4));
  EXPECT_GE(Mtime(At("file")), before);
  UniqueFd fd = Open(At("file"), O_RDONLY);
  const timespec times[2] = {{50, 5}, {60, 6}};
  EXPECT_EQ(Errno(futimens(fd.get(), times)), 0);
  EXPECT_EQ(Mtime(At("file")), FileTime(60, 6));
}

TEST_P(OperationsTimes, OfASymlinkAreItsOwn) {
  WriteFile(At("file"), "x");
  ASSERT_EQ(SetTimes("file", {1, 0}, {1, 0}), 0);
  ASSERT_EQ(Errno(symlink("file", At("link").c_str())), 0);
  EXPECT_EQ(SetTimes("link", {2, 0}, {3, 0}, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(Mtime(At("link")), FileTime(3, 0));
  EXPECT_EQ(Mtime(At("file")), FileTime(1, 0));
}

TEST_P(OperationsTimes, WhoMaySetThem) {
  WriteFile(At("file"), "x");
  const auto set_as_user = [&](timespec time) {
    return As(kUser, [&] { return SetTimes("file", time, time); });
  };
  EXPECT_EQ(set_as_user({1, 0}), EPERM);
  EXPECT_EQ(set_as_user({0, UTIME_NOW}), EACCES);
  // To now, whoever may write; to anything, the owner.
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 0666)), 0);
  EXPECT_EQ(set_as_user({1, 0}), EPERM);
  EXPECT_EQ(set_as_user({0, UTIME_NOW}), 0);
  ASSERT_EQ(Errno(chown(At("file").c_str(), 1000, 1000)), 0);
  EXPECT_EQ(set_as_user({1, 0}), 0);
  EXPECT_EQ(Mtime(At("file")), FileTime(1, 0));
}

TEST_P(OperationsTimes, NewFilesAreOfNow) {
  const FileTime before = FileClock();
  WriteFile(At("file"), "x");
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  ASSERT_EQ(Errno(symlink("target", At("link").c_str())), 0);
  timespec now;  // the clock of files is never ahead of this one
  clock_gettime(CLOCK_REALTIME, &now);
  const FileTime after = now;
  for (const char* name : {"file", "dir", "link"}) {
    for (const FileTime time :
         {Atime(name), Mtime(At(name)), Ctime(At(name))}) {
      EXPECT_GE(time, before) << name;
      EXPECT_LE(time, after) << name;
    }
  }
}

TEST_P(OperationsTimes, WritingModifies) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  const auto touches = [&](const std::function<void()>& action) {
    testing::Check(SetTimes("file", {7, 0}, {7, 0}) == 0, "utimensat");
    const FileTime ctime = Ctime(At("file"));
    AwaitNextTick();
    action();
    EXPECT_EQ(Mtime(At("file")) == FileTime(7, 0), Ctime(At("file")) == ctime);
    // POSIX lets none of these mark the access time, and so does everybody.
    EXPECT_EQ(Atime("file"), FileTime(7, 0));
    return Mtime(At("file")) > FileTime(7, 0);
  };
  EXPECT_TRUE(touches([&] { WriteAt(fd, 0, "content"); }));
  EXPECT_TRUE(touches([&] { WriteAt(fd, 0, "content"); }));
  EXPECT_TRUE(touches([&] { EXPECT_EQ(ftruncate(fd.get(), 3), 0); }));
  EXPECT_TRUE(touches([&] { EXPECT_EQ(ftruncate(fd.get(), 3), 0); }));
  EXPECT_TRUE(touches([&] { EXPECT_EQ(truncate(At("file").c_str(), 9), 0); }));
  EXPECT_TRUE(touches([&] { Open(At("file"), O_WRONLY | O_TRUNC); }));
  EXPECT_TRUE(touches([&] { EXPECT_EQ(fallocate(fd.get(), 0, 0, 99), 0); }));
  EXPECT_FALSE(touches([&] { EXPECT_EQ(pwrite(fd.get(), "", 0, 0), 0); }));
  EXPECT_FALSE(touches([&] { Open(At("file"), O_RDWR | O_CREAT); }));
}

TEST_P(OperationsTimes, AttributesChangeWithoutModifying) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(SetTimes("file", {7, 0}, {8, 0}), 0);
  const auto expect_change = [&](const std::function<long()>& action,
                                 int line) {
    const FileTime ctime = Ctime(At("file"));
    AwaitNextTick();
    EXPECT_EQ(Errno(action()), 0) << "line " << line;
    EXPECT_GT(Ctime(At("file")), ctime) << "line " << line;
    EXPECT_EQ(Mtime(At("file")), FileTime(8, 0)) << "line " << line;
    EXPECT_EQ(Atime("file"), FileTime(7, 0)) << "line " << line;
  };
  const std::string file = At("file"), other = At("other");
  expect_change([&] { return chmod(file.c_str(), 0600); }, __LINE__);
  expect_change([&] { return chown(file.c_str(), 1, 1); }, __LINE__);
  expect_change([&] { return link(file.c_str(), other.c_str()); }, __LINE__);
  expect_change([&] { return unlink(other.c_str()); }, __LINE__);
  expect_change(
      [&] {
        const timespec same[2] = {{7, 0}, {8, 0}};
        return utimensat(AT_FDCWD, file.c_str(), same, 0);
      },
      __LINE__);
  // Linux marks a file that is renamed.
  expect_change(
      [&] {
        return rename(file.c_str(), other.c_str()) != 0 ||
                       rename(other.c_str(), file.c_str()) != 0
                   ? -1
                   : 0;
      },
      __LINE__);
  const FileTime ctime = Ctime(file);
  AwaitNextTick();
  EXPECT_EQ(testing::ReadFile(file), "content");
  EXPECT_EQ(Ctime(file), ctime);
  EXPECT_EQ(Mtime(file), FileTime(8, 0));
}

TEST_P(OperationsTimes, NamesModifyTheirDirectory) {
  ASSERT_EQ(Errno(mkdir(At("d").c_str(), 0755)), 0);
  ASSERT_EQ(Errno(mkdir(At("e").c_str(), 0755)), 0);
  const auto touches_d = [&](const std::function<long()>& action, int line) {
    ExpectTouches("d", action, line);
  };
  touches_d(
      [&] {
        Open(At("d/file"), O_CREAT | O_WRONLY);
        return 0;
      },
      __LINE__);
  touches_d([&] { return mkdir(At("d/dir").c_str(), 0755); }, __LINE__);
  touches_d([&] { return rmdir(At("d/dir").c_str()); }, __LINE__);
  touches_d([&] { return symlink("x", At("d/link").c_str()); }, __LINE__);
  touches_d([&] { return mkfifo(At("d/fifo").c_str(), 0600); }, __LINE__);
  touches_d([&] { return link(At("d/file").c_str(), At("d/hard").c_str()); },
            __LINE__);
  touches_d([&] { return unlink(At("d/hard").c_str()); }, __LINE__);
  touches_d([&] { return rename(At("d/link").c_str(), At("d/l").c_str()); },
            __LINE__);
  // Both directories, when a name moves from one to the other.
  const FileTime other = Mtime(At("e"));
  touches_d([&] { return rename(At("d/l").c_str(), At("e/l").c_str()); },
            __LINE__);
  EXPECT_GT(Mtime(At("e")), other);

  // What happens to the file is not the directory's affair.
  const FileTime mtime = Mtime(At("d"));
  AwaitNextTick();
  WriteFile(At("d/file"), "changed");
  EXPECT_EQ(Errno(chmod(At("d/file").c_str(), 0600)), 0);
  EXPECT_EQ(Names(At("d")), (std::set<std::string>{"fifo", "file"}));
  EXPECT_EQ(Errno(mkdir(At("d/file").c_str(), 0755)), EEXIST);
  EXPECT_EQ(Errno(unlink(At("d/none").c_str())), ENOENT);
  EXPECT_EQ(Mtime(At("d")), mtime);
}

}  // namespace
}  // namespace barefuse
