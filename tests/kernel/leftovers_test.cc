// What sessions leave behind: nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/session.h"
#include "tests/kernel/small_file_system.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::MountsBelow;
using barefuse::testing::SmallFileSystem;
using barefuse::testing::TempDir;

// What a process has.
struct Possessions {
  size_t descriptors = 0;
  size_t threads = 0;
  size_t children = 0;
  size_t mappings = 0;  // lines of /proc/self/maps
  size_t of_files = 0;  // those of them that are of files, rings among them
  size_t space = 0;     // bytes of address space

  static Possessions Now() {
    Possessions now;
    now.descriptors = testing::OpenDescriptors();
    now.threads = testing::Threads();
    now.children = testing::Children().size();
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      ++now.mappings;
      if (line.find('/') != line.npos || line.find("anon_inode") != line.npos) {
        ++now.of_files;
      }
    }
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    now.space = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return now;
  }
};

class LeftoversTest : public ::testing::Test {
 protected:
  LeftoversTest() {
    for (int i = 0; i < 20; ++i) {
      mountpoints_.push_back(dir_.MakeDir("mnt" + std::to_string(i)));
    }
  }

  // Mounts the first `count` mountpoints at the same time, uses and unmounts
  // them.
  void Round(size_t count, const SessionOptions& options) {
    std::vector<std::unique_ptr<Session>> sessions;
    for (size_t i = 0; i < count; ++i) {
      auto session = Session::Mount(std::make_shared<SmallFileSystem>(),
                                    mountpoints_[i], options);
      ASSERT_TRUE(session.ok()) << session.status();
      sessions.push_back(*std::move(session));
    }
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(testing::ReadFile(mountpoints_[i] + "/file"),
                SmallFileSystem::kContent);
    }
    EXPECT_EQ(MountsBelow(dir_.path()).size(), count);
    for (auto& session : sessions) session->Stop();
    for (auto& session : sessions) {
      EXPECT_EQ(session->Wait().kind, StopReason::Kind::kStopped);
    }
  }

  void ExpectNothingSince(const Possessions& before) {
    EXPECT_TRUE(MountsBelow(dir_.path()).empty());
    // A thread that has been joined is in /proc for a moment longer.
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (testing::Threads() > before.threads &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    const Possessions after = Possessions::Now();
    EXPECT_EQ(after.threads, before.threads);
    EXPECT_EQ(after.descriptors, before.descriptors);
    EXPECT_EQ(after.children, before.children);
    EXPECT_EQ(after.of_files, before.of_files);
#ifndef __SANITIZE_ADDRESS__  // which keeps memory that has been freed
    // The C library keeps some stacks and heaps of threads that have ended. A
    // round that left something would leave it each time, and the slots of one
    // worker alone have 32 MiB.
    EXPECT_LE(after.mappings, before.mappings + 20);
    EXPECT_LE(after.space, before.space + (size_t{512} << 20));
#endif
  }

  TempDir dir_;
  std::vector<std::string> mountpoints_;
};

TEST_F(LeftoversTest, AHundredSessionsInARowLeaveNothing) {
  const SessionOptions options{.workers = 2};
  for (int i = 0; i < 10; ++i) Round(1, options);
  const Possessions before = Possessions::Now();
  for (int i = 0; i < 100; ++i) Round(1, options);
  ExpectNothingSince(before);
}

TEST_F(LeftoversTest, NorDoTwentyAtOnce) {
  const SessionOptions options{.workers = 2};
  Round(20, options);
  const Possessions before = Possessions::Now();
  for (int i = 0; i < 4; ++i) Round(20, options);
  ExpectNothingSince(before);
}

TEST_F(LeftoversTest, NorDoThoseWithoutIoUring) {
  SessionOptions options{.workers = 2};
  options.transport = TransportKind::kDev;
  for (int i = 0; i < 10; ++i) Round(1, options);
  const Possessions before = Possessions::Now();
  for (int i = 0; i < 50; ++i) Round(1, options);
  ExpectNothingSince(before);
}

TEST_F(LeftoversTest, NorDoThoseThroughFusermount) {
  SessionOptions options{.workers = 2};
  options.mount.auto_unmount = true;
  Round(3, options);
  const Possessions before = Possessions::Now();
  for (int i = 0; i < 10; ++i) Round(3, options);
  ExpectNothingSince(before);
}

TEST_F(LeftoversTest, NorDoMountsThatFail) {
  SessionOptions options{.workers = 2};
  options.mount.auto_unmount = true;
  options.mount.flags |= MS_LAZYTIME;  // of which fusermount3 knows nothing
  auto fail = [&] {
    auto session = Session::Mount(std::make_shared<SmallFileSystem>(),
                                  mountpoints_[0], options);
    EXPECT_NE(session.status().message().find("lazytime"),
              absl::string_view::npos)
        << session.status();
  };
  fail();
  const Possessions before = Possessions::Now();
  for (int i = 0; i < 50; ++i) fail();
  ExpectNothingSince(before);
}

}  // namespace
}  // namespace barefuse
