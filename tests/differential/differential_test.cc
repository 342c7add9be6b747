// Random sequences of operations on a mount and on a plain directory of the
// same filesystem: they must come to the same.
//
// The environment says otherwise:
//   DIFFERENTIAL_SEED=N      another sequence (1)
//   DIFFERENTIAL_STEPS=N     its length (20000; 4000 where not all is passed
//                            through)
//   DIFFERENTIAL_KEEP=N,N-N  of its steps only these, each printed
//   DIFFERENTIAL_SHRINK=N    seconds to make shorter what differs (60)
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <sstream>
#include <tuple>

#include "tests/differential/pair.h"
#include "tests/differential/sequence.h"

namespace barefuse::differential {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = getenv(name);
  return value == nullptr ? otherwise : strtoull(value, nullptr, 10);
}

using Parameters = std::tuple<std::string_view, Mode>;

class Differential : public ::testing::TestWithParam<Parameters> {
 protected:
  void SetUp() override {
    // Of the server: creations come with the caller's own.
    umask_ = umask(0);
    const auto& [file_system, mode] = GetParam();
    auto pair = Pair::Make(file_system, mode);
    if (absl::IsUnavailable(pair.status())) {
      GTEST_SKIP() << pair.status().message();
    }
    ASSERT_TRUE(pair.ok()) << pair.status();
    pair_ = *std::move(pair);
  }
  void TearDown() override { umask(umask_); }

  std::unique_ptr<Pair> pair_;
  mode_t umask_ = 0;
};

Sequence SequenceOfEnvironment(uint64_t steps) {
  const uint64_t seed = FromEnvironment("DIFFERENTIAL_SEED", 1);
  const char* keep = getenv("DIFFERENTIAL_KEEP");
  if (keep == nullptr) {
    return Sequence::FirstOf(seed,
                             FromEnvironment("DIFFERENTIAL_STEPS", steps));
  }
  Sequence sequence{seed, {}};
  std::istringstream kept(keep);
  for (std::string step; std::getline(kept, step, ',');) {
    char* rest = nullptr;
    uint64_t at = strtoull(step.c_str(), &rest, 10);
    const uint64_t last = *rest == '-' ? strtoull(rest + 1, nullptr, 10) : at;
    for (; at <= last; ++at) sequence.steps.push_back(at);
  }
  return sequence;
}

TEST_P(Differential, RandomOperationsComeToTheSame) {
  // The other modes share most of their code with this one.
  const bool is_default =
      std::get<Mode>(GetParam()).name == Modes().front().name;
  Sequence sequence = SequenceOfEnvironment(is_default ? 20000 : 4000);
  RunOptions options;
  if (getenv("DIFFERENTIAL_KEEP") != nullptr) {
    options = {.tree_every = 1, .wait_for_ticks = true, .trace = true};
  }
  RunResult result = RunSequence(*pair_, sequence, options);
  if (result.difference.has_value()) {
    const size_t at = result.difference->at;
    printf(
        "step %zu differs: %s: %s\n", at,
        at < sequence.steps.size()
            ? Describe(MakeOperation(sequence.seed, sequence.steps[at])).c_str()
            : "the end",
        result.difference->text.c_str());
    fflush(stdout);
    sequence.steps.resize(
        std::min(sequence.steps.size(), result.difference->at + 1));
    const Sequence shortest =
        Shrink(*pair_, sequence, *result.difference,
               static_cast<double>(FromEnvironment("DIFFERENTIAL_SHRINK", 60)));
    const bool is_short = shortest.steps.size() <= 100;
    const RunOptions slowly = {.tree_every = is_short ? 1u : 200u,
                               .wait_for_ticks = is_short};
    const RunResult again = RunSequence(*pair_, shortest, slowly);
    FAIL() << Report(*pair_, shortest,
                     again.difference.value_or(*result.difference));
  }
  // Operations that never succeed compare nothing but errors.
  if (sequence.steps.size() < 20000) return;
  for (size_t i = 0; i < Kinds().size(); ++i) {
    EXPECT_GT(result.counts[i].succeeded, 0u)
        << Kinds()[i].name << " of " << result.counts[i].done;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Differential,
    ::testing::Combine(::testing::ValuesIn(kFileSystems),
                       ::testing::ValuesIn(Modes())),
    [](const ::testing::TestParamInfo<Parameters>& instance) {
      return std::string(std::get<0>(instance.param)) + "_" +
             std::string(std::get<1>(instance.param).name);
    });

}  // namespace
}  // namespace barefuse::differential
