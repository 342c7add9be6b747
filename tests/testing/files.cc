#include "tests/testing/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "server/unique_fd.h"

namespace barefuse::testing {

namespace stdfs = std::filesystem;

void Check(bool good, std::string_view what) {
  if (good) return;
  fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(),
          strerror(errno));
  abort();
}

TempDir::TempDir() {
  // Not TEST_TMPDIR, which other users may have no way to.
  std::string name = "/tmp/barefuse-test-XXXXXX";
  Check(mkdtemp(name.data()) != nullptr, name);
  Check(chmod(name.c_str(), 0755) == 0, name);
  // Without symlinks, as mountinfo has it.
  path_ = stdfs::canonical(name).string();
}

TempDir::~TempDir() {
  std::vector<std::string> mounts = MountsBelow(path_);
  for (auto it = mounts.rbegin(); it != mounts.rend(); ++it) {
    umount2(it->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  }
  std::error_code ignored;
  stdfs::remove_all(path_, ignored);
}

std::string TempDir::operator/(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string TempDir::MakeDir(std::string_view name) const {
  std::string path = *this / name;
  Check(mkdir(path.c_str(), 0755) == 0, path);
  return path;
}

void WriteFile(const std::string& path, std::string_view content) {
  UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  Check(static_cast<bool>(fd), path);
  while (!content.empty()) {
    ssize_t n = write(fd.get(), content.data(), content.size());
    Check(n > 0, path);
    content.remove_prefix(static_cast<size_t>(n));
  }
}

std::string ReadFile(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Check(static_cast<bool>(fd), path);
  std::string content;
  char buffer[64 << 10];
  for (;;) {
    ssize_t n = read(fd.get(), buffer, sizeof buffer);
    Check(n >= 0, path);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
}

struct stat Stat(const std::string& path) {
  struct stat info;
  Check(lstat(path.c_str(), &info) == 0, path);
  return info;
}

std::map<std::string, std::string> Snapshot(const std::string& root) {
  std::map<std::string, std::string> tree;
  for (const auto& entry : stdfs::recursive_directory_iterator(root)) {
    const std::string path = entry.path().string();
    const struct stat info = Stat(path);
    std::ostringstream line;
    line << std::oct << info.st_mode << std::dec << " uid=" << info.st_uid
         << " gid=" << info.st_gid << " links=" << info.st_nlink
         << " mtime=" << info.st_mtim.tv_sec << "." << info.st_mtim.tv_nsec;
    if (S_ISREG(info.st_mode)) {
      line << " size=" << info.st_size
           << " sum=" << std::hash<std::string>()(testing::ReadFile(path));
    } else if (S_ISLNK(info.st_mode)) {
      line << " target=" << stdfs::read_symlink(path).string();
    } else if (S_ISBLK(info.st_mode) || S_ISCHR(info.st_mode)) {
      line << " rdev=" << info.st_rdev;
    }
    tree[path.substr(root.size() + 1)] = line.str();
  }
  return tree;
}

std::vector<std::string> MountsBelow(std::string_view path) {
  std::vector<std::string> found;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream columns(line);
    std::string id, parent, device, root, mountpoint;
    columns >> id >> parent >> device >> root >> mountpoint;
    if (std::string_view(mountpoint).starts_with(path)) {
      found.push_back(mountpoint);
    }
  }
  return found;
}

namespace {
size_t CountEntries(const char* directory) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       stdfs::directory_iterator(directory)) {
    ++count;
  }
  return count;
}
}  // namespace

size_t OpenDescriptors() { return CountEntries("/proc/self/fd"); }
size_t Threads() { return CountEntries("/proc/self/task"); }

}  // namespace barefuse::testing
