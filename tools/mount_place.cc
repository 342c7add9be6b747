#include "tools/mount_place.h"

#include <errno.h>
#include <stdlib.h>

#include <string_view>
#include <vector>

#include "server/mount_table.h"

namespace barefuse {
namespace {

std::string Resolved(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string result = resolved == nullptr ? "" : resolved;
  free(resolved);
  if (!result.empty() || errno != ENOTCONN) return result;
  // A dead mount, which will be detached.
  const size_t end = path.find_last_not_of('/');
  const size_t slash = path.find_last_of('/', end);
  const std::string parent =
      slash == path.npos ? "." : path.substr(0, slash + 1);
  result = Resolved(parent);
  if (result.empty()) return result;
  if (result != "/") result += '/';
  const size_t name = slash == path.npos ? 0 : slash + 1;
  return result + path.substr(name, end + 1 - name);
}

// Whether `path` is `directory` or below it.
bool IsIn(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// `path` without `directory`, which it is in: "" or "/more".
std::string_view Rest(std::string_view path, std::string_view directory) {
  return directory == "/" ? (path == "/" ? "" : path)
                          : path.substr(directory.size());
}

// A directory by its filesystem.
struct Place {
  std::string device;
  std::string path;  // from the filesystem's root
};

Place PlaceOf(const std::vector<MountedAt>& mounts, const std::string& path) {
  const MountedAt* on = nullptr;
  for (const MountedAt& mount : mounts) {  // a later one covers an earlier
    if (IsIn(path, mount.mountpoint) &&
        (on == nullptr || mount.mountpoint.size() >= on->mountpoint.size())) {
      on = &mount;
    }
  }
  if (on == nullptr) return {};
  std::string inside = on->root == "/" ? "" : on->root;
  inside += Rest(path, on->mountpoint);
  return {on->device, inside.empty() ? "/" : inside};
}

}  // namespace

bool ShowsIn(const std::string& source, const std::string& mountpoint) {
  const std::string in = Resolved(source);
  const std::string at = Resolved(mountpoint);
  if (in.empty() || at.empty()) return false;
  if (IsIn(at, in)) return true;
  const auto mounts = Mounts();
  if (!mounts.ok()) return false;
  const Place place = PlaceOf(*mounts, at);
  auto shows = [&place](const Place& directory) {
    return place.device == directory.device && IsIn(place.path, directory.path);
  };
  if (shows(PlaceOf(*mounts, in))) return true;
  for (const MountedAt& mount : *mounts) {
    if (IsIn(mount.mountpoint, in) && shows({mount.device, mount.root})) {
      return true;
    }
  }
  return false;
}

}  // namespace barefuse
