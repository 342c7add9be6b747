// One of the two filesystems that the same is done to.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_SIDE_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_SIDE_H_

#include <array>
#include <memory>
#include <span>
#include <string>

#include "server/unique_fd.h"
#include "tests/differential/operation.h"

namespace barefuse::differential {

// A thread that operations are done on: its root, its working directory, its
// umask and whose it is change with every step, and are its own.
void BecomeActor();
// Root again, with all rights.
void BecomeRoot();
// As root, in `root`, a directory that paths cannot leave.
void EnterRoot(int root);

// The directory, with the descriptors that operations have opened. Its members
// but for the constructor are for an actor's thread.
class Side {
 public:
  // Where the mount cannot tell what O_DIRECT asks for, nobody asks for it.
  explicit Side(const std::string& root, bool knows_direct);

  // Makes the thread whom the operation wants, at home here.
  void Enter(const Operation& operation);
  // The same as root.
  void Enter();

  int root() const { return root_.get(); }
  int working_directory() const { return working_directory_.get(); }
  void SetWorkingDirectory(UniqueFd directory) {
    working_directory_ = std::move(directory);
  }
  bool knows_direct() const { return knows_direct_; }

  // What the operation's paths start at, and the path as it is to be given.
  int Base(const Operation& operation) const;
  std::string Path(const Operation& operation, uint16_t number) const;

  // The descriptor in a slot, or in the next one that has any; -1: there is
  // none at all.
  int Fd(uint8_t slot) const;
  // The descriptor in this slot, or -1.
  int Exactly(uint8_t slot) const { return slots_[slot].get(); }
  // The slot that Fd's is in, or -1.
  int SlotOf(uint8_t slot) const;
  // Puts a descriptor into a slot, and closes what was there.
  void Put(uint8_t slot, UniqueFd fd) { slots_[slot] = std::move(fd); }
  // What close(2) gives.
  int Close(uint8_t slot);

 private:
  const UniqueFd root_;
  const bool knows_direct_;
  UniqueFd working_directory_;
  std::array<UniqueFd, kSlots> slots_;
};

// Memory for data, aligned as O_DIRECT wants it, one for each thread.
std::span<char> Buffer();
// /proc/self/fd, for an actor's thread.
int ProcFds();

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_SIDE_H_
