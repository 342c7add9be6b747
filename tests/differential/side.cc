#include "tests/differential/side.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/testing/files.h"

namespace barefuse::differential {
namespace {

using testing::Check;

UniqueFd OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Check(static_cast<bool>(fd), path);
  return fd;
}

// The C library would change all threads.
void SetIds(uid_t uid, gid_t gid, std::span<const gid_t> groups) {
  // Root's rights are given up for effective use only, and come back with it.
  Check(syscall(SYS_setgroups, groups.size(), groups.data()) == 0 &&
            syscall(SYS_setresgid, gid, gid, 0) == 0 &&
            syscall(SYS_setresuid, uid, uid, 0) == 0,
        "setresuid");
}

}  // namespace

void BecomeActor() {
  ProcFds();  // as long as there is a /proc
  Check(unshare(CLONE_FS) == 0, "unshare");
  // Of fifos that nobody reads. The operation gets EPIPE.
  signal(SIGPIPE, SIG_IGN);
}

void BecomeRoot() {
  if (geteuid() == 0) return;
  Check(syscall(SYS_setresuid, 0, 0, 0) == 0, "setresuid");
  SetIds(0, 0, {});
}

void EnterRoot(int root) {
  BecomeRoot();
  Check(fchdir(root) == 0 && chroot(".") == 0, "chroot");
}

Side::Side(const std::string& root, bool knows_direct)
    : root_(OpenDirectory(root)),
      knows_direct_(knows_direct),
      working_directory_(OpenDirectory(root)) {}

void Side::Enter() {
  BecomeRoot();
  EnterRoot(root_.get());
  Check(fchdir(working_directory_.get()) == 0, "fchdir");
}

void Side::Enter(const Operation& operation) {
  Enter();
  umask(operation.umask);
  const User& user = Users()[operation.user];
  if (user.uid != 0) SetIds(user.uid, user.gid, user.groups);
}

int Side::Base(const Operation& operation) const {
  return operation.base == Base::kSlot ? Fd(operation.base_slot) : AT_FDCWD;
}

std::string Side::Path(const Operation& operation, uint16_t number) const {
  const std::string path = PathOf(number);
  return operation.base == Base::kRoot ? "/" + path : path;
}

int Side::SlotOf(uint8_t slot) const {
  for (int i = 0; i < kSlots; ++i) {
    const int at = (slot + i) % kSlots;
    if (slots_[at]) return at;
  }
  return -1;
}

int Side::Fd(uint8_t slot) const {
  const int at = SlotOf(slot);
  return at < 0 ? -1 : slots_[at].get();
}

int Side::Close(uint8_t slot) {
  const int at = SlotOf(slot);
  return close(at < 0 ? -1 : slots_[at].release());
}

std::span<char> Buffer() {
  constexpr size_t kSize = 256 << 10;
  thread_local const std::unique_ptr<char, decltype(&free)> buffer(
      static_cast<char*>(aligned_alloc(4096, kSize)), &free);
  return {buffer.get(), kSize};
}

int ProcFds() {
  // Of this process, which may be the child of one that has it open.
  thread_local const UniqueFd fds = OpenDirectory("/proc/self/fd");
  return fds.get();
}

}  // namespace barefuse::differential
