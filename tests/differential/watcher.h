// Looks at what an operation is about, on both sides and in the source.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_WATCHER_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_WATCHER_H_

#include <array>
#include <string>
#include <vector>

#include "server/unique_fd.h"
#include "tests/differential/operation.h"
#include "tests/differential/pair.h"
#include "tests/differential/seen.h"
#include "tests/differential/side.h"

namespace barefuse::differential {

// Looking changes nothing that operations can see, but for what the mount's
// kernel remembers: attributes are asked for through it. For an actor's thread.
class Watcher {
 public:
  Watcher(const Pair& pair, Side& plain, Side& mount);

  void Before(const Operation& operation);
  // What differs now, if anything. `succeeded`: the operation has.
  std::string After(const Operation& operation, bool succeeded);

  // Whether something that the operation is about was immutable or could only
  // be appended to.
  bool WasFlagged() const;

  // What After says, of everything there is.
  std::string CompareAll();

 private:
  // Something that the operation is about.
  struct Target {
    std::string label;
    std::string path;  // empty: a slot's
    int flags = 0;     // of statx
    uint8_t slot = 0;  // or where `path` starts
    Base base = Base::kRoot;
    BeforeAndAfter plain;
    BeforeAndAfter mount;
    bool in_source = false;  // is seen there too
    Seen source;             // afterwards
  };
  // How the source's file in a slot is found; empty: not at all.
  using Handle = std::vector<char>;

  void FindTargets(const Operation& operation);
  void AddPath(const Operation& operation, uint16_t number);
  void AddSlot(uint8_t slot);
  Seen LookAt(const Target& target, Side& side);
  bool LookInSource(const Target& target, Seen* seen);
  UniqueFd OpenInSource(const Target& target, int flags);
  UniqueFd OpenPlain(const Target& target);
  void NoteOpened(const Operation& operation);
  std::string CompareTarget(const Target& target, bool changes);
  Handle* HandleOf(uint8_t slot);

  const Mode& mode_;
  Side& plain_;
  Side& mount_;
  const UniqueFd source_;
  int64_t clock_ = 0;
  int reopened_ = -1;  // the slot that slot2 stood for, before
  std::vector<Target> targets_;
  std::array<Handle, kSlots> handles_;
};

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_WATCHER_H_
