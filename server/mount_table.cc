#include "server/mount_table.h"

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "server/errno_status.h"

namespace barefuse {
namespace {

// The kernel writes blanks and backslashes as octal escapes.
std::string Unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result +=
          static_cast<char>((text[i + 1] - '0') << 6 |
                            (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

absl::StatusOr<std::vector<MountedAt>> Mounts() {
  constexpr char kTable[] = "/proc/self/mountinfo";
  std::vector<MountedAt> mounts;
  std::ifstream file(kTable);
  if (!file) return ErrnoStatus(errno, kTable);
  for (std::string line; std::getline(file, line);) {
    // 36 35 98:0 /root /mountpoint options ... - type source options
    std::istringstream columns(line);
    MountedAt found;
    std::string id, parent, root, mountpoint, column;
    columns >> id >> parent >> found.device >> root >> mountpoint;
    while (columns >> column && column != "-") {
    }
    columns >> found.type;
    found.root = Unescape(root);
    found.mountpoint = Unescape(mountpoint);
    mounts.push_back(std::move(found));
  }
  return mounts;
}

std::string MountTypeAt(const std::string& path) {
  std::string type;
  absl::StatusOr<std::vector<MountedAt>> mounts = Mounts();
  if (!mounts.ok()) return type;
  for (const MountedAt& found : *mounts) {
    if (found.mountpoint == path) type = found.type;
  }
  return type;
}

}  // namespace barefuse
