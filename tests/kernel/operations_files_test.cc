// Open files: flags, offsets, the ends of their lives, and what is refused.
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <limits>
#include <memory>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::Stat;
using testing::WriteFile;

class OperationsFiles : public TransportSuite {};
INSTANTIATE_FOR_SUBJECTS(OperationsFiles);

TEST_P(OperationsFiles, AppendsGoToTheEnd) {
  UniqueFd one = Open(At("file"), O_WRONLY | O_CREAT | O_APPEND);
  UniqueFd two = Open(At("file"), O_RDWR | O_APPEND);
  EXPECT_EQ(write(one.get(), "1", 1), 1);
  EXPECT_EQ(write(two.get(), "22", 2), 2);
  EXPECT_EQ(write(one.get(), "333", 3), 3);
  // Wherever the offset is, and even with one given, as Linux has it.
  EXPECT_EQ(lseek(two.get(), 0, SEEK_SET), 0);
  EXPECT_EQ(write(two.get(), "4", 1), 1);
  EXPECT_EQ(lseek(two.get(), 0, SEEK_CUR), 7);
  EXPECT_EQ(pwrite(one.get(), "5", 1, 0), 1);
  EXPECT_EQ(ReadAt(two, 0, 100), "12233345");
  EXPECT_EQ(Stat(At("file")).st_size, 8);
  // Set later, by fcntl.
  UniqueFd three = Open(At("file"), O_WRONLY);
  ASSERT_EQ(Errno(fcntl(three.get(), F_SETFL, O_APPEND)), 0);
  EXPECT_EQ(write(three.get(), "6", 1), 1);
  EXPECT_EQ(ReadFile(At("file")), "122333456");
}

TEST_P(OperationsFiles, AppendsOfSeveralProcessesAllStay) {
  constexpr int kProcesses = 3;
  constexpr size_t kRecords = 200;
  constexpr size_t kRecord = 37;
  Open(At("log"), O_WRONLY | O_CREAT);
  std::vector<std::unique_ptr<testing::Process>> writers;
  for (int i = 0; i < kProcesses; ++i) {
    writers.push_back(std::make_unique<testing::Process>([&, i] {
      UniqueFd fd = Open(At("log"), O_WRONLY | O_APPEND);
      const std::string record(kRecord, static_cast<char>('a' + i));
      for (size_t n = 0; n < kRecords; ++n) {
        if (write(fd.get(), record.data(), kRecord) != ssize_t{kRecord}) {
          return 1;
        }
      }
      return 0;
    }));
  }
  for (auto& writer : writers) EXPECT_EQ(writer->Wait(), 0);
  const std::string log = ReadFile(At("log"));
  ASSERT_EQ(log.size(), kProcesses * kRecords * kRecord);
  size_t counts[kProcesses] = {};
  for (size_t at = 0; at < log.size(); at += kRecord) {
    EXPECT_EQ(log.substr(at, kRecord), std::string(kRecord, log[at])) << at;
    if (log[at] >= 'a' && log[at] < 'a' + kProcesses) ++counts[log[at] - 'a'];
  }
  for (const size_t count : counts) EXPECT_EQ(count, kRecords);
}

TEST_P(OperationsFiles, TruncatingOpenEmptiesTheFile) {
  WriteFile(At("file"), "content");
  UniqueFd reader = Open(At("file"), O_RDONLY);
  EXPECT_EQ(ReadAt(reader, 0, 10), "content");
  UniqueFd writer = Open(At("file"), O_WRONLY | O_TRUNC);
  EXPECT_EQ(barefuse::Stat(reader).st_size, 0);
  EXPECT_EQ(ReadAt(reader, 0, 10), "");
  WriteAt(writer, 0, "new");
  EXPECT_EQ(ReadAt(reader, 0, 10), "new");
  // Of one that is there, O_CREAT does the same.
  Open(At("file"), O_WRONLY | O_TRUNC | O_CREAT);
  EXPECT_EQ(barefuse::Stat(writer).st_size, 0);
}

