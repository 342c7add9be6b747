// Several processes at once on one mount, each in a directory of its own and in
// one that they share. Who is first is open, so that what they come to cannot
// be foretold: only what can never be.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/differential/operation.h"
#include "tests/differential/pair.h"
#include "tests/differential/side.h"
#include "tests/differential/tree.h"
#include "tests/testing/process.h"

namespace barefuse::differential {
namespace {

constexpr int kProcesses = 4;
constexpr uint64_t kSteps = 3000;
constexpr size_t kBlock = 4096;
constexpr int kBlocks = 16;

// What no operation gives on a filesystem that works.
bool IsFault(int error) {
  return error == EIO || error == ESTALE || error == ENOTCONN ||
         error == ENOSYS || error == ECONNABORTED || error == EUCLEAN;
}

// A block of the shared file, all of one byte.
bool WriteBlock(const std::string& path, Random& random, int process) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const std::vector<char> block(kBlock, static_cast<char>('a' + process));
  return fd && pwrite(fd.get(), block.data(), kBlock,
                      kBlock * random.Below(kBlocks)) == kBlock;
}

// What one process does; its exit status.
int Work(const Pair& pair, int process, uint64_t seed, int start) {
  char ready;
  if (read(start, &ready, 1) != 0) return 2;  // until the parent closes it
  BecomeActor();
  Side own(pair.mount() + "/own" + std::to_string(process),
           pair.mode().knows_direct);
  Side shared(pair.mount() + "/shared", pair.mode().knows_direct);
  UniqueFd outside(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  Random random(seed);
  for (uint64_t step = 0; step < kSteps; ++step) {
    Side& side = random.OneIn(3) ? shared : own;
    const Operation operation = MakeOperation(seed, step);
    Outcome outcome;
    side.Enter(operation);
    Kinds()[operation.kind].run(operation, side, outcome);
    if (IsFault(outcome.error)) {
      BecomeRoot();
      fprintf(stderr, "process %d, seed %lu, step %lu: %s: %s\n", process, seed,
              step, Describe(operation).c_str(), Describe(outcome).c_str());
      return 1;
    }
    if (step % 16 != 0) continue;
    EnterRoot(outside.get());
    if (!WriteBlock(pair.mount() + "/blocks", random, process)) {
      fprintf(stderr, "process %d: block: %s\n", process, strerror(errno));
      return 1;
    }
  }
  BecomeRoot();
  return 0;
}

using Parameters = std::tuple<std::string_view, Mode>;

class Processes : public ::testing::TestWithParam<Parameters> {
 protected:
  void SetUp() override { umask_ = umask(0); }
  void TearDown() override { umask(umask_); }
  mode_t umask_ = 0;
};

Tree TreeIn(const std::string& path) {
  Tree tree;
  std::thread([&] {
    BecomeActor();
    UniqueFd root(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    EnterRoot(root.get());
    tree = ReadTree();
  }).join();
  return tree;
}

TEST_P(Processes, DoNotHarmOneAnother) {
  const auto& [file_system, mode] = GetParam();
  auto made = Pair::Make(file_system, mode);
  if (absl::IsUnavailable(made.status())) {
    GTEST_SKIP() << made.status().message();
  }
  ASSERT_TRUE(made.ok()) << made.status();
  Pair& pair = **made;
  const char* chosen = getenv("DIFFERENTIAL_SEED");
  const uint64_t seed = chosen == nullptr ? 1 : strtoull(chosen, nullptr, 10);
  // Before the mount is there, since they must not hold its device open.
  int start[2];
  ASSERT_EQ(pipe2(start, O_CLOEXEC), 0);
  UniqueFd start_read(start[0]);
  UniqueFd start_write(start[1]);
  std::vector<std::unique_ptr<testing::Process>> processes;
  for (int i = 0; i < kProcesses; ++i) {
    processes.push_back(std::make_unique<testing::Process>([&, i] {
      start_write.reset();
      return Work(pair, i, seed * 1000 + static_cast<uint64_t>(i),
                  start_read.get());
    }));
  }
  ASSERT_TRUE(pair.Start().ok());
  for (int i = -1; i < kProcesses; ++i) {
    const std::string path =
        pair.mount() + (i < 0 ? "/shared" : "/own" + std::to_string(i));
    ASSERT_EQ(mkdir(path.c_str(), 0777), 0) << strerror(errno);
  }
  testing::WriteFile(pair.mount() + "/blocks",
                     std::string(kBlock * kBlocks, '0'));
  start_write.reset();
  for (auto& process : processes) EXPECT_EQ(process->Wait(), 0);

  EXPECT_EQ(CompareTrees(TreeIn(pair.source()), TreeIn(pair.mount()), true,
                         mode.reads_source),
            "");
  const std::string blocks = testing::ReadFile(pair.mount() + "/blocks");
  ASSERT_EQ(blocks.size(), kBlock * kBlocks);
  for (int i = 0; i < kBlocks; ++i) {
    const std::string block = blocks.substr(i * kBlock, kBlock);
    EXPECT_EQ(block, std::string(kBlock, block[0])) << i;
    EXPECT_NE(std::string("0abcd").find(block[0]), std::string::npos);
  }
  const absl::Status stopped = pair.Stop();
  EXPECT_TRUE(stopped.ok()) << stopped;
}

INSTANTIATE_TEST_SUITE_P(
    All, Processes,
    ::testing::Combine(::testing::ValuesIn(kFileSystems),
                       ::testing::ValuesIn(Modes())),
    [](const ::testing::TestParamInfo<Parameters>& instance) {
      return std::string(std::get<0>(instance.param)) + "_" +
             std::string(std::get<1>(instance.param).name);
    });

}  // namespace
}  // namespace barefuse::differential
