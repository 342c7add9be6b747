// The passthrough filesystem as a subject of the suite (transport_suite.h), on
// sources of several filesystems.
#ifndef BAREFUSE_TESTS_KERNEL_PASSTHROUGH_SUBJECT_H_
#define BAREFUSE_TESTS_KERNEL_PASSTHROUGH_SUBJECT_H_

#include <memory>
#include <string>
#include <string_view>

#include "server/session.h"
#include "tests/kernel/suite_source.h"
#include "tests/kernel/transport_suite.h"
#include "tests/testing/files.h"

namespace barefuse {

class PassthroughSubject : public Subject {
 public:
  struct Way {
    bool passthrough = true;
    bool direct_io = false;
    std::string_view source = "tmpfs";  // of SourceFileSystem::Types()
  };
  explicit PassthroughSubject(const Way& way) : way_(way) {}
  ~PassthroughSubject() override;

  absl::Status Start(const std::string& mountpoint, bool alone) override;
  absl::Status Stop() override;
  std::string_view type() const override { return way_.source; }
  std::string source() const override { return source_path_; }

 private:
  const Way way_;
  testing::TempDir dir_;
  const std::string source_path_ = dir_.MakeDir("source");
  std::unique_ptr<SuiteSource> source_;
  std::string mountpoint_;
  std::unique_ptr<Session> session_;
};

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_PASSTHROUGH_SUBJECT_H_
