// The passthrough filesystem as a subject of the suite (transport_suite.h), on
// a tmpfs as its source.
#ifndef BAREFUSE_TESTS_KERNEL_PASSTHROUGH_SUBJECT_H_
#define BAREFUSE_TESTS_KERNEL_PASSTHROUGH_SUBJECT_H_

#include <memory>
#include <string>

#include "server/session.h"
#include "tests/kernel/transport_suite.h"
#include "tests/testing/files.h"

namespace barefuse {

class PassthroughSubject : public Subject {
 public:
  struct Way {
    bool passthrough = true;
    bool direct_io = false;
  };
  explicit PassthroughSubject(const Way& way) : way_(way) {}
  ~PassthroughSubject() override;

  absl::Status Start(const std::string& mountpoint) override;
  absl::Status Stop() override;

 private:
  const Way way_;
  testing::TempDir dir_;
  const std::string source_ = dir_.MakeDir("source");
  std::string mountpoint_;
  std::unique_ptr<Session> session_;
};

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_PASSTHROUGH_SUBJECT_H_
