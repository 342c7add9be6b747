#include "fs/passthrough/proc_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

// Linux 6.13, newer than the headers: the same numbers everywhere.
constexpr long kSetxattrat = 463;
constexpr long kGetxattrat = 464;
constexpr long kListxattrat = 465;
constexpr long kRemovexattrat = 466;
struct XattrArgs {
  alignas(8) uint64_t value;
  uint32_t size;
  uint32_t flags;
};

constexpr char kPath[] = "/proc/self/fd";

// "17", and "/proc/self/fd/17".
class FdName {
 public:
  explicit FdName(int fd) {
    snprintf(text_, sizeof text_, "/proc/self/fd/%d", fd);
  }
  const char* path() const { return text_; }
  const char* name() const { return text_ + sizeof("/proc/self/fd/") - 1; }

 private:
  char text_[32];
};

}  // namespace

absl::StatusOr<std::unique_ptr<ProcFds>> ProcFds::Open(bool shows_callers) {
  UniqueFd directory(open(kPath, O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct statfs info;
  if (!directory || fstatfs(directory.get(), &info) != 0) {
    return ErrnoStatus(errno, "/proc/self/fd (is /proc mounted?)");
  }
  if (info.f_type != PROC_SUPER_MAGIC) {
    return absl::FailedPreconditionError("/proc is not the kernel's");
  }
  return std::unique_ptr<ProcFds>(
      new ProcFds(std::move(directory), shows_callers));
}

UniqueFd ProcFds::Reopen(int fd, int flags) const {
  return UniqueFd(
      openat(directory_.get(), FdName(fd).name(), flags | O_CLOEXEC));
}

int ProcFds::Chmod(int fd, mode_t mode) const {
  return fchmodat(directory_.get(), FdName(fd).name(), mode, 0);
}

int ProcFds::Link(int fd, int parent, const char* name) const {
  return linkat(directory_.get(), FdName(fd).name(), parent, name,
                AT_SYMLINK_FOLLOW);
}

bool ProcFds::IsAtPath() const {
  struct statfs info;
  if (statfs(kPath, &info) == 0 && info.f_type == PROC_SUPER_MAGIC) return true;
  errno = EIO;
  return false;
}

bool ProcFds::IsInGroup(const Ids& caller, gid_t group) const {
  if (caller.gid == group) return true;
  if (caller.pid == 0 || !shows_callers_) return false;
  const std::string path = absl::StrCat("../../", caller.pid, "/status");
  UniqueFd file(openat(directory_.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  std::string text(64 << 10, '\0');  // the most groups are 65,536
  const ssize_t size = read(file.get(), text.data(), text.size());
  if (size <= 0) return false;
  text.resize(static_cast<size_t>(size));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "Groups:")) continue;
    for (absl::string_view word :
         absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
      gid_t member;
      if (absl::SimpleAtoi(word, &member) && member == group) return true;
    }
  }
  return false;
}

int ProcFds::Truncate(int fd, off_t size) const {
  return IsAtPath() ? truncate(FdName(fd).path(), size) : -1;
}

ssize_t ProcFds::Getxattr(int fd, const char* name, void* value,
                          size_t size) const {
  const FdName of(fd);
  if (!by_path_.load(std::memory_order_relaxed)) {
    XattrArgs args{reinterpret_cast<uintptr_t>(value),
                   static_cast<uint32_t>(size), 0};
    const long result = syscall(kGetxattrat, directory_.get(), of.name(), 0,
                                name, &args, sizeof args);
    if (result >= 0 || errno != ENOSYS) return result;
    by_path_.store(true, std::memory_order_relaxed);
  }
  return IsAtPath() ? getxattr(of.path(), name, value, size) : -1;
}

ssize_t ProcFds::Listxattr(int fd, char* list, size_t size) const {
  const FdName of(fd);
  if (!by_path_.load(std::memory_order_relaxed)) {
    const long result =
        syscall(kListxattrat, directory_.get(), of.name(), 0, list, size);
    if (result >= 0 || errno != ENOSYS) return result;
    by_path_.store(true, std::memory_order_relaxed);
  }
  return IsAtPath() ? listxattr(of.path(), list, size) : -1;
}

int ProcFds::Setxattr(int fd, const char* name, const void* value, size_t size,
                      int flags) const {
  const FdName of(fd);
  if (!by_path_.load(std::memory_order_relaxed)) {
    XattrArgs args{reinterpret_cast<uintptr_t>(value),
                   static_cast<uint32_t>(size), static_cast<uint32_t>(flags)};
    const long result = syscall(kSetxattrat, directory_.get(), of.name(), 0,
                                name, &args, sizeof args);
    if (result >= 0 || errno != ENOSYS) return static_cast<int>(result);
    by_path_.store(true, std::memory_order_relaxed);
  }
  return IsAtPath() ? setxattr(of.path(), name, value, size, flags) : -1;
}

int ProcFds::Removexattr(int fd, const char* name) const {
  const FdName of(fd);
  if (!by_path_.load(std::memory_order_relaxed)) {
    const long result =
        syscall(kRemovexattrat, directory_.get(), of.name(), 0, name);
    if (result >= 0 || errno != ENOSYS) return static_cast<int>(result);
    by_path_.store(true, std::memory_order_relaxed);
  }
  return IsAtPath() ? removexattr(of.path(), name) : -1;
}

}  // namespace barefuse
