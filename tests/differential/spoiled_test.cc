// That a filesystem which does one thing wrong is found, and that the operation
// which shows it is.
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/differential/pair.h"
#include "tests/differential/sequence.h"
#include "tests/differential/spoiled_file_system.h"

namespace barefuse::differential {
namespace {

class Spoiled : public ::testing::Test {
 protected:
  void SetUp() override { umask_ = umask(0); }
  void TearDown() override { umask(umask_); }

  // Finds a difference and shrinks its sequence to what cannot be left out. The
  // last step is given.
  template <class FileSystem>
  void Find(std::string_view mode, std::string* last) {
    const Mode* found = nullptr;
    for (const Mode& known : Modes()) {
      if (known.name == mode) found = &known;
    }
    ASSERT_NE(found, nullptr);
    auto pair = Pair::Make(
        "tmpfs", *found, [](std::shared_ptr<barefuse::FileSystem> inner) {
          return std::make_shared<FileSystem>(std::move(inner));
        });
    ASSERT_TRUE(pair.ok()) << pair.status();
    Sequence sequence = Sequence::FirstOf(1, 2000);
    const RunResult result = RunSequence(**pair, sequence, {});
    ASSERT_TRUE(result.difference.has_value());
    ASSERT_LT(result.difference->at, sequence.steps.size());
    sequence.steps.resize(result.difference->at + 1);
    sequence = Shrink(**pair, sequence, *result.difference, 60);
    const RunResult again =
        RunSequence(**pair, sequence, {.wait_for_ticks = true});
    ASSERT_TRUE(again.difference.has_value());
    const std::string report = Report(**pair, sequence, *again.difference);
    EXPECT_LE(sequence.steps.size(), 5u) << report;
    EXPECT_NE(report.find("again: DIFFERENTIAL_SEED=1 DIFFERENTIAL_KEEP="),
              report.npos);
    printf("%s", report.c_str());  // for people
    *last = Describe(MakeOperation(sequence.seed, sequence.steps.back()));
  }

  mode_t umask_ = 0;
};

TEST_F(Spoiled, ModeBitIsMissed) {
  std::string last;
  Find<DropsModeBit>("passthrough", &last);
  EXPECT_NE(last.find("chmod"), last.npos) << last;
}

TEST_F(Spoiled, WrongByteIsSeen) {
  std::string last;
  Find<SpoilsLastByte>("nopassthrough", &last);
  for (const std::string_view writes : {"write", "splice in", "sendfile"}) {
    if (last.find(writes) != last.npos) return;
  }
  FAIL() << last;
}

TEST_F(Spoiled, NameThatStaysIsSeen) {
  std::string last;
  Find<KeepsNames>("passthrough", &last);
  EXPECT_NE(last.find("unlink"), last.npos) << last;
}

}  // namespace
}  // namespace barefuse::differential