TEST_P(OperationsFiles, DescriptorsOfOneOpenShareTheOffset) {
  WriteFile(At("file"), "0123456789");
  UniqueFd fd = Open(At("file"), O_RDWR);
  UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  ASSERT_TRUE(copy);
  char buffer[4];
  EXPECT_EQ(read(fd.get(), buffer, 4), 4);
  EXPECT_EQ(read(copy.get(), buffer, 4), 4);
  EXPECT_EQ(std::string(buffer, 4), "4567");
  UniqueFd other = Open(At("file"), O_RDWR);
  EXPECT_EQ(lseek(other.get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(read(fd.get(), buffer, 4), 2);
  EXPECT_EQ(read(fd.get(), buffer, 4), 0);
}

TEST_P(OperationsFiles, SeeksAreCountedFromThreePlaces) {
  WriteFile(At("file"), "0123456789");
  UniqueFd fd = Open(At("file"), O_RDWR);
  EXPECT_EQ(lseek(fd.get(), 3, SEEK_SET), 3);
  EXPECT_EQ(lseek(fd.get(), 2, SEEK_CUR), 5);
  EXPECT_EQ(lseek(fd.get(), -1, SEEK_END), 9);
  EXPECT_EQ(lseek(fd.get(), 100, SEEK_END), 110);
  EXPECT_EQ(Errno(lseek(fd.get(), -1, SEEK_SET)), EINVAL);
  EXPECT_EQ(Errno(lseek(fd.get(), -11, SEEK_END)), EINVAL);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_CUR), 110);
  // The end of the file as somebody else has moved it.
  UniqueFd other = Open(At("file"), O_WRONLY | O_APPEND);
  EXPECT_EQ(write(other.get(), "abc", 3), 3);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_END), 13);
}

TEST_P(OperationsFiles, AnOpenAllowsOnlyWhatItWasFor) {
  WriteFile(At("file"), "content");
  char buffer[8];
  UniqueFd reader = Open(At("file"), O_RDONLY);
  UniqueFd writer = Open(At("file"), O_WRONLY);
  EXPECT_EQ(Errno(write(reader.get(), "x", 1)), EBADF);
  EXPECT_EQ(Errno(read(writer.get(), buffer, 1)), EBADF);
  EXPECT_EQ(Errno(ftruncate(reader.get(), 0)), EINVAL);
  EXPECT_EQ(Errno(fallocate(reader.get(), 0, 0, 1)), EBADF);
  UniqueFd path = Open(At("file"), O_PATH);
  EXPECT_EQ(Errno(read(path.get(), buffer, 1)), EBADF);
  EXPECT_EQ(barefuse::Stat(path).st_size, 7);
  UniqueFd dir = Open(root(), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Errno(read(dir.get(), buffer, 1)), EISDIR);
  EXPECT_EQ(TryOpen(root(), O_WRONLY), EISDIR);
  // What may be done was decided when it was opened.
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 0)), 0);
  EXPECT_EQ(ReadAt(reader, 0, 10), "content");
  WriteAt(writer, 0, "C");
  EXPECT_EQ(ReadAt(reader, 0, 10), "Content");
}

