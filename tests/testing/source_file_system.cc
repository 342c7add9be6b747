#include "tests/testing/source_file_system.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <utility>

#include "server/errno_status.h"
#include "tests/testing/process.h"

namespace barefuse::testing {
namespace {

// How a filesystem is made on a device, and how large its mkfs wants it.
struct Recipe {
  std::string_view type;
  uint64_t size;
  std::vector<std::string> mkfs;
};

const Recipe* FindRecipe(std::string_view type) {
  static const auto* const recipes = new std::vector<Recipe>{
      {"ext4", 64 << 20, {"mkfs.ext4", "-q", "-F", "-m", "0"}},
      {"xfs", 320 << 20, {"mkfs.xfs", "-q", "-f"}},
      {"btrfs", 256 << 20, {"mkfs.btrfs", "-q", "-f"}},
  };
  for (const Recipe& recipe : *recipes) {
    if (recipe.type == type) return &recipe;
  }
  return nullptr;
}

}  // namespace

const std::vector<std::string_view>& SourceFileSystem::Types() {
  static const auto* const types = new std::vector<std::string_view>{
      "tmpfs", "ext4", "xfs", "btrfs", "overlay"};
  return *types;
}

absl::StatusOr<std::unique_ptr<SourceFileSystem>> SourceFileSystem::Mount(
    std::string_view type, const std::string& at, uint64_t tmpfs_size) {
  std::unique_ptr<SourceFileSystem> made(new SourceFileSystem(at));
  absl::Status status = type == "tmpfs"     ? made->MountTmpfs(tmpfs_size)
                        : type == "overlay" ? made->MountOverlay()
                                            : made->MountDevice(type);
  if (!status.ok()) return status;
  made->mounted_ = true;
  Check(chmod(at.c_str(), 0755) == 0, at);
  return made;
}

absl::Status SourceFileSystem::MountTmpfs(uint64_t size) {
  const std::string options = "size=" + std::to_string(size);
  if (mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) != 0) {
    return ErrnoStatus(errno, "mount of tmpfs");
  }
  return absl::OkStatus();
}

absl::Status SourceFileSystem::MountDevice(std::string_view type) {
  const Recipe* recipe = FindRecipe(type);
  Check(recipe != nullptr, type);
  device_ = std::make_unique<LoopDevice>(scratch_ / "device", recipe->size);
  if (device_->path().empty()) {
    return absl::UnavailableError(device_->why_not());
  }
  std::vector<std::string> mkfs = recipe->mkfs;
  mkfs.push_back(device_->path());
  const Ended ended = RunToEnd(mkfs);
  if (ended.status != 0) {
    return absl::UnavailableError(mkfs[0] + ": " + ended.err);
  }
  const std::string name(type);
  if (mount(device_->path().c_str(), path_.c_str(), name.c_str(), 0, "") != 0) {
    return absl::UnavailableError("mount of " + name + ": " + strerror(errno));
  }
  return absl::OkStatus();
}

absl::Status SourceFileSystem::MountOverlay() {
  absl::StatusOr<std::unique_ptr<SourceFileSystem>> below =
      Mount("ext4", scratch_.MakeDir("below"));
  if (!below.ok()) return below.status();
  below_ = *std::move(below);
  std::string options;
  for (const char* name : {"lower", "upper", "work"}) {
    const std::string directory = below_->path() + "/" + name;
    Check(mkdir(directory.c_str(), 0755) == 0, directory);
    if (!options.empty()) options += ",";
    options += std::string(name) + "dir=" + directory;
  }
  if (mount("overlay", path_.c_str(), "overlay", 0, options.c_str()) != 0) {
    return absl::UnavailableError(std::string("mount of overlay: ") +
                                  strerror(errno));
  }
  return absl::OkStatus();
}

absl::Status SourceFileSystem::Unmount() {
  if (!std::exchange(mounted_, false)) return absl::OkStatus();
  if (umount2(path_.c_str(), 0) == 0) return absl::OkStatus();
  const int error = errno;
  umount2(path_.c_str(), MNT_DETACH);
  return ErrnoStatus(error, "umount of " + path_);
}

SourceFileSystem::~SourceFileSystem() {
  if (mounted_) umount2(path_.c_str(), MNT_DETACH);
}

}  // namespace barefuse::testing
