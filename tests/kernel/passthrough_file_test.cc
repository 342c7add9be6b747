// Open files of the passthrough filesystem on a real kernel: what is passed
// through, what is not, and how the two go together.
#include <sys/mman.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/local_server.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::LocalServer;
using barefuse::testing::MessageBuilder;
using barefuse::testing::ReadFile;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

using PassthroughFileTest = PassthroughTest;

TEST_F(PassthroughFileTest, ReadsAndWritesPassTheServerBy) {
  const std::string content(5 << 20, 'p');
  WriteFile(source_ + "/read", content);
  Mount();
  EXPECT_EQ(ReadFile(mnt_ + "/read"), content);
  WriteFile(mnt_ + "/written", content);
  EXPECT_EQ(ReadFile(source_ + "/written"), content);
  {
    UniqueFd fd = Open("written", O_RDWR);
    WriteAt(fd, 100, "changed");
    EXPECT_EQ(ReadAt(fd, 99, 9), "pchangedp");
  }
  EXPECT_EQ(ReadFile(source_ + "/written").substr(100, 7), "changed");
  AwaitBackingCloses(3);
  Statistics statistics = End();
  EXPECT_EQ(statistics.operations[abi::FUSE_READ].requests, 0u);
  EXPECT_EQ(statistics.operations[abi::FUSE_WRITE].requests, 0u);
  EXPECT_EQ(statistics.read_bytes + statistics.written_bytes, 0u);
  EXPECT_EQ(statistics.passthrough_opens, 3u);
  EXPECT_EQ(statistics.backing_opens, probed_ + 3);
  EXPECT_EQ(statistics.backing_closes, probed_ + 3);
}

TEST_F(PassthroughFileTest, MappingsPassTheServerByToo) {
  WriteFile(source_ + "/file", std::string(8192, 'm'));
  Mount();
  {
    UniqueFd fd = Open("file", O_RDWR);
    auto* shared = static_cast<char*>(
        mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    auto* own = static_cast<char*>(
        mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0));
    ASSERT_NE(shared, MAP_FAILED);
    ASSERT_NE(own, MAP_FAILED);
    EXPECT_EQ(std::string(shared, 8192), std::string(8192, 'm'));
    shared[10] = 'S';
    own[20] = 'P';
    EXPECT_EQ(msync(shared, 8192, MS_SYNC), 0);
    EXPECT_EQ(ReadAt(fd, 10, 1), "S");
    WriteAt(fd, 30, "W");
    EXPECT_EQ(shared[30], 'W');
    munmap(shared, 8192);
    munmap(own, 8192);
  }
  const std::string content = ReadFile(source_ + "/file");
  EXPECT_EQ(content[10], 'S');
  EXPECT_EQ(content[20], 'm');
  EXPECT_EQ(Requests(abi::FUSE_READ) + Requests(abi::FUSE_WRITE), 0u);
}

TEST_F(PassthroughFileTest, OpensOfAnInodeShareABackingId) {
  WriteFile(source_ + "/file", "content");
  testing::Check(
      link((source_ + "/file").c_str(), (source_ + "/other").c_str()) == 0,
      "link");
  Mount();
  UniqueFd reader = Open("file", O_RDONLY);
  // The first open was for reading; the same backing file serves a writer.
  UniqueFd writer = Open("other", O_WRONLY);
  UniqueFd appender = Open("file", O_RDWR | O_APPEND);
  WriteAt(writer, 0, "CON");
  EXPECT_EQ(ReadAt(reader, 0, 10), "CONtent");
  EXPECT_EQ(write(appender.get(), "!", 1), 1);
  EXPECT_EQ(ReadAt(reader, 0, 10), "CONtent!");
  EXPECT_EQ(session_->statistics().passthrough_opens, 3u);
  EXPECT_EQ(BackingOpens(), 1u);
  EXPECT_EQ(BackingCloses(), 0u);

  writer.reset();
  appender.reset();
  AwaitOpenFiles(1);
  EXPECT_EQ(BackingCloses(), 0u);
  reader.reset();
  AwaitBackingCloses(1);
  // And again from the start.
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "CONtent!");
  EXPECT_EQ(BackingOpens(), 2u);
}

TEST_F(PassthroughFileTest, ATruncatingOpenOfAnOpenFileIsSeenByBoth) {
  WriteFile(source_ + "/file", "long content");
  Mount();
  UniqueFd reader = Open("file", O_RDONLY);
  EXPECT_EQ(ReadAt(reader, 0, 100), "long content");
  UniqueFd writer = Open("file", O_WRONLY | O_TRUNC);
  EXPECT_EQ(ReadAt(reader, 0, 100), "");
  WriteAt(writer, 0, "short");
  EXPECT_EQ(ReadAt(reader, 0, 100), "short");
  EXPECT_EQ(Stat(mnt_ + "/file").st_size, 5);
}

