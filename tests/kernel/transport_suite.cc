#include "tests/kernel/transport_suite.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "tests/kernel/memfs_subject.h"
#include "tests/kernel/passthrough_subject.h"
#include "tests/kernel/suite_source.h"
#include "tests/testing/kernel_test.h"

namespace barefuse {
namespace {

// --- The subjects ---

// A filesystem of the kernel's.
class KernelSubject : public Subject {
 public:
  explicit KernelSubject(std::string_view type) : type_(type) {}

  absl::Status Start(const std::string& mountpoint, bool alone) override {
    auto source = SuiteSource::Mount(type_, mountpoint, alone);
    if (!source.ok()) return source.status();
    source_ = *std::move(source);
    return absl::OkStatus();
  }
  absl::Status Stop() override {
    // Not lazily: a descriptor that a test has leaked shows itself here.
    return source_ == nullptr ? absl::OkStatus() : source_->Unmount();
  }
  std::string_view type() const override { return type_; }

 private:
  const std::string_view type_;
  std::unique_ptr<SuiteSource> source_;
};

struct SubjectRow {
  std::string_view name;
  // Of those that are memfs.
  std::optional<MemfsSubject::Way> memfs;
  // Of those that are the passthrough filesystem.
  std::optional<PassthroughSubject::Way> passthrough = std::nullopt;

