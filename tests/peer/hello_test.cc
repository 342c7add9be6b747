// hello of libfuse's examples and ours, call by call.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <sstream>

#include "server/unique_fd.h"
#include "tests/peer/peer_test.h"

namespace barefuse::peer {
namespace {

std::string File(const Place& at) { return at.mnt + "/hello"; }

UniqueFd Open(const Place& at) {
  UniqueFd fd(open(File(at).c_str(), O_RDONLY | O_CLOEXEC));
  testing::Check(static_cast<bool>(fd), "open hello");
  return fd;
}

std::string OpenSays(const std::string& path, int flags) {
  const UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
  return Said(fd ? 0 : -1);
}

std::string ReadAt(const Place& at, size_t size, off_t offset) {
  const UniqueFd fd = Open(at);
  std::string content(size, '\0');
  const ssize_t n = pread(fd.get(), content.data(), size, offset);
  if (n < 0) return Said(n);
  content.resize(static_cast<size_t>(n));
  return "\"" + content + "\"";
}

std::string StatSays(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return Said(-1);
  std::ostringstream text;
  text << "ino " << info.st_ino << " mode " << std::oct << info.st_mode
       << std::dec << " nlink " << info.st_nlink << " uid " << info.st_uid
       << " gid " << info.st_gid << " size " << info.st_size << " blocks "
       << info.st_blocks << " blksize " << info.st_blksize << " times "
       << info.st_atim.tv_sec << " " << info.st_mtim.tv_sec << " "
       << info.st_ctim.tv_sec;
  return text.str();
}

std::string Listing(const std::string& path, bool types) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return Said(-1);
  std::ostringstream text;
  while (const dirent* entry = readdir(directory)) {
    text << entry->d_name << " "
         << (types ? static_cast<uint64_t>(entry->d_type) : entry->d_ino)
         << "; ";
  }
  closedir(directory);
  return text.str();
}

// Reads an entry, and goes on in another open of the directory from there.
std::string SecondEntryBySeek(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return Said(-1);
  readdir(directory);
  const long position = telldir(directory);
  readdir(directory);
  readdir(directory);
  seekdir(directory, position);
  const dirent* entry = readdir(directory);
  const std::string name = entry == nullptr ? "none" : entry->d_name;
  closedir(directory);
  return name;
}

std::vector<Check> ChecksOfNames() {
  return {
      {"list inode numbers", ". 1; .. 1; hello 2; ",
       [](const Place& at) { return Listing(at.mnt, false); }},
      {"list types", ". 4; .. 4; hello 8; ",
       [](const Place& at) { return Listing(at.mnt, true); }},
      {"list from a position", "..",
       [](const Place& at) { return SecondEntryBySeek(at.mnt); }},
      {"stat the root",
       "ino 1 mode 40755 nlink 2 uid 0 gid 0 size 0 blocks 0 blksize 4096 "
       "times 0 0 0",
       [](const Place& at) { return StatSays(at.mnt); }},
      {"stat the file",
       "ino 2 mode 100444 nlink 1 uid 0 gid 0 size 13 blocks 0 blksize 4096 "
       "times 0 0 0",
       [](const Place& at) { return StatSays(File(at)); }},
      {"stat another name", "ENOENT",
       [](const Place& at) { return StatSays(at.mnt + "/hell"); }},
      {"stat below the file", "ENOTDIR",
       [](const Place& at) { return StatSays(File(at) + "/x"); }},
      {"list the file", "ENOTDIR",
       [](const Place& at) { return Listing(File(at), false); }},
      {"birth time", "none",
       [](const Place& at) -> std::string {
         struct statx info;
         if (statx(AT_FDCWD, File(at).c_str(), 0, STATX_BTIME, &info) != 0) {
           return Said(-1);
         }
         return (info.stx_mask & STATX_BTIME) != 0 ? "some" : "none";
       }},
      {"statfs", "bsize 512 frsize 512 blocks 0 files 0 namemax 255",
       [](const Place& at) {
         struct statvfs info;
         if (statvfs(at.mnt.c_str(), &info) != 0) return Said(-1);
         std::ostringstream text;
         text << "bsize " << info.f_bsize << " frsize " << info.f_frsize
              << " blocks " << info.f_blocks << " files " << info.f_files
              << " namemax " << info.f_namemax;
         return text.str();
       }},
      {"access to read", "ok",
       [](const Place& at) { return Said(access(File(at).c_str(), R_OK)); }},
      // Neither has Access, nor default_permissions: everything is allowed.
      {"access to write", "ok",
       [](const Place& at) { return Said(access(File(at).c_str(), W_OK)); }},
      {"access to execute", "ok",
       [](const Place& at) { return Said(access(File(at).c_str(), X_OK)); }},
      {"readlink", "EINVAL",
       [](const Place& at) {
         char target[16];
         return Said(readlink(File(at).c_str(), target, sizeof target));
       }},
  };
}

std::vector<Check> ChecksOfReading() {
  return {
      {"read all", "\"Hello World!\n\"",
       [](const Place& at) { return ReadAt(at, 4096, 0); }},
      {"read a part", "\"World\"",
       [](const Place& at) { return ReadAt(at, 5, 6); }},
      {"read across the end", "\"d!\n\"",
       [](const Place& at) { return ReadAt(at, 100, 10); }},
      {"read at the end", "\"\"",
       [](const Place& at) { return ReadAt(at, 10, 13); }},
      {"read far past the end", "\"\"",
       [](const Place& at) { return ReadAt(at, 10, 1L << 40); }},
      {"read past the page cache", "13",
       [](const Place& at) {
         const UniqueFd fd(
             open(File(at).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
         if (!fd) return Said(-1);
         alignas(4096) char buffer[4096];
         return Number(pread(fd.get(), buffer, sizeof buffer, 0));
       }},
      {"read a mapping", "Hello",
       [](const Place& at) {
         const UniqueFd fd = Open(at);
         void* map = mmap(nullptr, 13, PROT_READ, MAP_PRIVATE, fd.get(), 0);
         if (map == MAP_FAILED) return Said(-1);
         std::string content(static_cast<const char*>(map), 5);
         munmap(map, 13);
         return content;
       }},
      {"map shared to write", "EACCES",
       [](const Place& at) {
         const UniqueFd fd = Open(at);
         void* map = mmap(nullptr, 13, PROT_WRITE, MAP_SHARED, fd.get(), 0);
         return Said(map == MAP_FAILED ? -1 : 0);
       }},
      {"seek a hole", "13",
       [](const Place& at) {
         return Number(lseek(Open(at).get(), 0, SEEK_HOLE));
       }},
      {"seek data", "5",
       [](const Place& at) {
         return Number(lseek(Open(at).get(), 5, SEEK_DATA));
       }},
      {"seek data past the end", "ENXIO",
       [](const Place& at) {
         return Number(lseek(Open(at).get(), 20, SEEK_DATA));
       }},
      {"poll", "readable writable",
       [](const Place& at) {
         const UniqueFd fd = Open(at);
         pollfd event = {fd.get(), POLLIN | POLLOUT, 0};
         if (poll(&event, 1, 0) < 0) return Said(-1);
         return std::string((event.revents & POLLIN) ? "readable " : "") +
                ((event.revents & POLLOUT) ? "writable" : "");
       }},
      {"flock", "ok",
       [](const Place& at) {
         return Said(flock(Open(at).get(), LOCK_EX | LOCK_NB));
       }},
      {"fsync", "ok",
       [](const Place& at) { return Said(fsync(Open(at).get())); }},
      {"fsync of the root", "ok",
       [](const Place& at) {
         const UniqueFd fd(
             open(at.mnt.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
         return Said(fsync(fd.get()));
       }},
      {"syncfs", "ok",
       [](const Place& at) { return Said(syncfs(Open(at).get())); }},
      {"close", "ok",
       [](const Place& at) { return Said(close(Open(at).release())); }},
      {"ioctl", "ENOTTY",
       [](const Place& at) {
         int size = 0;
         return Said(ioctl(Open(at).get(), FIONREAD + 1, &size));
       }},
      {"write to a descriptor for reading", "EBADF",
       [](const Place& at) { return Said(write(Open(at).get(), "x", 1)); }},
      {"fallocate a descriptor for reading", "EBADF",
       [](const Place& at) {
         return Said(fallocate(Open(at).get(), 0, 0, 10));
       }},
  };
}

std::vector<Check> ChecksOfChanging() {
  return {
      {"open to write", "EACCES",
       [](const Place& at) { return OpenSays(File(at), O_WRONLY); }},
      {"open to read and write", "EACCES",
       [](const Place& at) { return OpenSays(File(at), O_RDWR); }},
      {"open to append", "EACCES",
       [](const Place& at) { return OpenSays(File(at), O_WRONLY | O_APPEND); }},
      // Truncating comes with OPEN (FUSE_ATOMIC_O_TRUNC), which looks at the
      // mode alone.
      {"open to read and truncate", "ok",
       [](const Place& at) { return OpenSays(File(at), O_RDONLY | O_TRUNC); }},
      {"open the root to write", "EISDIR",
       [](const Place& at) { return OpenSays(at.mnt, O_WRONLY); }},
      {"open another name", "ENOENT",
       [](const Place& at) { return OpenSays(at.mnt + "/x", O_RDONLY); }},
      {"create", "ENOSYS",
       [](const Place& at) {
         return OpenSays(at.mnt + "/x", O_WRONLY | O_CREAT);
       }},
      {"create what is there", "EEXIST",
       [](const Place& at) {
         return OpenSays(File(at), O_RDONLY | O_CREAT | O_EXCL);
       }},
      {"create without a name", "EOPNOTSUPP",
       [](const Place& at) { return OpenSays(at.mnt, O_TMPFILE | O_RDWR); }},
      {"mkdir", "ENOSYS",
       [](const Place& at) {
         return Said(mkdir((at.mnt + "/x").c_str(), 0755));
       }},
      {"mkdir what is there", "EEXIST",
       [](const Place& at) { return Said(mkdir(File(at).c_str(), 0755)); }},
      {"mknod", "ENOSYS",
       [](const Place& at) {
         return Said(mknod((at.mnt + "/x").c_str(), S_IFIFO | 0644, 0));
       }},
      {"symlink", "ENOSYS",
       [](const Place& at) {
         return Said(symlink("hello", (at.mnt + "/x").c_str()));
       }},
      {"link", "EPERM",
       [](const Place& at) {
         return Said(link(File(at).c_str(), (at.mnt + "/x").c_str()));
       }},
      {"unlink", "ENOSYS",
       [](const Place& at) { return Said(unlink(File(at).c_str())); }},
      {"rmdir", "ENOTDIR",
       [](const Place& at) { return Said(rmdir(File(at).c_str())); }},
      {"rename", "ENOSYS",
       [](const Place& at) {
         return Said(rename(File(at).c_str(), (at.mnt + "/x").c_str()));
       }},
      {"rename to where nothing is", "EINVAL",
       [](const Place& at) {
         return Said(renameat2(AT_FDCWD, File(at).c_str(), AT_FDCWD,
                               (at.mnt + "/x").c_str(), RENAME_NOREPLACE));
       }},
      {"truncate", "ENOSYS",
       [](const Place& at) { return Said(truncate(File(at).c_str(), 3)); }},
      {"chmod", "ENOSYS",
       [](const Place& at) { return Said(chmod(File(at).c_str(), 0600)); }},
      {"chown", "ENOSYS",
       [](const Place& at) { return Said(chown(File(at).c_str(), 1, 1)); }},
      {"utimens", "ENOSYS",
       [](const Place& at) {
         return Said(utimensat(AT_FDCWD, File(at).c_str(), nullptr, 0));
       }},
      {"setxattr", "EOPNOTSUPP",
       [](const Place& at) {
         return Said(setxattr(File(at).c_str(), "user.x", "y", 1, 0));
       }},
      {"getxattr", "EOPNOTSUPP",
       [](const Place& at) {
         return Said(getxattr(File(at).c_str(), "user.x", nullptr, 0));
       }},
      {"listxattr", "EOPNOTSUPP",
       [](const Place& at) {
         return Said(listxattr(File(at).c_str(), nullptr, 0));
       }},
      {"removexattr", "EOPNOTSUPP",
       [](const Place& at) {
         return Said(removexattr(File(at).c_str(), "user.x"));
       }},
  };
}

std::vector<Check> AllChecks() {
  std::vector<Check> all;
  for (auto* some : {ChecksOfNames, ChecksOfReading, ChecksOfChanging}) {
    for (Check& check : some()) all.push_back(std::move(check));
  }
  return all;
}

const std::vector<Difference>& Differences() {
  static const std::vector<Difference> differences = {
      {"libfuse", "list types", ". 0; .. 0; hello 0; ",
       "hello_ll leaves the modes of its entries empty"},
  };
  return differences;
}

std::vector<Server> Servers() {
  return {{"libfuse",
           [](const Place& at) -> std::vector<std::string> {
             return {PeerTest::TheExamples().Path("hello_ll"), "-f", at.mnt};
           },
           true},
          {"barefuse", [](const Place& at) -> std::vector<std::string> {
             return {testing::Runfile("fs/hello/hello"), at.mnt};
           }}};
}

using HelloTest = PeerTest;

TEST_P(HelloTest, GivesWhatIsExpected) { Run(Differences()); }

INSTANTIATE_TEST_SUITE_P(Peer, HelloTest,
                         ::testing::Combine(::testing::ValuesIn(Servers()),
                                            ::testing::ValuesIn(AllChecks())),
                         PeerTest::CaseName);

TEST(HelloDifferencesTest, AreOfServersAndChecksThatThereAre) {
  EXPECT_EQ(Complaint(Differences(), {"libfuse", "barefuse"}, AllChecks()), "");
}

TEST(HelloProgramTest, UnmountsOnSignals) {
  for (int signal : {SIGINT, SIGTERM}) {
    testing::TempDir dir;
    Running hello({testing::Runfile("fs/hello/hello"), dir.path()}, dir.path());
    EXPECT_EQ(hello.End(signal), "");
  }
}

TEST(HelloProgramTest, SaysWhatIsWrong) {
  const std::string program = testing::Runfile("fs/hello/hello");
  EXPECT_EQ(testing::RunToEnd({program}).status, 2);
  testing::TempDir dir;
  const testing::Ended ended = testing::RunToEnd({program, dir / "none"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.err.find("none"), std::string::npos) << ended.err;
}

}  // namespace
}  // namespace barefuse::peer