TEST_F(PassthroughFileTest, ADeletedFileGoesOnWhileItIsOpen) {
  WriteFile(source_ + "/file", "content");
  Mount();
  UniqueFd fd = Open("file", O_RDWR);
  ASSERT_EQ(unlink((mnt_ + "/file").c_str()), 0);
  WriteAt(fd, 0, "C");
  EXPECT_EQ(ReadAt(fd, 0, 10), "Content");
  EXPECT_EQ(ftruncate(fd.get(), 3), 0);
  EXPECT_EQ(fchmod(fd.get(), 0600), 0);
  struct stat info;
  ASSERT_EQ(fstat(fd.get(), &info), 0);
  EXPECT_EQ(info.st_size, 3);
  EXPECT_EQ(info.st_nlink, 0u);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(PassthroughFileTest, DirectIoBesidePassthroughReachesTheServer) {
  WriteFile(source_ + "/file", std::string(4096, 'd'));
  Mount({.direct_io = true});
  {
    UniqueFd fd = Open("file", O_RDWR);
    EXPECT_EQ(ReadAt(fd, 0, 3), "ddd");
    WriteAt(fd, 0, "D");
    // A mapping is still the backing file's.
    auto* map = static_cast<char*>(
        mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd.get(), 0));
    ASSERT_NE(map, MAP_FAILED);
    EXPECT_EQ(map[0], 'D');
    munmap(map, 4096);
  }
  EXPECT_EQ(Requests(abi::FUSE_READ), 1u);
  EXPECT_EQ(Requests(abi::FUSE_WRITE), 1u);
  EXPECT_EQ(session_->statistics().passthrough_opens, 1u);
}

TEST_F(PassthroughFileTest, WithoutPassthroughTheServerReadsAndWrites) {
  const std::string content(3 << 20, 's');
  Mount({.passthrough = false});
  WriteFile(mnt_ + "/file", content);
  EXPECT_EQ(ReadFile(source_ + "/file"), content);
  WriteFile(source_ + "/other", content);
  EXPECT_EQ(ReadFile(mnt_ + "/other"), content);
  Statistics statistics = session_->statistics();
  EXPECT_EQ(statistics.written_bytes, content.size());
  EXPECT_EQ(statistics.read_bytes, content.size());
  EXPECT_EQ(statistics.backing_opens, 0u);
  EXPECT_EQ(log(), "");
}

// A stand-in for a kernel that sends what it should serve by itself.
TEST_F(PassthroughFileTest, WhatTheKernelShouldServeItselfIsRefused) {
  WriteFile(source_ + "/file", "content");
  Mount();
  UniqueFd fd = Open("file", O_RDWR);
  // The first file handle that the filesystem gives out is 1.
  LocalServer rogue(file_system_);
  abi::fuse_read_in read{};
  read.fh = 1;
  read.size = 7;
  auto reply = rogue.Ask(MessageBuilder(abi::FUSE_READ, 2).Struct(read));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->error(), EIO);
  abi::fuse_write_in write{};
  write.fh = 1;
  write.size = 1;
  reply = rogue.Ask(MessageBuilder(abi::FUSE_WRITE, 2).Struct(write).Raw("X"));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->error(), EIO);
  EXPECT_NE(rogue.log().find(" came to the server although the file is in"),
            std::string::npos)
      << rogue.log();
  EXPECT_EQ(ReadFile(source_ + "/file"), "content");
}

TEST_F(PassthroughFileTest, NumbersThatWereNeverGivenOutFindNothing) {
  Mount();
  LocalServer rogue(file_system_);
  abi::fuse_read_in read{};
  read.fh = 999;
  read.size = 7;
  EXPECT_EQ(rogue.Ask(MessageBuilder(abi::FUSE_READ, 2).Struct(read))->error(),
            EBADF);
  EXPECT_EQ(rogue.Ask(MessageBuilder(abi::FUSE_LOOKUP, 777).Name("x"))->error(),
            ESTALE);
  EXPECT_EQ(rogue.Ask(MessageBuilder(abi::FUSE_LOOKUP).Name(".."))->error(),
            EINVAL);
}

