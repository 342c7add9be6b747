// Filesystems for tests that want a certain one below them.
#ifndef BAREFUSE_TESTS_TESTING_SOURCE_FILE_SYSTEM_H_
#define BAREFUSE_TESTS_TESTING_SOURCE_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/testing/files.h"

namespace barefuse::testing {

// A new and empty filesystem, mounted as long as this lives. Its root belongs
// to root and has mode 0755. Needs root.
class SourceFileSystem {
 public:
  // "tmpfs", "ext4", "xfs", "btrfs" and "overlay" (of two directories on an
  // ext4).
  static const std::vector<std::string_view>& Types();

  // Mounts one over the directory `at`. tmpfs has room for `tmpfs_size` bytes,
  // the others for some 40 MiB at least. Unavailable: the machine has no loop
  // devices, or lacks the filesystem or its mkfs.
  static absl::StatusOr<std::unique_ptr<SourceFileSystem>> Mount(
      std::string_view type, const std::string& at,
      uint64_t tmpfs_size = 64 << 20);

  // Detached, where it is still in use.
  ~SourceFileSystem();
  SourceFileSystem(const SourceFileSystem&) = delete;
  SourceFileSystem& operator=(const SourceFileSystem&) = delete;

  // Takes the room away, but for about `bytes`, without writing it: a file of
  // the filesystem's root, or of what it lies on, has it. Not of tmpfs.
  absl::Status LeaveRoom(uint64_t bytes);

  // umount(2), not lazily: an error says that something still uses it.
  absl::Status Unmount();

  const std::string& path() const { return path_; }

 private:
  explicit SourceFileSystem(std::string at) : path_(std::move(at)) {}
  absl::Status MountTmpfs(uint64_t size);
  absl::Status MountDevice(std::string_view type);
  absl::Status MountOverlay();

  const std::string path_;
  bool mounted_ = false;
  TempDir scratch_;
  std::unique_ptr<SourceFileSystem> below_;  // overlay's
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_SOURCE_FILE_SYSTEM_H_
