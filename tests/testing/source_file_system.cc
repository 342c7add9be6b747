#include "tests/testing/source_file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <utility>

#include "server/errno_status.h"
#include "server/unique_fd.h"
#include "tests/testing/loop_device.h"
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
      // Blocks as larger ones have them.
      {"ext4", 64 << 20, {"mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096"}},
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
  // The device's content is in memory, which spares the disk, and where a
  // flush costs nothing.
  const std::string memory = scratch_.MakeDir("memory");
  if (mount("tmpfs", memory.c_str(), "tmpfs", 0, "") != 0) {
    return ErrnoStatus(errno, "mount of tmpfs");
  }
  const LoopDevice device(memory + "/device", recipe->size);
  if (device.path().empty()) return absl::UnavailableError(device.why_not());
  std::vector<std::string> mkfs = recipe->mkfs;
  mkfs.push_back(device.path());
  const Ended ended = RunToEnd(mkfs);
  if (ended.status != 0) {
    return absl::UnavailableError(mkfs[0] + ": " + ended.err);
  }
  const std::string name(type);
  if (mount(device.path().c_str(), path_.c_str(), name.c_str(), 0, "") != 0) {
    return absl::UnavailableError("mount of " + name + ": " + strerror(errno));
  }
  // Letting go of it now leaves the device to the mount, so that it goes with
  // that however the test ends.
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

absl::Status SourceFileSystem::LeaveRoom(uint64_t bytes) {
  if (below_ != nullptr) return below_->LeaveRoom(bytes);
  struct statvfs info;
  Check(statvfs(path_.c_str(), &info) == 0, path_);
  const uint64_t room = uint64_t{info.f_bavail} * info.f_frsize;
  if (room <= bytes) return absl::OkStatus();
  UniqueFd ballast(
      open((path_ + "/ballast").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  Check(static_cast<bool>(ballast), "ballast");
  if (fallocate(ballast.get(), 0, 0, static_cast<off_t>(room - bytes)) != 0) {
    return ErrnoStatus(errno, "fallocate");
  }
  // btrfs counts it when it is on the disk.
  if (syncfs(ballast.get()) != 0) return ErrnoStatus(errno, "syncfs");
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
