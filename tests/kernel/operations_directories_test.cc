// Reading directories, also while they change.
#include <limits.h>
#include <sys/syscall.h>

#include <map>
#include <memory>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::Stat;
using testing::WriteFile;

struct Entry {
  std::string name;
  ino_t ino;
  unsigned char type;
};

// Up to `size` bytes of entries from the descriptor's offset on; none at the
// end.
std::vector<Entry> Getdents(const UniqueFd& fd, size_t size) {
  alignas(8) char buffer[64 << 10];
  testing::Check(size <= sizeof buffer, "the buffer is too small");
  const long n = syscall(SYS_getdents64, fd.get(), buffer, size);
  testing::Check(n >= 0, "getdents64");
  std::vector<Entry> entries;
  for (long at = 0; at < n;) {
    // The kernel's linux_dirent64, which is glibc's dirent64.
    const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
    entries.push_back({entry->d_name, entry->d_ino, entry->d_type});
    at += entry->d_reclen;
  }
  return entries;
}

// How often each name comes, but for "." and "..".
std::map<std::string, int> Counts(const UniqueFd& fd, size_t size) {
  std::map<std::string, int> counts;
  for (;;) {
    const std::vector<Entry> entries = Getdents(fd, size);
    if (entries.empty()) break;
    for (const Entry& entry : entries) ++counts[entry.name];
  }
  counts.erase(".");
  counts.erase("..");
  return counts;
}

