// Handles that are taken on the mount and used once the kernel has forgotten
// what they are of, as an NFS server does.
#include <absl/status/status.h>
#include <fcntl.h>
#include <sys/mount.h>

#include <string>
#include <vector>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/source_file_system.h"

using barefuse::testing::SourceFileSystem;
using barefuse::testing::WriteFile;

namespace barefuse {
namespace {

struct Handle {
  alignas(file_handle) unsigned char bytes[sizeof(file_handle) + 128] = {};
  file_handle* get() { return reinterpret_cast<file_handle*>(bytes); }
};

class PassthroughExportTest
    : public PassthroughTest,
      public ::testing::WithParamInterface<std::string_view> {
 protected:
  void SetUp() override {
    auto made = SourceFileSystem::Mount(GetParam(), source_);
    if (absl::IsUnavailable(made.status())) {
      GTEST_SKIP() << made.status().message();
    }
    ASSERT_TRUE(made.ok()) << made.status();
    below_ = *std::move(made);
  }
  void TearDown() override {
    session_.reset();
    file_system_.reset();
    if (below_ == nullptr) return;
    EXPECT_TRUE(below_->Unmount().ok());
  }

  Handle HandleOf(const std::string& name) {
    Handle handle;
    handle.get()->handle_bytes = 128;
    int id;
    EXPECT_EQ(name_to_handle_at(AT_FDCWD, (mnt_ + name).c_str(), handle.get(),
                                &id, 0),
              0)
        << strerror(errno);
    return handle;
  }
  UniqueFd OpenHandle(Handle handle, int flags) {
    UniqueFd mount(open(mnt_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return UniqueFd(
        open_by_handle_at(mount.get(), handle.get(), flags | O_CLOEXEC));
  }
  // Until the server has been told to forget all.
  void DropCaches() {
    while (file_system_->inodes() != 1) {
      WriteFile("/proc/sys/vm/drop_caches", "2");
    }
  }

  std::unique_ptr<SourceFileSystem> below_;
};

TEST_P(PassthroughExportTest, FilesOpenAfterTheyWereForgotten) {
  ASSERT_EQ(mkdir((source_ + "/dir").c_str(), 0755), 0);
  WriteFile(source_ + "/dir/file", "content");
  Mount();
  const Handle handle = HandleOf("/dir/file");
  DropCaches();
  UniqueFd fd = OpenHandle(handle, O_RDWR);
  ASSERT_TRUE(fd) << strerror(errno);
  EXPECT_EQ(ReadAt(fd, 0, 7), "content");
  WriteAt(fd, 0, "C");
  EXPECT_EQ(testing::ReadFile(mnt_ + "/dir/file"), "Content");
  // It is the same inode by name.
  struct stat by_handle, by_name = testing::Stat(mnt_ + "/dir/file");
  ASSERT_EQ(fstat(fd.get(), &by_handle), 0);
  EXPECT_EQ(by_handle.st_ino, by_name.st_ino);
}

TEST_P(PassthroughExportTest, DirectoriesFindTheirWayUp) {
  ASSERT_EQ(mkdir((source_ + "/a").c_str(), 0755), 0);
  ASSERT_EQ(mkdir((source_ + "/a/b").c_str(), 0755), 0);
  ASSERT_EQ(mkdir((source_ + "/a/b/c").c_str(), 0755), 0);
  Mount();
  const Handle handle = HandleOf("/a/b/c");
  DropCaches();
  UniqueFd fd = OpenHandle(handle, O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(fd) << strerror(errno);
  char path[4096] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  ASSERT_GT(readlink(link.c_str(), path, sizeof path - 1), 0);
  EXPECT_EQ(std::string(path), mnt_ + "/a/b/c");
  // The way up ended at the mount's own root.
  struct stat root, up;
  ASSERT_EQ(stat(mnt_.c_str(), &root), 0);
  ASSERT_EQ(fstatat(fd.get(), "../../..", &up, 0), 0);
  EXPECT_EQ(up.st_ino, root.st_ino);
}

TEST_P(PassthroughExportTest, WhatIsGoneIsStale) {
  WriteFile(source_ + "/file", "content");
  Mount();
  const Handle handle = HandleOf("/file");
  ASSERT_EQ(unlink((mnt_ + "/file").c_str()), 0);
  DropCaches();
  EXPECT_FALSE(OpenHandle(handle, O_RDONLY));
  EXPECT_EQ(errno, ESTALE);
  // Also if its number is used again.
  for (int i = 0; i < 20; ++i) {
    WriteFile(source_ + "/new" + std::to_string(i), "other");
  }
  EXPECT_FALSE(OpenHandle(handle, O_RDONLY));
  EXPECT_EQ(errno, ESTALE);
}

TEST_P(PassthroughExportTest, HandlesSurviveANewMount) {
  WriteFile(source_ + "/file", "content");
  Mount();
  const Handle handle = HandleOf("/file");
  End();
  Mount();
  UniqueFd fd = OpenHandle(handle, O_RDONLY);
  ASSERT_TRUE(fd) << strerror(errno);
  EXPECT_EQ(ReadAt(fd, 0, 7), "content");
}

// A made-up handle could lead to what is beside the source.
TEST_P(PassthroughExportTest, APartOfAFilesystemDoesNotExport) {
  ASSERT_EQ(mkdir((source_ + "/part").c_str(), 0755), 0);
  WriteFile(source_ + "/part/file", "content");
  source_ += "/part";
  Mount();
  EXPECT_FALSE(session_->terms().Has(abi::FUSE_EXPORT_SUPPORT));
  const Handle handle = HandleOf("/file");
  DropCaches();
  EXPECT_FALSE(OpenHandle(handle, O_RDONLY));
  EXPECT_EQ(errno, ESTALE);
}

INSTANTIATE_TEST_SUITE_P(Sources, PassthroughExportTest,
                         ::testing::Values("tmpfs", "ext4", "xfs", "btrfs"),
                         [](const auto& source) {
                           return std::string(source.param);
                         });

}  // namespace
}  // namespace barefuse