  std::unique_ptr<Subject> Make() const {
    if (memfs) return std::make_unique<MemfsSubject>(*memfs);
    if (passthrough) return std::make_unique<PassthroughSubject>(*passthrough);
    return std::make_unique<KernelSubject>(name);
  }
};

constexpr SubjectRow kSubjects[] = {
    {"tmpfs", std::nullopt},
    {"ext4", std::nullopt},
    {"xfs", std::nullopt},
    {"btrfs", std::nullopt},
    {"overlay", std::nullopt},
    {"dev_uring", {{.transport = TransportKind::kDevUring}}},
    {"dev", {{.transport = TransportKind::kDev}}},
    {"socket", {{.transport = TransportKind::kSocket}}},
    {"memfs_writeback", {{.writeback_cache = true}}},
    {"memfs_direct_io", {{.direct_io = true}}},
    {"passthrough", std::nullopt, {{}}},
    {"nopassthrough", std::nullopt, {{.passthrough = false}}},
    {"passthrough_direct_io", std::nullopt, {{.direct_io = true}}},
    {"passthrough_ext4", std::nullopt, {{.source = "ext4"}}},
    {"passthrough_xfs", std::nullopt, {{.source = "xfs"}}},
    {"passthrough_btrfs", std::nullopt, {{.source = "btrfs"}}},
    {"passthrough_overlay", std::nullopt, {{.source = "overlay"}}},
};

// --- What they cannot pass ---

// The fixtures of all test programs, so that a slip in the name of one in
// kDifferences is found by every program.
constexpr std::string_view kSuites[] = {
    "OperationsAcl",       "OperationsAttributes",  "OperationsCoverage",
    "OperationsData",      "OperationsDirectories", "OperationsFiles",
    "OperationsFlock",     "OperationsInterrupt",   "OperationsLocks",
    "OperationsMappings",  "OperationsNames",       "OperationsNotify",
    "OperationsPageCache", "OperationsPermissions", "OperationsPollIoctl",
    "OperationsRename",    "OperationsSpace",       "OperationsTimes",
    "OperationsXattrs",
};

struct Difference {
  std::string_view subject;
  std::string_view suite;
  std::string_view test;
  std::string_view reason;
};

// Only what the kernel makes impossible for the subject.
constexpr Difference kDifferences[] = {
    {"ext4", "OperationsData", "OtherAllocationsAreNotSupported",
     "it supports more of them than the kernel lets FUSE filesystems have"},
    {"xfs", "OperationsData", "OtherAllocationsAreNotSupported", "as ext4"},
    {"overlay", "OperationsData", "OtherAllocationsAreNotSupported", "as ext4"},
    {"btrfs", "OperationsXattrs", "TrustedOnesAreListedToRootOnly",
     "it lists them to everybody"},
    {"tmpfs", "OperationsData", "ZeroRangeGivesZeros",
     "shmem_fallocate knows KEEP_SIZE and PUNCH_HOLE only"},
    {"socket", "OperationsNotify",
     "NothingIsRetrievedOfWhatTheKernelDoesNotKnow",
     "a socket does not bring back what write(2) to the device gives, so the "
     "server waits for a NOTIFY_REPLY that does not come"},
    {"memfs_writeback", "OperationsPageCache", "AnotherSizeIsSeenAfterIt",
     "the kernel takes no size from the server (fuse_get_cache_mask)"},
    {"passthrough", "OperationsData", "ZeroRangeGivesZeros", "as its source"},
    {"nopassthrough", "OperationsData", "ZeroRangeGivesZeros", "as its source"},
    {"passthrough_direct_io", "OperationsData", "ZeroRangeGivesZeros",
     "as its source"},
};

const SubjectRow* FindSubject(std::string_view name) {
  auto row = std::find_if(std::begin(kSubjects), std::end(kSubjects),
                          [&](const SubjectRow& s) { return s.name == name; });
  return row == std::end(kSubjects) ? nullptr : row;
}

// `name` without what gtest puts before it ("Subjects/").
std::string_view Fixture(std::string_view name) {
  return name.substr(name.find('/') + 1);
}

// Whether the suite is in this program, and the test for the subject in it.
std::pair<bool, bool> Find(const Difference& difference) {
  const std::string test =
      std::string(difference.test) + "/" + std::string(difference.subject);
  const auto* program = ::testing::UnitTest::GetInstance();
  for (int i = 0; i < program->total_test_suite_count(); ++i) {
    const auto* suite = program->GetTestSuite(i);
    if (Fixture(suite->name()) != difference.suite) continue;
    for (int j = 0; j < suite->total_test_count(); ++j) {
      if (suite->GetTestInfo(j)->name() == test) return {true, true};
    }
    return {true, false};
  }
  return {false, false};
}

TEST(TransportSuiteTable, NamesSubjectsAndTestsThatExist) {
  for (const Difference& difference : kDifferences) {
    EXPECT_NE(FindSubject(difference.subject), nullptr) << difference.subject;
    EXPECT_NE(
        std::find(std::begin(kSuites), std::end(kSuites), difference.suite),
        std::end(kSuites))
        << difference.suite;
    const auto [suite_found, test_found] = Find(difference);
    EXPECT_EQ(suite_found, test_found)
        << difference.suite << "." << difference.test << " does not exist";
    EXPECT_FALSE(difference.reason.empty());
  }
}

}  // namespace

std::vector<std::string_view> SubjectNames() {
  std::vector<std::string_view> names;
  for (const SubjectRow& row : kSubjects) names.push_back(row.name);
  return names;
}

std::vector<std::string_view> MemfsSubjectNames() {
  std::vector<std::string_view> names;
  for (const SubjectRow& row : kSubjects) {
    if (row.memfs) names.push_back(row.name);
  }
  return names;
}

std::string SubjectName(
    const ::testing::TestParamInfo<std::string_view>& subject) {
  return std::string(subject.param);
}

void TransportSuite::SetUp() {
  umask_ = umask(022);
  if (!testing::CanMount()) return;  // skipped or failed by the program
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string_view suite = Fixture(test->test_suite_name());
  const std::string_view name = test->name();
  ASSERT_NE(std::find(std::begin(kSuites), std::end(kSuites), suite),
            std::end(kSuites))
      << suite << " is missing in kSuites";
  for (const Difference& difference : kDifferences) {
    if (difference.subject == GetParam() && difference.suite == suite &&
        difference.test == name.substr(0, name.find('/'))) {
      GTEST_SKIP() << difference.reason;
    }
  }
  subject_ = FindSubject(GetParam())->Make();
  const absl::Status started = subject_->Start(root_, Alone());
  if (absl::IsUnavailable(started)) GTEST_SKIP() << started;
  ASSERT_TRUE(started.ok()) << started;
}

void TransportSuite::TearDown() {
  umask(umask_);
  if (subject_ == nullptr) return;
  const absl::Status stopped = subject_->Stop();
  EXPECT_TRUE(stopped.ok()) << stopped;
  EXPECT_TRUE(testing::MountsBelow(root_).empty());
  subject_.reset();
  // Whatever is mounted all the same goes with dir_.
}

}  // namespace barefuse
