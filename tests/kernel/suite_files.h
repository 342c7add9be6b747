// System calls and what they gave, for the suite of operations.
#ifndef BAREFUSE_TESTS_KERNEL_SUITE_FILES_H_
#define BAREFUSE_TESTS_KERNEL_SUITE_FILES_H_

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/unique_fd.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {

// An errno value, or 0 for success, that prints by its name.
struct Error {
  Error(int number) : value(number) {}  // NOLINT: written as ENOENT
  int value;
  friend bool operator==(const Error& a, const Error& b) {
    return a.value == b.value;
  }
  friend std::ostream& operator<<(std::ostream& out, const Error& error) {
    const char* name = strerrorname_np(error.value);
    return out << (error.value == 0  ? "success"
                   : name != nullptr ? name
                                     : "?")
               << " (" << error.value << ")";
  }
};

// What a system call that has given `result` came to.
inline Error Errno(long result) { return result < 0 ? errno : 0; }

inline UniqueFd Open(const std::string& path, int flags, mode_t mode = 0644) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
  testing::Check(static_cast<bool>(fd), "open " + path);
  return fd;
}
// What open(2) comes to. The descriptor is closed.
inline Error TryOpen(const std::string& path, int flags, mode_t mode = 0644) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
  return fd ? 0 : errno;
}

// Up to `size` bytes; fewer at the end of the file.
inline std::string ReadAt(const UniqueFd& fd, off_t offset, size_t size) {
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(fd.get(), content.data() + done, size - done,
                            offset + static_cast<off_t>(done));
    testing::Check(n >= 0, "pread");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  content.resize(done);
  return content;
}
inline void WriteAt(const UniqueFd& fd, off_t offset,
                    std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = pwrite(fd.get(), content.data(), content.size(), offset);
    testing::Check(n > 0, "pwrite");
    content.remove_prefix(static_cast<size_t>(n));
    offset += n;
  }
}
// Bytes that differ from one another and from their neighbours' neighbours, so
// that what is misplaced shows.
inline std::string Pattern(size_t size, uint32_t seed = 1) {
  std::string content(size, '\0');
  for (char& c : content) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  return content;
}

inline struct stat Stat(const UniqueFd& fd) {
  struct stat info;
  testing::Check(fstat(fd.get(), &info) == 0, "fstat");
  return info;
}
inline mode_t Permissions(const std::string& path) {
  return testing::Stat(path).st_mode & 07777;
}
inline bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

// The names in a directory, but for "." and "..".
inline std::set<std::string> Names(const std::string& path) {
  std::set<std::string> names;
  DIR* directory = opendir(path.c_str());
  testing::Check(directory != nullptr, "opendir " + path);
  while (const dirent* entry = readdir(directory)) names.insert(entry->d_name);
  closedir(directory);
  names.erase(".");
  names.erase("..");
  return names;
}

struct User {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups = {};  // besides gid
};

// What `body`, an errno value, comes to in a process of an ordinary user.
inline Error As(const User& user, const std::function<Error()>& body) {
  return testing::Process([&] {
           if (setgroups(user.groups.size(), user.groups.data()) != 0 ||
               setresgid(user.gid, user.gid, user.gid) != 0 ||
               setresuid(user.uid, user.uid, user.uid) != 0) {
             return ENOTRECOVERABLE;
           }
           return body().value;
         })
      .Wait();
}

// Whether `condition` comes true, in a time that is long for a test.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// A time of a file, to be compared and printed.
struct FileTime {
  int64_t seconds;
  int64_t nanoseconds;
  FileTime(const timespec& time)  // NOLINT: the same thing
      : seconds(time.tv_sec), nanoseconds(time.tv_nsec) {}
  FileTime(int64_t s, int64_t ns) : seconds(s), nanoseconds(ns) {}
  auto operator<=>(const FileTime&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const FileTime& time) {
    return out << time.seconds << "s " << time.nanoseconds << "ns";
  }
};
inline FileTime Mtime(const std::string& path) {
  return testing::Stat(path).st_mtim;
}
inline FileTime Ctime(const std::string& path) {
  return testing::Stat(path).st_ctim;
}

// The clock that the kernel takes the times of files from. It goes forward in
// ticks of some milliseconds. Since Linux 6.13 a file may get a time between
// two ticks, and whatever is stamped next, on any filesystem, no earlier one.
inline FileTime FileClock() {
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now;
}
// Returns when the clock of files has moved on, so that what happens after gets
// a later time than what was before.
inline void AwaitNextTick() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  while (FileClock() <= now) std::this_thread::yield();
}

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_SUITE_FILES_H_
