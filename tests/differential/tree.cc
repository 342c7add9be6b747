#include "tests/differential/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <vector>

#include "server/unique_fd.h"

namespace barefuse::differential {
namespace {

std::string ContentOf(const std::string& path) {
  UniqueFd fd(open(path.c_str(),
                   O_RDONLY | O_NOATIME | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return std::string("?") + strerrorname_np(errno);
  constexpr size_t kMost = 1 << 20;
  std::string content;
  char buffer[64 << 10];
  ssize_t n;
  while (content.size() < kMost &&
         (n = read(fd.get(), buffer, sizeof buffer)) != 0) {
    if (n < 0) return std::string("?") + strerrorname_np(errno);
    content.append(buffer, static_cast<size_t>(n));
  }
  return std::to_string(content.size()) + "/" +
         std::to_string(std::hash<std::string>()(content));
}

std::string TargetOf(const std::string& path) {
  char target[4096];
  const ssize_t n = readlink(path.c_str(), target, sizeof target);
  if (n < 0) return std::string("?") + strerrorname_np(errno);
  return std::string(target, static_cast<size_t>(n));
}

void ReadDirectory(const std::string& path, Tree* tree) {
  UniqueFd fd(
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC));
  DIR* stream = fd ? fdopendir(fd.get()) : nullptr;
  if (stream == nullptr) {
    (*tree)[path].xattrs = std::string("?") + strerrorname_np(errno);
    return;
  }
  static_cast<void>(fd.release());
  std::vector<std::string> directories;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string below = (path == "/" ? "" : path) + "/" + entry->d_name;
    TreeEntry& found = (*tree)[below];
    found.entry_ino = entry->d_ino;
    found.entry_type = entry->d_type;
    found.seen = Look(AT_FDCWD, below, AT_SYMLINK_NOFOLLOW);
    found.xattrs = XattrsOf(below);
    if (found.seen.IsSymlink()) found.target = TargetOf(below);
    if (found.seen.IsRegular()) found.content = ContentOf(below);
    if (S_ISDIR(found.seen.info.stx_mode)) directories.push_back(below);
  }
  closedir(stream);
  for (const std::string& directory : directories) {
    ReadDirectory(directory, tree);
  }
}

std::string CompareEntries(const TreeEntry& plain, const TreeEntry& mount,
                           bool two_views, bool reads) {
  // Whether times have moved since cannot be told here, but for those that
  // somebody has set.
  std::string text =
      two_views ? CompareViews(plain.seen, mount.seen, reads)
                : CompareSeen({{.error = ENOENT}, plain.seen},
                              {{.error = ENOENT}, mount.seen}, 0, reads);
  auto compare = [&](std::string_view name, const std::string& a,
                     const std::string& b) {
    if (a != b) text += std::string(name) + " " + a + " vs " + b + "; ";
  };
  compare("xattrs", plain.xattrs, mount.xattrs);
  compare("target", plain.target, mount.target);
  compare("content", plain.content, mount.content);
  compare("links", plain.same_as, mount.same_as);
  compare("d_type", std::to_string(plain.entry_type),
          std::to_string(mount.entry_type));
  if (two_views) {
    compare("d_ino", std::to_string(plain.entry_ino),
            std::to_string(mount.entry_ino));
  }
  return text;
}

void ClearFlags(int fd) {
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return;
  if ((flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0) return;
  flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
  ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

}  // namespace

Tree ReadTree() {
  Tree tree;
  ReadDirectory("/", &tree);
  std::map<uint64_t, std::string> first;
  for (auto& [path, entry] : tree) {
    entry.same_as =
        first.try_emplace(entry.seen.info.stx_ino, path).first->second;
  }
  return tree;
}

std::string CompareTrees(const Tree& plain, const Tree& mount, bool two_views,
                         bool reads) {
  std::string text;
  for (const auto& [path, entry] : plain) {
    const auto other = mount.find(path);
    const std::string difference =
        other == mount.end()
            ? "is missing"
            : CompareEntries(entry, other->second, two_views, reads);
    if (!difference.empty()) text += path + ": " + difference + "\n";
    if (text.size() > 2000) return text;
  }
  for (const auto& [path, entry] : mount) {
    if (!plain.contains(path)) text += path + ": is there only here\n";
  }
  return text;
}

void ClearDirectory(const std::string& path) {
  namespace stdfs = std::filesystem;
  for (const auto& entry : stdfs::recursive_directory_iterator(path)) {
    const auto type = entry.symlink_status().type();
    if (type != stdfs::file_type::regular &&
        type != stdfs::file_type::directory) {
      continue;
    }
    UniqueFd fd(open(entry.path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (fd) ClearFlags(fd.get());
  }
  std::error_code ignored;
  for (const auto& entry : stdfs::directory_iterator(path)) {
    stdfs::remove_all(entry.path(), ignored);
  }
}

}  // namespace barefuse::differential