TEST_P(OperationsFiles, ClosingAndSyncingSucceed) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  WriteAt(fd, 0, Pattern(100'000));
  EXPECT_EQ(Errno(fdatasync(fd.get())), 0);
  EXPECT_EQ(Errno(fsync(fd.get())), 0);
  EXPECT_EQ(Errno(sync_file_range(fd.get(), 0, 100'000, SYNC_FILE_RANGE_WRITE)),
            0);
  EXPECT_EQ(Errno(syncfs(fd.get())), 0);
  const int copy = dup(fd.get());
  EXPECT_EQ(Errno(close(copy)), 0);
  WriteAt(fd, 100'000, "more");
  EXPECT_EQ(Errno(close(fd.release())), 0);
  EXPECT_EQ(ReadFile(At("file")), Pattern(100'000) + "more");
  UniqueFd synced = Open(At("file"), O_WRONLY | O_SYNC);
  WriteAt(synced, 0, "synced");
  EXPECT_EQ(ReadFile(At("file")).substr(0, 6), "synced");
}

TEST_P(OperationsFiles, WhatIsNegativeOrTooFarIsRefused) {
  constexpr off_t kFarthest = std::numeric_limits<off_t>::max();
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT);
  char byte = 'x';
  EXPECT_EQ(Errno(pread(fd.get(), &byte, 1, -1)), EINVAL);
  EXPECT_EQ(Errno(pwrite(fd.get(), &byte, 1, -1)), EINVAL);
  EXPECT_EQ(Errno(ftruncate(fd.get(), -1)), EINVAL);
  EXPECT_EQ(Errno(truncate(At("file").c_str(), -1)), EINVAL);
  EXPECT_EQ(Errno(pwrite(fd.get(), &byte, 1, kFarthest)), EINVAL);
  EXPECT_EQ(Errno(fallocate(fd.get(), 0, kFarthest, 1)), EFBIG);
  EXPECT_EQ(Errno(fallocate(fd.get(), 0, -1, 1)), EINVAL);
  EXPECT_EQ(Errno(fallocate(fd.get(), 0, 0, 0)), EINVAL);
  EXPECT_EQ(pread(fd.get(), &byte, 1, kFarthest - 1), 0);
  std::vector<iovec> many(IOV_MAX + 1, iovec{&byte, 1});
  EXPECT_EQ(Errno(preadv(fd.get(), many.data(), IOV_MAX + 1, 0)), EINVAL);
  EXPECT_EQ(pwritev(fd.get(), many.data(), IOV_MAX, 0), IOV_MAX);
  EXPECT_EQ(pwrite(fd.get(), &byte, 0, 0), 0);
  EXPECT_EQ(Stat(At("file")).st_size, IOV_MAX);
}

TEST_P(OperationsFiles, TheProcesssOwnLimitHolds) {
  Open(At("file"), O_RDWR | O_CREAT);
  testing::Process child([&] {
    const rlimit limit = {1000, 1000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    UniqueFd fd = Open(At("file"), O_RDWR);
    // As much as fits, and then nothing.
    if (pwrite(fd.get(), "0123456789", 10, 995) != 5) return 2;
    if (!(Errno(pwrite(fd.get(), "x", 1, 1000)) == EFBIG)) return 3;
    if (!(Errno(ftruncate(fd.get(), 1001)) == EFBIG)) return 4;
    return 0;
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 1000);
}

TEST_P(OperationsFiles, DirectIoGivesTheSameBytes) {
  const std::string content = Pattern(1 << 20);
  WriteFile(At("file"), content);
  UniqueFd fd = Open(At("file"), O_RDWR | O_DIRECT);
  constexpr size_t kSize = 64 << 10;
  const std::unique_ptr<char, decltype(&free)> memory(
      static_cast<char*>(aligned_alloc(4096, kSize)), free);
  char* buffer = memory.get();
  ASSERT_EQ(pread(fd.get(), buffer, kSize, 128 << 10), ssize_t{kSize});
  EXPECT_EQ(std::string(buffer, kSize), content.substr(128 << 10, kSize));
  memset(buffer, 'D', kSize);
  ASSERT_EQ(pwrite(fd.get(), buffer, kSize, 0), ssize_t{kSize});
  ASSERT_EQ(pwrite(fd.get(), buffer, kSize, 1 << 20), ssize_t{kSize});
  const std::string changed = ReadFile(At("file"));
  EXPECT_EQ(changed.size(), (1u << 20) + kSize);
  EXPECT_TRUE(changed == std::string(kSize, 'D') + content.substr(kSize) +
                             std::string(kSize, 'D'));
  // Reads end at the end.
  EXPECT_EQ(pread(fd.get(), buffer, kSize, (1 << 20) + 4096),
            ssize_t{kSize - 4096});
  EXPECT_EQ(pread(fd.get(), buffer, kSize, 4 << 20), 0);
}

TEST_P(OperationsFiles, ProgramsRunFromTheMount) {
  WriteFile(At("script"), "#!/bin/sh\nexit 42\n");
  EXPECT_EQ(Errno(access(At("script").c_str(), X_OK)), EACCES);
  ASSERT_EQ(Errno(chmod(At("script").c_str(), 0755)), 0);
  EXPECT_EQ(testing::RunToEnd({At("script")}).status, 42);
  WriteFile(At("copy"), ReadFile("/bin/true"));
  ASSERT_EQ(Errno(chmod(At("copy").c_str(), 0755)), 0);
  EXPECT_EQ(testing::RunToEnd({At("copy")}).status, 0);
}

TEST_P(OperationsFiles, ManyFilesAreOpenAtOnce) {
  constexpr int kFiles = 300;
  std::vector<UniqueFd> files;
  for (int i = 0; i < kFiles; ++i) {
    files.push_back(Open(At(std::to_string(i)), O_RDWR | O_CREAT));
    WriteAt(files.back(), 0, std::to_string(i));
  }
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_EQ(ReadAt(files[static_cast<size_t>(i)], 0, 10), std::to_string(i));
    EXPECT_EQ(Errno(unlink(At(std::to_string(i)).c_str())), 0);
  }
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_EQ(ReadAt(files[static_cast<size_t>(i)], 0, 10), std::to_string(i));
  }
}

}  // namespace
}  // namespace barefuse
