#include "tests/differential/sequence.h"

#include <errno.h>
#include <stdio.h>

#include <thread>

#include "tests/differential/side.h"
#include "tests/differential/watcher.h"

namespace barefuse::differential {
namespace {

// What the two sides may differ in, and must not where it is not just this.
struct KnownDifference {
  std::string_view kind;  // empty: any
  int plain;              // errno, 0 for a result that is 0
  int mount;              // or any, if kAnyError
};
constexpr int kAnyError = -1;
// The mount's kernel does not know which files are immutable or can only be
// appended to (FS_IOC_SETFLAGS), so that the server has to find out: after what
// the kernel looks at first.
constexpr KnownDifference kOfFlagged[] = {
    {"", EPERM, kAnyError},
    // Where there is nothing to copy it asks nobody.
    {"copy_file_range", EPERM, 0},
    // A file that is no directory has no default ACL, it knows.
    {"remove ACL", EPERM, 0},
    // Permissions it checks by itself.
    {"faccessat2", EPERM, 0},
};

bool IsKnown(std::string_view kind, const Outcome& plain,
             const Outcome& mount) {
  for (const KnownDifference& known : kOfFlagged) {
    if ((known.kind.empty() || kind == known.kind) &&
        plain.error == known.plain &&
        (known.mount == kAnyError ? mount.error != 0
                                  : mount.error == known.mount) &&
        plain.result <= 0 && mount.result <= 0) {
      return true;
    }
  }
  return false;
}

std::string CompareOutcomes(const Kind& kind, const Watcher& watcher,
                            const Outcome& plain, const Outcome& mount) {
  if (plain.result == mount.result && plain.error == mount.error &&
      plain.data == mount.data) {
    return "";
  }
  if (watcher.WasFlagged() && IsKnown(kind.name, plain, mount)) return "";
  return "result: " + Describe(plain) + " vs " + Describe(mount);
}

void AwaitNextTick() {
  const int64_t start = FileClock();
  while (FileClock() == start) std::this_thread::yield();
}

// On a thread of its own, which it changes for good.
RunResult RunAsActor(const Pair& pair, const Sequence& sequence,
                     const RunOptions& options) {
  BecomeActor();
  Side plain(pair.plain(), pair.mode().knows_direct);
  Side mount(pair.mount(), pair.mode().knows_direct);
  Watcher watcher(pair, plain, mount);
  RunResult result;
  result.counts.resize(Kinds().size());
  for (size_t i = 0; i < sequence.steps.size(); ++i) {
    const Operation operation = MakeOperation(sequence.seed, sequence.steps[i]);
    const Kind& kind = Kinds()[operation.kind];
    if (options.wait_for_ticks) AwaitNextTick();
    watcher.Before(operation);
    Outcome of_plain;
    plain.Enter(operation);
    kind.run(operation, plain, of_plain);
    Outcome of_mount;
    mount.Enter(operation);
    kind.run(operation, mount, of_mount);
    if (options.trace) {
      printf("%zu %s = %s\n", i, Describe(operation).c_str(),
             Describe(of_plain).c_str());
      fflush(stdout);
    }
    Count& count = result.counts[operation.kind];
    ++count.done;
    if (of_plain.error == 0) ++count.succeeded;
    std::string text = CompareOutcomes(kind, watcher, of_plain, of_mount);
    if (text.empty()) text = watcher.After(operation, of_plain.error == 0);
    if (text.empty() && options.tree_every != 0 &&
        (i + 1) % options.tree_every == 0) {
      text = watcher.CompareAll();
    }
    if (!text.empty()) {
      result.difference = Difference{i, text};
      break;
    }
  }
  if (!result.difference.has_value() && options.tree_every != 0) {
    const std::string text = watcher.CompareAll();
    if (!text.empty()) {
      result.difference = Difference{sequence.steps.size(), text};
    }
  }
  // For the descriptors, which are closed now.
  BecomeRoot();
  return result;
}

}  // namespace

Sequence Sequence::FirstOf(uint64_t seed, uint64_t count) {
  Sequence sequence{seed, std::vector<uint64_t>(count)};
  for (uint64_t i = 0; i < count; ++i) sequence.steps[i] = i;
  return sequence;
}

RunResult RunSequence(Pair& pair, const Sequence& sequence,
                      const RunOptions& options) {
  absl::Status status = pair.Start();
  testing::Check(status.ok(), status.ToString());
  RunResult result;
  std::thread([&] { result = RunAsActor(pair, sequence, options); }).join();
  status = pair.Stop();
  if (!status.ok() && !result.difference.has_value()) {
    result.difference = Difference{sequence.steps.size(), status.ToString()};
  }
  return result;
}

}  // namespace barefuse::differential