TEST_F(PassthroughFileTest, FallsBackOnAStackedSourceAndSaysWhyOnce) {
  // The source is a passthrough mount itself, one layer too deep.
  const std::string below = dir_.MakeDir("below");
  WriteFile(below + "/file", "content");
  auto lower_fs = Passthrough::Create({.source = below});
  ASSERT_TRUE(lower_fs.ok());
  auto lower = Session::Mount(*lower_fs, source_, {});
  ASSERT_TRUE(lower.ok()) << lower.status();
  Mount();
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  WriteFile(mnt_ + "/new", "text");
  EXPECT_EQ(ReadFile(below + "/new"), "text");
  EXPECT_EQ(session_->statistics().passthrough_opens, 0u);
  const std::string said = log();
  EXPECT_NE(said.find("no passthrough, reads and writes go through the server: "
                      "the backing file is on a stacked filesystem"),
            std::string::npos)
      << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST_F(PassthroughFileTest, ABackingDepthOfOneTakesAStackedSource) {
  const std::string below = dir_.MakeDir("below");
  WriteFile(below + "/file", "content");
  auto lower_fs = Passthrough::Create({.source = below});
  ASSERT_TRUE(lower_fs.ok());
  auto lower = Session::Mount(*lower_fs, source_, {});
  ASSERT_TRUE(lower.ok()) << lower.status();
  Mount({}, {.backing_depth = 1});
  EXPECT_EQ(session_->terms().reply.max_stack_depth, 2u);
  EXPECT_EQ(ReadFile(mnt_ + "/file"), "content");
  EXPECT_EQ(session_->statistics().passthrough_opens, 1u);
  EXPECT_EQ(Requests(abi::FUSE_READ), 0u);
  EXPECT_EQ(log(), "");
}

TEST_F(PassthroughFileTest, AThousandFilesOfEightThreads) {
  Mount();
  constexpr int kThreads = 8;
  constexpr int kFiles = 125;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kFiles; ++i) {
        const std::string name = std::to_string(t) + "-" + std::to_string(i);
        WriteFile(mnt_ + "/" + name, "content of " + name);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kFiles; ++i) {
      const std::string name = std::to_string(t) + "-" + std::to_string(i);
      ASSERT_EQ(ReadFile(source_ + "/" + name), "content of " + name);
    }
  }
  size_t listed = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(mnt_)) {
    ++listed;
  }
  EXPECT_EQ(listed, 1000u);
  AwaitBackingCloses(1000);
  Statistics statistics = End();
  EXPECT_EQ(statistics.backing_opens, probed_ + 1000);
  EXPECT_EQ(statistics.backing_closes, probed_ + 1000);
  EXPECT_EQ(statistics.written_bytes, 0u);
}

TEST_F(PassthroughFileTest, SparseFilesCopiesAndSpace) {
  Mount();
  UniqueFd fd = Open("sparse", O_RDWR | O_CREAT);
  constexpr off_t kFar = off_t{5} << 30;
  WriteAt(fd, kFar, "data");
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_DATA), kFar);
  EXPECT_EQ(lseek(fd.get(), kFar, SEEK_HOLE), kFar + 4);
  EXPECT_LT(Stat(mnt_ + "/sparse").st_blocks, 1000);
  EXPECT_EQ(fallocate(fd.get(), 0, 0, 8192), 0);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_END), kFar + 4);
  WriteAt(fd, 0, "to be copied");
  UniqueFd copy = Open("copy", O_RDWR | O_CREAT);
  off_t in = 3, out = 1;
  EXPECT_EQ(copy_file_range(fd.get(), &in, copy.get(), &out, 2, 0), 2);
  EXPECT_EQ(ReadAt(copy, 0, 10), std::string_view("\0be", 3));
  EXPECT_EQ(fsync(copy.get()), 0);
  EXPECT_EQ(fdatasync(copy.get()), 0);
}

TEST_F(PassthroughFileTest, AWriteByAnotherUserClearsSetuid) {
  WriteFile(source_ + "/file", "x");
  testing::Check(chmod((source_ + "/file").c_str(), 06777) == 0, "chmod");
  Mount();
  testing::Process other([&] {
    if (setgid(4321) != 0 || setuid(1234) != 0) return 1;
    int fd = open((mnt_ + "/file").c_str(), O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "y", 1) == 1 ? 0 : 2;
  });
  ASSERT_EQ(other.Wait(), 0);
  EXPECT_EQ(Stat(source_ + "/file").st_mode & 07777, 0777u);
}

