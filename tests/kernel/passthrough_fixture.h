// What the tests of the passthrough filesystem share.
#ifndef BAREFUSE_TESTS_KERNEL_PASSTHROUGH_FIXTURE_H_
#define BAREFUSE_TESTS_KERNEL_PASSTHROUGH_FIXTURE_H_

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "fs/passthrough/passthrough.h"
#include "server/session.h"
#include "tests/testing/files.h"

namespace barefuse {

// A source directory and its mount.
class PassthroughTest : public ::testing::Test {
 protected:
  void Mount(PassthroughOptions options = {}, SessionOptions session = {}) {
    options.source = source_;
    auto file_system = Passthrough::Create(std::move(options));
    ASSERT_TRUE(file_system.ok()) << file_system.status();
    file_system_ = *std::move(file_system);
    session.mount.default_permissions = true;
    session.mount.allow_other = true;
    session.log = [this](LogLevel, std::string_view line) {
      std::lock_guard<std::mutex> lock(mutex_);
      log_ += std::string(line) + "\n";
    };
    auto mounted = Session::Mount(file_system_, mnt_, std::move(session));
    ASSERT_TRUE(mounted.ok()) << mounted.status();
    session_ = *std::move(mounted);
    // One backing file is opened as a probe.
    probed_ = session_->statistics().backing_opens;
  }

  // Backing files that opens of files have registered, and given back.
  uint64_t BackingOpens() {
    return session_->statistics().backing_opens - probed_;
  }
  uint64_t BackingCloses() {
    return session_->statistics().backing_closes - probed_;
  }

  uint64_t Requests(uint32_t opcode) {
    return session_->statistics().operations[opcode].requests;
  }
  // Wait until so many files are open, or so many backing ids given back: the
  // kernel sends RELEASE behind the back of close(2).
  void AwaitOpenFiles(size_t count) {
    while (file_system_->open_files() != count) std::this_thread::yield();
  }
  void AwaitBackingCloses(uint64_t count) {
    while (BackingCloses() < count) std::this_thread::yield();
  }
  // Ends the session.
  Statistics End() {
    session_->Stop();
    session_->Wait();
    Statistics statistics = session_->statistics();
    session_.reset();
    return statistics;
  }
  std::string log() {
    std::lock_guard<std::mutex> lock(mutex_);
    return log_;
  }

  UniqueFd Open(std::string_view name, int flags, mode_t mode = 0644) {
    UniqueFd fd(open((mnt_ + "/" + std::string(name)).c_str(),
                     flags | O_CLOEXEC, mode));
    EXPECT_TRUE(fd) << name << ": " << strerror(errno);
    return fd;
  }
  std::string ReadAt(const UniqueFd& fd, off_t offset, size_t size) {
    std::string content(size, '\0');
    ssize_t n = pread(fd.get(), content.data(), size, offset);
    EXPECT_GE(n, 0) << strerror(errno);
    content.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return content;
  }
  void WriteAt(const UniqueFd& fd, off_t offset, std::string_view content) {
    EXPECT_EQ(pwrite(fd.get(), content.data(), content.size(), offset),
              static_cast<ssize_t>(content.size()))
        << strerror(errno);
  }

  std::mutex mutex_;
  std::string log_;
  testing::TempDir dir_;
  std::string source_ = dir_.MakeDir("src");
  std::string mnt_ = dir_.MakeDir("mnt");
  std::shared_ptr<Passthrough> file_system_;
  std::unique_ptr<Session> session_;
  uint64_t probed_ = 0;
};

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_PASSTHROUGH_FIXTURE_H_
