// Making a sequence short.
#include <algorithm>
#include <chrono>
#include <sstream>
#include <string>

#include "tests/differential/sequence.h"

namespace barefuse::differential {
namespace {

using std::chrono::steady_clock;

// What sort of difference it is: what was done last, and what differs, without
// names and numbers.
std::string SortOf(const Sequence& sequence, const Difference& difference) {
  if (difference.text.starts_with("trees")) return "trees";
  std::string sort;
  if (difference.at < sequence.steps.size()) {
    const uint64_t last = sequence.steps[difference.at];
    sort = Kinds()[MakeOperation(sequence.seed, last).kind].name;
  }
  const size_t start = difference.text.find(": ");
  for (const char c :
       difference.text.substr(std::min(start, difference.text.size()))) {
    if (c < '0' || c > '9') sort += c;
  }
  return sort;
}

// Tries sequences against the clock.
class Shrinker {
 public:
  Shrinker(Pair& pair, Sequence sequence, const Difference& difference,
           double seconds)
      : pair_(pair),
        best_(std::move(sequence)),
        sort_(SortOf(best_, difference)),
        end_(steady_clock::now() +
             std::chrono::duration_cast<steady_clock::duration>(
                 std::chrono::duration<double>(seconds))) {}

  Sequence Shrink() {
    for (size_t chunk = best_.steps.size(); chunk > 0 && !IsOver();
         chunk /= 2) {
      // Again with single ones until none can go.
      while (DropChunks(chunk) && chunk == 1 && !IsOver()) continue;
    }
    return best_;
  }

 private:
  bool IsOver() const { return steady_clock::now() >= end_; }

  // Whether `steps` part in the same way; they are the best then, without what
  // comes after that.
  bool Try(std::vector<uint64_t> steps) {
    Sequence trial{best_.seed, std::move(steps)};
    RunOptions options;
    // What only a look at the trees has found belongs to an earlier step.
    if (sort_ == "trees") {
      options.tree_every = trial.steps.size() > 100 ? 20 : 1;
    } else {
      options.tree_every = 0;
    }
    options.wait_for_ticks = trial.steps.size() <= 40;
    const RunResult result = RunSequence(pair_, trial, options);
    if (!result.difference.has_value() ||
        SortOf(trial, *result.difference) != sort_) {
      return false;
    }
    trial.steps.resize(std::min(trial.steps.size(), result.difference->at + 1));
    best_ = std::move(trial);
    return true;
  }

  bool DropChunks(size_t chunk) {
    bool dropped = false;
    // From the end, since what has been done last matters most.
    size_t end = best_.steps.size();
    while (end > 0 && !IsOver()) {
      const size_t begin = end > chunk ? end - chunk : 0;
      std::vector<uint64_t> steps = best_.steps;
      steps.erase(steps.begin() + static_cast<ptrdiff_t>(begin),
                  steps.begin() + static_cast<ptrdiff_t>(end));
      if (!steps.empty() && Try(std::move(steps))) dropped = true;
      end = std::min(begin, best_.steps.size());
    }
    return dropped;
  }

  Pair& pair_;
  Sequence best_;
  const std::string sort_;
  const steady_clock::time_point end_;
};

}  // namespace

Sequence Shrink(Pair& pair, Sequence sequence, const Difference& difference,
                double seconds) {
  return Shrinker(pair, std::move(sequence), difference, seconds).Shrink();
}

std::string Report(const Pair& pair, const Sequence& sequence,
                   const Difference& difference) {
  std::ostringstream out;
  out << pair.mode().name << ", seed " << sequence.seed << ", "
      << sequence.steps.size() << " steps:\n";
  std::string keep;
  for (size_t i = 0; i < sequence.steps.size(); ++i) {
    const uint64_t step = sequence.steps[i];
    out << (i == difference.at ? "> " : "  ") << step << " "
        << Describe(MakeOperation(sequence.seed, step)) << "\n";
    if (i > 0 && sequence.steps[i - 1] + 1 == step) {
      // "5-9" for a run.
      if (keep.back() != '-') keep += "-";
      continue;
    }
    if (keep.ends_with('-')) keep += std::to_string(sequence.steps[i - 1]);
    keep += (keep.empty() ? "" : ",") + std::to_string(step);
  }
  if (keep.ends_with('-')) keep += std::to_string(sequence.steps.back());
  out << "differ (plain vs mount): " << difference.text << "\n"
      << "again: DIFFERENTIAL_SEED=" << sequence.seed
      << " DIFFERENTIAL_KEEP=" << keep << "\n";
  return out.str();
}

}  // namespace barefuse::differential