struct CloseDir {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDir>;

std::string Next(const Directory& directory) {
  errno = 0;
  const dirent* entry = readdir(directory.get());
  testing::Check(entry != nullptr || errno == 0, "readdir");
  return entry == nullptr ? "" : entry->d_name;
}

class OperationsDirectories : public TransportSuite {
 protected:
  void SetUp() override {
    TransportSuite::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  }
  std::string Name(int number) { return "entry-" + std::to_string(number); }
  std::string InDir(const std::string& name) { return At("dir/" + name); }
  // Entries NUMBER from 0 in the directory.
  void Fill(int count) {
    for (int i = 0; i < count; ++i) WriteFile(InDir(Name(i)), "");
  }
  UniqueFd OpenDir() { return Open(At("dir"), O_RDONLY | O_DIRECTORY); }
};
INSTANTIATE_FOR_SUBJECTS(OperationsDirectories);

TEST_P(OperationsDirectories, AnEmptyOneHasItselfAndItsParent) {
  UniqueFd fd = OpenDir();
  std::map<std::string, ino_t> inos;
  for (const Entry& entry : Getdents(fd, 32 << 10)) {
    inos[entry.name] = entry.ino;
    EXPECT_EQ(entry.type, DT_DIR) << entry.name;
  }
  ASSERT_EQ(inos.size(), 2u);
  EXPECT_EQ(inos["."], Stat(At("dir")).st_ino);
  EXPECT_EQ(inos[".."], Stat(root()).st_ino);
  EXPECT_TRUE(Getdents(fd, 32 << 10).empty());
  EXPECT_TRUE(Getdents(fd, 32 << 10).empty());
}

TEST_P(OperationsDirectories, EntriesSayTypeAndNumber) {
  ASSERT_EQ(Errno(mkdir(InDir("dir").c_str(), 0755)), 0);
  WriteFile(InDir("file"), "");
  ASSERT_EQ(Errno(symlink("file", InDir("link").c_str())), 0);
  ASSERT_EQ(Errno(mkfifo(InDir("fifo").c_str(), 0644)), 0);
  ASSERT_EQ(Errno(mknod(InDir("socket").c_str(), S_IFSOCK | 0644, 0)), 0);
  ASSERT_EQ(Errno(mknod(InDir("char").c_str(), S_IFCHR | 0644, 0x103)), 0);
  ASSERT_EQ(Errno(mknod(InDir("block").c_str(), S_IFBLK | 0644, 0x103)), 0);
  size_t seen = 0;
  for (const Entry& entry : Getdents(OpenDir(), 32 << 10)) {
    if (entry.name == "." || entry.name == "..") continue;
    const struct stat info = Stat(InDir(entry.name));
    EXPECT_EQ(entry.type, IFTODT(info.st_mode)) << entry.name;
    EXPECT_EQ(entry.ino, info.st_ino) << entry.name;
    ++seen;
  }
  EXPECT_EQ(seen, 7u);
}

TEST_P(OperationsDirectories, EveryEntryComesOnce) {
  for (const int count : {1, 1000}) {
    Fill(count);
    for (const size_t size : {300u, 4096u, 65'536u}) {
      const std::map<std::string, int> counts = Counts(OpenDir(), size);
      EXPECT_EQ(counts.size(), static_cast<size_t>(count)) << size;
      for (int i = 0; i < count; ++i) {
        const auto found = counts.find(Name(i));
        ASSERT_TRUE(found != counts.end()) << Name(i);
        EXPECT_EQ(found->second, 1) << Name(i);
      }
    }
  }
}

TEST_P(OperationsDirectories, LongNamesAreWhole) {
  std::set<std::string> names;
  for (char c = 'a'; c <= 'z'; ++c) names.insert(std::string(255, c));
  for (const std::string& name : names) WriteFile(InDir(name), "");
  EXPECT_EQ(Names(At("dir")), names);
  // Two of them do not fit at once.
  EXPECT_EQ(Counts(OpenDir(), 400).size(), names.size());
}

TEST_P(OperationsDirectories, ABufferMustHoldAnEntry) {
  WriteFile(InDir(std::string(200, 'n')), "");
  UniqueFd fd = OpenDir();
  alignas(8) char buffer[64];
  // "." and ".." fit, where they come first, and then nothing.
  int dots = 0;
  long n;
  while ((n = syscall(SYS_getdents64, fd.get(), buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < n; ++dots) {
      uint16_t size;  // linux_dirent64::d_reclen
      memcpy(&size, buffer + at + 16, sizeof size);
      at += size;
    }
  }
  EXPECT_EQ(Errno(n), EINVAL);
  EXPECT_LE(dots, 2);
  // Neither the entry nor one after it was lost.
  size_t left = 0;
  for (;;) {
    const std::vector<Entry> entries = Getdents(fd, 4096);
    if (entries.empty()) break;
    left += entries.size();
  }
  EXPECT_EQ(left + static_cast<size_t>(dots), 3u);
}

TEST_P(OperationsDirectories, PositionsCanBeReturnedTo) {
  constexpr int kCount = 500;
  Fill(kCount);
  Directory directory(opendir(At("dir").c_str()));
  ASSERT_NE(directory, nullptr);
  std::vector<std::pair<long, std::string>> seen;
  for (;;) {
    const long position = telldir(directory.get());
    const std::string name = Next(directory);
    if (name.empty()) break;
    seen.emplace_back(position, name);
  }
  ASSERT_EQ(seen.size(), kCount + 2u);
  for (size_t i = 0; i < seen.size(); i += 7) {
    const auto& [position, name] = seen[seen.size() - 1 - i];
    seekdir(directory.get(), position);
    EXPECT_EQ(Next(directory), name);
  }
  // To where an entry was that is gone: the next one comes.
  ASSERT_NE(seen[250].second, ".");
  ASSERT_NE(seen[250].second, "..");
  ASSERT_EQ(Errno(unlink(InDir(seen[250].second).c_str())), 0);
  Directory again(opendir(At("dir").c_str()));
  // A directory in the kernel's cache (FOPEN_CACHE_DIR) is looked at for
  // changes only where reading begins at its start (fuse_readdir_cached).
  EXPECT_EQ(Next(again), seen[0].second);
  seekdir(again.get(), seen[250].first);
  EXPECT_EQ(Next(again), seen[251].second);
}

TEST_P(OperationsDirectories, RewindingShowsWhatIsNew) {
  Fill(3);
  Directory directory(opendir(At("dir").c_str()));
  const auto read_all = [&] {
    std::set<std::string> names;
    for (std::string name; !(name = Next(directory)).empty();) {
      names.insert(name);
    }
    return names;
  };
  EXPECT_EQ(read_all().size(), 5u);
  WriteFile(InDir("new"), "");
  ASSERT_EQ(Errno(unlink(InDir(Name(1)).c_str())), 0);
  rewinddir(directory.get());
  EXPECT_EQ(read_all(),
            (std::set<std::string>{".", "..", Name(0), Name(2), "new"}));
  UniqueFd fd = OpenDir();
  EXPECT_EQ(Counts(fd, 4096).size(), 3u);
  WriteFile(InDir("newer"), "");
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_SET), 0);
  EXPECT_EQ(Counts(fd, 4096).size(), 4u);
}

TEST_P(OperationsDirectories, EntriesAreRemovedWhileTheyAreRead) {
  Fill(1000);
  UniqueFd fd = OpenDir();
  size_t removed = 0;
  for (;;) {
    const std::vector<Entry> entries = Getdents(fd, 400);
    if (entries.empty()) break;
    for (const Entry& entry : entries) {
      if (entry.name == "." || entry.name == "..") continue;
      EXPECT_EQ(Errno(unlinkat(fd.get(), entry.name.c_str(), 0)), 0);
      ++removed;
    }
  }
  EXPECT_EQ(removed, 1000u);
  EXPECT_EQ(Errno(rmdir(At("dir").c_str())), 0);
}

TEST_P(OperationsDirectories, WhatStaysComesOnceWhileOthersComeAndGo) {
  constexpr int kStay = 300;
  Fill(kStay);
  for (int i = 0; i < kStay; ++i) {
    WriteFile(InDir("going-" + std::to_string(i)), "");
  }
  UniqueFd fd = OpenDir();
  std::map<std::string, int> counts;
  int step = 0;
  for (;; ++step) {
    const std::vector<Entry> entries = Getdents(fd, 300);
    if (entries.empty() || step > 10 * kStay) break;
    for (const Entry& entry : entries) ++counts[entry.name];
    const std::string number = std::to_string(step % kStay);
    // In both directions through what is there, and a few new ones.
    unlinkat(fd.get(), ("going-" + number).c_str(), 0);
    unlinkat(fd.get(),
             ("going-" + std::to_string(kStay - 1 - step % kStay)).c_str(), 0);
    if (step < 50) WriteFile(InDir("new-" + number), "");
  }
  EXPECT_LE(step, 10 * kStay);
  for (int i = 0; i < kStay; ++i) EXPECT_EQ(counts[Name(i)], 1) << Name(i);
  for (const auto& [name, count] : counts) EXPECT_EQ(count, 1) << name;
}

TEST_P(OperationsDirectories, WhatStaysComesOnceWhileAnotherProcessIsBusy) {
  constexpr int kStay = 300;
  Fill(kStay);
  testing::Process busy([&] {
    for (int i = 0;; ++i) {
      const std::string name = InDir("busy-" + std::to_string(i % 20));
      if (unlink(name.c_str()) != 0) Open(name, O_CREAT | O_WRONLY);
    }
    return 0;
  });
  ASSERT_TRUE(Eventually([&] { return Exists(InDir("busy-19")); }));
  for (int round = 0; round < 20; ++round) {
    std::map<std::string, int> counts = Counts(OpenDir(), 1024);
    for (int i = 0; i < kStay; ++i) {
      ASSERT_EQ(counts[Name(i)], 1) << Name(i) << " in round " << round;
    }
  }
}

TEST_P(OperationsDirectories, ARenamedEntryStaysListed) {
  Fill(10);
  ASSERT_EQ(Errno(rename(InDir(Name(3)).c_str(), InDir("other").c_str())), 0);
  ASSERT_EQ(Errno(rename(InDir(Name(4)).c_str(), InDir(Name(5)).c_str())), 0);
  const std::map<std::string, int> counts = Counts(OpenDir(), 4096);
  EXPECT_EQ(counts.size(), 9u);
  EXPECT_TRUE(counts.contains("other"));
  EXPECT_FALSE(counts.contains(Name(3)));
  EXPECT_FALSE(counts.contains(Name(4)));
}

TEST_P(OperationsDirectories, SyncingSucceeds) {
  Fill(3);
  UniqueFd fd = OpenDir();
  EXPECT_EQ(Errno(fsync(fd.get())), 0);
  EXPECT_EQ(Errno(fdatasync(fd.get())), 0);
}

TEST_P(OperationsDirectories, NamesAreRelativeToADescriptor) {
  UniqueFd fd = OpenDir();
  ASSERT_EQ(Errno(mkdirat(fd.get(), "sub", 0755)), 0);
  UniqueFd file(openat(fd.get(), "sub/file", O_CREAT | O_WRONLY, 0644));
  ASSERT_TRUE(file);
  ASSERT_EQ(Errno(rename(At("dir").c_str(), At("moved").c_str())), 0);
  struct stat info;
  EXPECT_EQ(Errno(fstatat(fd.get(), "sub/file", &info, 0)), 0);
  EXPECT_EQ(Errno(renameat(fd.get(), "sub/file", fd.get(), "up")), 0);
  EXPECT_EQ(Names(At("moved")), (std::set<std::string>{"sub", "up"}));
  // The working directory of a process moves along too.
  testing::Process child([&] {
    char path[PATH_MAX];
    if (fchdir(fd.get()) != 0 || getcwd(path, sizeof path) == nullptr) return 1;
    if (path != At("moved")) return 2;
    return access("up", F_OK) == 0 ? 0 : 3;
  });
  EXPECT_EQ(child.Wait(), 0);
}

}  // namespace
}  // namespace barefuse
