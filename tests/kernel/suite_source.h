// Directories of real filesystems for the suite's subjects (transport_suite.h).
#ifndef BAREFUSE_TESTS_KERNEL_SUITE_SOURCE_H_
#define BAREFUSE_TESTS_KERNEL_SUITE_SOURCE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/source_file_system.h"

namespace barefuse {

// An empty directory of root's with mode 0755, on a filesystem of one of
// SourceFileSystem::Types(). It is mounted by itself, so that an unmount tells
// whether it is still in use.
class SuiteSource {
 public:
  // Mounts one over the directory `at`. `alone`: on a filesystem of its own
  // with room for about kCapacity bytes; otherwise on one that all tests of the
  // program share, since making one takes longer than most tests. A tmpfs is
  // always of its own. Unavailable: as for SourceFileSystem::Mount.
  static absl::StatusOr<std::unique_ptr<SuiteSource>> Mount(
      std::string_view type, const std::string& at, bool alone);
  ~SuiteSource();
  SuiteSource(const SuiteSource&) = delete;
  SuiteSource& operator=(const SuiteSource&) = delete;

  // umount(2), not lazily: an error says that something still uses it.
  absl::Status Unmount();

 private:
  SuiteSource() = default;
  absl::Status Show(const std::string& root, const std::string& at);

  testing::TempDir dir_;
  std::unique_ptr<testing::SourceFileSystem> own_;
  std::string shown_;  // the directory, where it really is
  std::string at_;     // empty: not mounted
};

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_SUITE_SOURCE_H_
