#include "tests/kernel/suite_source.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <map>
#include <utility>

#include "server/errno_status.h"
#include "tests/kernel/transport_suite.h"
#include "tests/testing/files.h"

namespace barefuse {
namespace {

using testing::SourceFileSystem;

// The filesystems that tests share. Each is made when the first test wants it.
class Pool : public ::testing::Environment {
 public:
  // The root of the one of this type.
  absl::StatusOr<std::string> Root(std::string_view type) {
    auto it = made_.find(type);
    if (it == made_.end()) {
      if (dir_ == nullptr) dir_ = std::make_unique<testing::TempDir>();
      it =
          made_
              .emplace(type, SourceFileSystem::Mount(type, dir_->MakeDir(type)))
              .first;
    }
    if (!it->second.ok()) return it->second.status();
    return (*it->second)->path();
  }

  void TearDown() override {
    for (auto& [type, file_system] : made_) {
      if (!file_system.ok()) continue;
      const absl::Status unmounted = (*file_system)->Unmount();
      EXPECT_TRUE(unmounted.ok()) << unmounted;
    }
    made_.clear();
    dir_.reset();
  }

 private:
  std::unique_ptr<testing::TempDir> dir_;
  std::map<std::string, absl::StatusOr<std::unique_ptr<SourceFileSystem>>,
           std::less<>>
      made_;
};

// The environment belongs to gtest.
Pool* const pool = new Pool;
[[maybe_unused]] const auto* const registered =
    ::testing::AddGlobalTestEnvironment(pool);

}  // namespace

absl::StatusOr<std::unique_ptr<SuiteSource>> SuiteSource::Mount(
    std::string_view type, const std::string& at, bool alone) {
  std::unique_ptr<SuiteSource> source(new SuiteSource);
  if (!alone && type != "tmpfs") {
    absl::StatusOr<std::string> root = pool->Root(type);
    if (!root.ok()) return root.status();
    const absl::Status shown = source->Show(*root, at);
    if (!shown.ok()) return shown;
    return source;
  }
  absl::StatusOr<std::unique_ptr<SourceFileSystem>> own =
      SourceFileSystem::Mount(
          type, type == "tmpfs" ? at : source->dir_.MakeDir("fs"), kCapacity);
  if (!own.ok()) return own.status();
  source->own_ = *std::move(own);
  if (type == "tmpfs") return source;
  absl::Status status = source->own_->LeaveRoom(kCapacity);
  if (status.ok()) status = source->Show(source->own_->path(), at);
  if (!status.ok()) return status;
  return source;
}

absl::Status SuiteSource::Show(const std::string& root, const std::string& at) {
  std::string directory = root + "/testXXXXXX";
  testing::Check(mkdtemp(directory.data()) != nullptr, directory);
  shown_ = directory;
  testing::Check(chmod(shown_.c_str(), 0755) == 0, shown_);
  if (mount(shown_.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return ErrnoStatus(errno, "bind mount of " + shown_);
  }
  at_ = at;
  return absl::OkStatus();
}

absl::Status SuiteSource::Unmount() {
  const std::string at = std::exchange(at_, "");
  if (!at.empty() && umount2(at.c_str(), 0) != 0) {
    const int error = errno;
    umount2(at.c_str(), MNT_DETACH);
    return ErrnoStatus(error, "umount of " + at);
  }
  return own_ == nullptr ? absl::OkStatus() : own_->Unmount();
}

SuiteSource::~SuiteSource() {
  if (!at_.empty()) umount2(at_.c_str(), MNT_DETACH);
  std::error_code ignored;  // what could not be removed only takes room
  if (!shown_.empty() && own_ == nullptr) {
    std::filesystem::remove_all(shown_, ignored);
  }
}

}  // namespace barefuse
