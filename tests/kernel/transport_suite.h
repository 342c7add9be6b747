// What a program that uses a mount can see of every operation, as tests that
// run the same on several subjects: filesystems mounted on the real kernel.
// Those of the kernel's own (tmpfs, ext4 ...) are the reference that keeps the
// tests honest, and say what the passthrough filesystem can show of them.
//
// A test file names its fixture and instantiates it for all subjects:
//
//   class OperationsNames : public TransportSuite {};
//   INSTANTIATE_FOR_SUBJECTS(OperationsNames);
//   TEST_P(OperationsNames, LinkCountsNames) { ... root() ... }
//
// The fixture's name goes into kSuites in transport_suite.cc, and a test that a
// subject cannot pass into kDifferences there.
#ifndef BAREFUSE_TESTS_KERNEL_TRANSPORT_SUITE_H_
#define BAREFUSE_TESTS_KERNEL_TRANSPORT_SUITE_H_

#include <absl/status/status.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/kernel/suite_limits.h"
#include "tests/testing/files.h"

namespace barefuse {

// Bytes that a subject has room for.
inline constexpr uint64_t kCapacity = 16 << 20;

// A filesystem that can be mounted.
class Subject {
 public:
  virtual ~Subject() = default;

  // Mounts a new and empty filesystem over the directory `mountpoint`, or an
  // empty directory of one that others use too, unless `alone`. There is room
  // for kCapacity bytes at least, and not for much more where it is alone. It
  // serves every user, and the kernel checks permissions; its root belongs to
  // root and has mode 0755. Unavailable: this machine has no such filesystem.
  virtual absl::Status Start(const std::string& mountpoint, bool alone) = 0;
  // Unmounts it and ends what serves it. An error is a failure of the test.
  virtual absl::Status Stop() = 0;

  // The filesystem that keeps the files: one of SourceFileSystem::Types(), or
  // "memfs".
  virtual std::string_view type() const { return "memfs"; }
  // The directory that is shown, where it is another one's.
  virtual std::string source() const { return ""; }
};

// The subjects' names, in the order of their table.
std::vector<std::string_view> SubjectNames();

// Each test gets a subject of its own. Tests run as root, with umask 022.
class TransportSuite : public ::testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override;
  void TearDown() override;
  // Whether tests want a filesystem of their own, because they fill it.
  virtual bool Alone() const { return false; }

  // The mounted directory, empty at the start, by its path without symlinks.
  const std::string& root() const { return root_; }
  // ROOT/NAME.
  std::string At(std::string_view name) const {
    return root_ + "/" + std::string(name);
  }
  // A directory on another filesystem.
  const std::string& elsewhere() const { return elsewhere_; }
  Subject& subject() { return *subject_; }
  Limits limits() const { return LimitsOf(subject_->type()); }

 private:
  testing::TempDir dir_;
  const std::string root_ = dir_.MakeDir("mnt");
  const std::string elsewhere_ = dir_.MakeDir("elsewhere");
  std::unique_ptr<Subject> subject_;
  mode_t umask_ = 0;
};

// The subject's name as the name of a test's instance.
std::string SubjectName(
    const ::testing::TestParamInfo<std::string_view>& subject);

}  // namespace barefuse

#define INSTANTIATE_FOR_SUBJECTS(fixture)     \
  INSTANTIATE_TEST_SUITE_P(Subjects, fixture, \
                           ::testing::ValuesIn(SubjectNames()), SubjectName)

#endif  // BAREFUSE_TESTS_KERNEL_TRANSPORT_SUITE_H_
