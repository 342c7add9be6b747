#include "tests/differential/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <vector>

namespace barefuse::differential {
namespace {

int64_t Nanoseconds(const statx_timestamp& time) {
  return time.tv_sec * 1000000000 + time.tv_nsec;
}

// Those that somebody has set are in the first days of 1970.
bool IsSet(int64_t time) { return time < 1000000000000000000; }

std::string TimeText(int64_t time) {
  return std::to_string(time / 1000000000) + "s" +
         std::to_string(time % 1000000000) + "ns";
}

struct TimeOfFile {
  std::string_view name;
  statx_timestamp statx::*time;
};
constexpr TimeOfFile kTimes[] = {{"atime", &statx::stx_atime},
                                 {"mtime", &statx::stx_mtime},
                                 {"ctime", &statx::stx_ctime}};

void CompareTime(const TimeOfFile& which, const BeforeAndAfter& plain,
                 const BeforeAndAfter& mount, int64_t clock,
                 std::ostringstream& out) {
  const int64_t plain_now = Nanoseconds(plain.after.info.*which.time);
  const int64_t mount_now = Nanoseconds(mount.after.info.*which.time);
  if (IsSet(plain_now) || IsSet(mount_now)) {
    if (plain_now == mount_now) return;
    out << which.name << " " << TimeText(plain_now) << " vs "
        << TimeText(mount_now) << "; ";
    return;
  }
  // A name that stands for another file now tells nothing.
  if (plain.before.error != 0 || mount.before.error != 0 ||
      plain.before.info.stx_ino != plain.after.info.stx_ino ||
      mount.before.info.stx_ino != mount.after.info.stx_ino) {
    return;
  }
  const bool plain_moved =
      Nanoseconds(plain.before.info.*which.time) != plain_now;
  const bool mount_moved =
      Nanoseconds(mount.before.info.*which.time) != mount_now;
  if (plain_moved == mount_moved) return;
  // The clock goes in ticks: a time may have been set to what it was.
  if ((plain_moved ? mount_now : plain_now) >= clock) return;
  out << which.name << (plain_moved ? " moved" : " stayed") << " vs "
      << (mount_moved ? "moved" : "stayed") << "; ";
}

template <class T>
void CompareField(std::string_view name, T plain, T mount,
                  std::ostringstream& out) {
  if (plain == mount) return;
  out << name << " " << plain << " vs " << mount << "; ";
}

// True where there is more to compare.
bool CompareAll(const Seen& a, const Seen& b, std::ostringstream& out) {
  if (a.error != b.error) {
    CompareField("error", a.error, b.error, out);
    return false;
  }
  if (a.error != 0) return false;
  if (a.info.stx_mode != b.info.stx_mode) {
    out << "mode " << std::oct << a.info.stx_mode << " vs " << b.info.stx_mode
        << std::dec << "; ";
  }
  CompareField("uid", a.info.stx_uid, b.info.stx_uid, out);
  CompareField("gid", a.info.stx_gid, b.info.stx_gid, out);
  CompareField("nlink", a.info.stx_nlink, b.info.stx_nlink, out);
  CompareField("major", a.info.stx_rdev_major, b.info.stx_rdev_major, out);
  CompareField("minor", a.info.stx_rdev_minor, b.info.stx_rdev_minor, out);
  if (!S_ISDIR(a.info.stx_mode)) {
    CompareField("size", a.info.stx_size, b.info.stx_size, out);
  }
  return true;
}

using ListNames = std::function<ssize_t(char*, size_t)>;
using GetValue = std::function<ssize_t(const char*, char*, size_t)>;

std::string ReadXattrs(const ListNames& list, const GetValue& get) {
  char buffer[8192];
  const ssize_t size = list(buffer, sizeof buffer);
  if (size < 0) return std::string("?") + strerrorname_np(errno);
  std::vector<std::string> names;
  for (const char* name = buffer; name < buffer + size;
       name += names.back().size() + 1) {
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) {
    // Large ones by their size only.
    char value[4096];
    const ssize_t n = get(name.c_str(), value, sizeof value);
    text += name + "=";
    if (n < 0) {
      text += std::string("?") + strerrorname_np(errno);
    } else {
      constexpr char kDigits[] = "0123456789abcdef";
      for (ssize_t i = 0; i < n; ++i) {
        text += kDigits[value[i] >> 4 & 15];
        text += kDigits[value[i] & 15];
      }
    }
    text += " ";
  }
  return text;
}

}  // namespace

Seen Look(int directory, const std::string& path, int flags) {
  Seen seen;
  if (statx(directory, path.c_str(), flags, STATX_BASIC_STATS, &seen.info) !=
      0) {
    seen.error = errno;
  }
  return seen;
}

int64_t FileClock() {
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now.tv_sec * 1000000000 + now.tv_nsec;
}

std::string CompareSeen(const BeforeAndAfter& plain,
                        const BeforeAndAfter& mount, int64_t clock,
                        bool reads) {
  std::ostringstream out;
  if (!CompareAll(plain.after, mount.after, out)) return out.str();
  // Fifos and devices are used within the mount's kernel, of which the source
  // knows nothing.
  const mode_t type = plain.after.info.stx_mode & S_IFMT;
  if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK) return out.str();
  for (const TimeOfFile& which : kTimes) {
    // To look at what is behind a symlink is to read it.
    // A directory's entries are read by the server, whose reading moves the
    // time whatever O_NOATIME says.
    const bool tells = plain.after.IsRegular() && reads;
    if (!tells && which.time == &statx::stx_atime) continue;
    CompareTime(which, plain, mount, clock, out);
  }
  return out.str();
}

