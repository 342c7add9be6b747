// A mount and a plain directory, to do the same to.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_PAIR_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_PAIR_H_

#include <functional>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fs/passthrough/passthrough.h"
#include "server/session.h"
#include "tests/testing/files.h"
#include "tests/testing/source_file_system.h"

namespace barefuse::differential {

// A way to serve a source.
struct Mode {
  std::string_view name;
  PassthroughOptions options;
  // Whether reads and writes with O_DIRECT are the source's own, so that what
  // is not aligned fails here as it does there.
  bool knows_direct = true;
  // Whether the source is asked whenever something is read.
  bool reads_source = true;

  // For gtest.
  friend void PrintTo(const Mode& mode, std::ostream* out) {
    *out << mode.name;
  }
};
const std::vector<Mode>& Modes();

// The filesystems below, by SourceFileSystem's names.
inline constexpr std::string_view kFileSystems[] = {"tmpfs", "ext4", "xfs",
                                                    "btrfs"};

// What serves, for tests that spoil it.
using Wrap =
    std::function<std::shared_ptr<FileSystem>(std::shared_ptr<FileSystem>)>;

// Two empty directories of a filesystem, one of which is mounted.
class Pair {
 public:
  // Unavailable: this machine lacks the filesystem.
  static absl::StatusOr<std::unique_ptr<Pair>> Make(
      std::string_view file_system, const Mode& mode, Wrap wrap = nullptr);
  ~Pair();

  // Empties both and mounts. Not from an actor's thread.
  absl::Status Start();
  // Unmounts. An error: something has gone wrong that no operation has shown.
  absl::Status Stop();

  const std::string& plain() const { return plain_; }
  const std::string& source() const { return source_; }
  const std::string& mount() const { return mount_; }
  const Mode& mode() const { return mode_; }

 private:
  Pair(const Mode& mode, Wrap wrap) : mode_(mode), wrap_(std::move(wrap)) {}

  const Mode& mode_;
  const Wrap wrap_;
  testing::TempDir dir_;
  const std::string mount_ = dir_.MakeDir("mnt");
  const std::string below_ = dir_.MakeDir("below");
  std::unique_ptr<testing::SourceFileSystem> file_system_;
  std::string plain_;
  std::string source_;
  std::mutex mutex_;
  std::string errors_;  // that the session has logged
  std::unique_ptr<Session> session_;
};

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_PAIR_H_