TEST_F(PassthroughFileTest, OtherWaysToWriteClearSetuidToo) {
  for (const char* name : {"/allocated", "/copied"}) {
    WriteFile(source_ + name, "x");
    testing::Check(chmod((source_ + name).c_str(), 06777) == 0, "chmod");
  }
  WriteFile(source_ + "/from", "y");
  Mount();
  testing::Process other([&] {
    if (setgid(4321) != 0 || setuid(1234) != 0) return 1;
    int fd = open((mnt_ + "/allocated").c_str(), O_WRONLY | O_CLOEXEC);
    if (fallocate(fd, 0, 0, 100) != 0) return 2;
    int from = open((mnt_ + "/from").c_str(), O_RDONLY | O_CLOEXEC);
    int to = open((mnt_ + "/copied").c_str(), O_WRONLY | O_CLOEXEC);
    return copy_file_range(from, nullptr, to, nullptr, 1, 0) == 1 ? 0 : 3;
  });
  ASSERT_EQ(other.Wait(), 0);
  EXPECT_EQ(Stat(source_ + "/allocated").st_mode & 07777, 0777u);
  EXPECT_EQ(Stat(source_ + "/copied").st_mode & 07777, 0777u);
}

// A file that has come to a name which the kernel takes to be free is opened
// with the caller's rights, not with the server's.
TEST_F(PassthroughFileTest, CreatingOverAFileOfOthersIsRefused) {
  testing::Check(chmod(source_.c_str(), 0777) == 0, "chmod");
  Mount({.timeout = absl::Hours(1)});
  EXPECT_EQ(access((mnt_ + "/secret").c_str(), F_OK), -1);
  WriteFile(source_ + "/secret", "secret");
  testing::Check(chmod((source_ + "/secret").c_str(), 0600) == 0, "chmod");
  testing::Process other([&] {
    if (setgid(4321) != 0 || setuid(1234) != 0) return 1;
    int fd =
        open((mnt_ + "/secret").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 && errno == EACCES ? 0 : 2;
  });
  EXPECT_EQ(other.Wait(), 0);
  // Who may open it gets it.
  UniqueFd fd = Open("secret", O_RDWR | O_CREAT);
  EXPECT_EQ(ReadAt(fd, 0, 10), "secret");
}

// Pages are written back through whatever descriptor there is.
TEST_F(PassthroughFileTest, CachedMappingsOfOddOpensAreWrittenBack) {
  Mount({.passthrough = false});
  for (int flags : {O_APPEND, O_DIRECT}) {
    WriteFile(mnt_ + "/file", std::string(5000, 'f'));
    {
      UniqueFd fd = Open("file", O_RDWR | flags);
      auto* map = static_cast<char*>(
          mmap(nullptr, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
      ASSERT_NE(map, MAP_FAILED) << strerror(errno);
      map[0] = map[4500] = 'M';
      EXPECT_EQ(msync(map, 5000, MS_SYNC), 0) << strerror(errno);
      munmap(map, 5000);
    }
    const std::string content = ReadFile(source_ + "/file");
    EXPECT_EQ(content.size(), 5000u);
    EXPECT_EQ(content[0], 'M');
    EXPECT_EQ(content[4500], 'M');
  }
}

TEST_F(PassthroughFileTest, AppendsGoToTheEndOfTheSource) {
  WriteFile(source_ + "/file", "1");
  Mount({.passthrough = false, .timeout = absl::Hours(1)});
  UniqueFd fd = Open("file", O_WRONLY | O_APPEND);
  EXPECT_EQ(write(fd.get(), "2", 1), 1);
  {
    UniqueFd behind(
        open((source_ + "/file").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    EXPECT_EQ(write(behind.get(), "3", 1), 1);
  }
  EXPECT_EQ(write(fd.get(), "4", 1), 1);
  EXPECT_EQ(ReadFile(source_ + "/file"), "1234");
}

TEST_F(PassthroughFileTest, AStopWritesBackWhatIsMapped) {
  WriteFile(source_ + "/file", std::string(4096, 'f'));
  Mount({.passthrough = false});
  UniqueFd fd = Open("file", O_RDWR);
  auto* map = static_cast<char*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(map, MAP_FAILED);
  map[7] = 'D';
  End();
  EXPECT_EQ(ReadFile(source_ + "/file")[7], 'D');
  munmap(map, 4096);
}

TEST_F(PassthroughFileTest, DirectOpensWork) {
  WriteFile(source_ + "/file", std::string(8192, 'o'));
  Mount();
  UniqueFd fd = Open("file", O_RDWR | O_DIRECT);
  void* buffer = nullptr;
  ASSERT_EQ(posix_memalign(&buffer, 4096, 4096), 0);
  EXPECT_EQ(pread(fd.get(), buffer, 4096, 4096), 4096) << strerror(errno);
  std::memset(buffer, 'n', 4096);
  EXPECT_EQ(pwrite(fd.get(), buffer, 4096, 0), 4096) << strerror(errno);
  free(buffer);
  EXPECT_EQ(ReadFile(source_ + "/file"),
            std::string(4096, 'n') + std::string(4096, 'o'));
}

}  // namespace
}  // namespace barefuse
