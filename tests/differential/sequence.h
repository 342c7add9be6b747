// Sequences of operations, done to both of a pair.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_SEQUENCE_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_SEQUENCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/differential/operation.h"
#include "tests/differential/pair.h"

namespace barefuse::differential {

// Operations of a seed, by their numbers.
struct Sequence {
  uint64_t seed = 0;
  std::vector<uint64_t> steps;

  // The first `count`.
  static Sequence FirstOf(uint64_t seed, uint64_t count);
};

// Where the two sides part.
struct Difference {
  size_t at = 0;     // in Sequence::steps; their number: after the last one
  std::string text;  // what differs, "plain vs mount"
};

struct RunOptions {
  // Trees are compared after so many steps, and at the end; 0: never.
  uint64_t tree_every = 200;
  // Lets the clock of files move on between steps, so that no move of a time
  // is missed.
  bool wait_for_ticks = false;
  // Prints each step and what it came to on the plain side.
  bool trace = false;
};

// How often a kind of operation was done, and how often it succeeded.
struct Count {
  uint64_t done = 0;
  uint64_t succeeded = 0;
};

struct RunResult {
  std::optional<Difference> difference;
  std::vector<Count> counts;  // one for each of Kinds()
};

// On directories that are empty at the start.
RunResult RunSequence(Pair& pair, const Sequence& sequence,
                      const RunOptions& options);

// A sequence with the same kind of difference at its end that cannot do without
// any of its steps, or the best that was found until `seconds` were over.
Sequence Shrink(Pair& pair, Sequence sequence, const Difference& difference,
                double seconds);

// The steps, readably, and how to do them again.
std::string Report(const Pair& pair, const Sequence& sequence,
                   const Difference& difference);

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_SEQUENCE_H_