std::string CompareViews(const Seen& source, const Seen& mount, bool reads) {
  std::ostringstream out;
  if (!CompareAll(source, mount, out)) return out.str();
  const mode_t type = source.info.stx_mode & S_IFMT;
  const bool has_times = type == S_IFREG || type == S_IFDIR || type == S_IFLNK;
  CompareField("ino", source.info.stx_ino, mount.info.stx_ino, out);
  CompareField("size", source.info.stx_size, mount.info.stx_size, out);
  for (const TimeOfFile& which : kTimes) {
    // To look at a directory's entries or behind a symlink is to read them.
    const bool tells = source.IsRegular() && reads;
    if (!tells && which.time == &statx::stx_atime) continue;
    if (!has_times) continue;
    CompareField(which.name, TimeText(Nanoseconds(source.info.*which.time)),
                 TimeText(Nanoseconds(mount.info.*which.time)), out);
  }
  return out.str();
}

std::string XattrsOf(const std::string& path) {
  return ReadXattrs(
      [&](char* list, size_t size) {
        return llistxattr(path.c_str(), list, size);
      },
      [&](const char* name, char* value, size_t size) {
        return lgetxattr(path.c_str(), name, value, size);
      });
}

std::string XattrsOf(int fd) {
  return ReadXattrs(
      [&](char* list, size_t size) { return flistxattr(fd, list, size); },
      [&](const char* name, char* value, size_t size) {
        return fgetxattr(fd, name, value, size);
      });
}

std::string CompareContent(int plain, int mount) {
  constexpr size_t kChunk = 64 << 10;
  constexpr off_t kMost = 1 << 20;
  static thread_local std::vector<char> of_plain(kChunk);
  static thread_local std::vector<char> of_mount(kChunk);
  for (off_t at = 0; at < kMost;) {
    const ssize_t n = pread(plain, of_plain.data(), kChunk, at);
    const ssize_t m = pread(mount, of_mount.data(), kChunk, at);
    if (n != m) {
      return "content: at " + std::to_string(at) + " " + std::to_string(n) +
             " bytes vs " + std::to_string(m);
    }
    if (n <= 0) return "";
    const auto [p, q] =
        std::mismatch(of_plain.begin(), of_plain.begin() + n, of_mount.begin());
    if (p != of_plain.begin() + n) {
      return "content: at " + std::to_string(at + (p - of_plain.begin())) +
             " byte " + std::to_string(*p & 0xff) + " vs " +
             std::to_string(*q & 0xff);
    }
    at += n;
  }
  return "";
}

}  // namespace barefuse::differential
