#include "tests/differential/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "tests/differential/tree.h"
#include "tests/testing/files.h"

namespace barefuse::differential {

Watcher::Watcher(const Pair& pair, Side& plain, Side& mount)
    : mode_(pair.mode()),
      plain_(plain),
      mount_(mount),
      source_(open(pair.source().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  testing::Check(static_cast<bool>(source_), pair.source());
}

void Watcher::AddPath(const Operation& operation, uint16_t number) {
  Target target;
  target.base = operation.base;
  target.slot = operation.base_slot;
  target.label = target.path = mount_.Path(operation, number);
  target.flags = AT_SYMLINK_NOFOLLOW;
  targets_.push_back(target);
  target.flags = 0;
  target.label += " (followed)";
  targets_.push_back(target);
  target.path = (operation.base == Base::kRoot ? "/" : "") + ParentOf(number);
  target.label = target.path;
  targets_.push_back(target);
}

void Watcher::AddSlot(uint8_t slot) {
  const int at = mount_.SlotOf(slot);
  if (at < 0) return;
  Target target;
  target.slot = static_cast<uint8_t>(at);
  target.label = "#" + std::to_string(at);
  target.flags = AT_EMPTY_PATH;
  targets_.push_back(target);
}

void Watcher::FindTargets(const Operation& operation) {
  targets_.clear();
  const Kind& kind = Kinds()[operation.kind];
  if (kind.Uses('p')) AddPath(operation, operation.path);
  if (kind.Uses('q')) AddPath(operation, operation.path2);
  // What is going to be opened takes the slot of another file.
  if (kind.Uses('s') && !kind.Uses('n')) AddSlot(operation.slot);
  if (kind.Uses('t')) AddSlot(operation.slot2);
}

Watcher::Handle* Watcher::HandleOf(uint8_t slot) {
  Handle& handle = handles_[slot];
  return handle.empty() || mount_.SlotOf(slot) != slot ? nullptr : &handle;
}

Seen Watcher::LookAt(const Target& target, Side& side) {
  if (target.path.empty()) {
    return Look(side.Exactly(target.slot), "", target.flags);
  }
  const int base = target.base == Base::kSlot ? side.Fd(target.slot) : AT_FDCWD;
  return Look(base, target.path, target.flags);
}

UniqueFd Watcher::OpenInSource(const Target& target, int flags) {
  flags |= O_CLOEXEC | O_NONBLOCK;
  if (target.path.empty()) {
    Handle* handle = HandleOf(target.slot);
    if (handle == nullptr) return UniqueFd();
    return UniqueFd(open_by_handle_at(
        source_.get(), reinterpret_cast<file_handle*>(handle->data()), flags));
  }
  if (target.base != Base::kRoot) return UniqueFd();
  if ((target.flags & AT_SYMLINK_NOFOLLOW) != 0) flags |= O_NOFOLLOW;
  return UniqueFd(open(target.path.c_str(), flags));
}

bool Watcher::LookInSource(const Target& target, Seen* seen) {
  if (target.path.empty()) {
    UniqueFd fd = OpenInSource(target, O_PATH);
    if (!fd) return false;
    *seen = Look(fd.get(), "", AT_EMPTY_PATH);
    return true;
  }
  if (target.base != Base::kRoot) return false;
  *seen = Look(AT_FDCWD, target.path, target.flags);
  return true;
}

void Watcher::Before(const Operation& operation) {
  FindTargets(operation);
  plain_.Enter();
  for (Target& target : targets_) target.plain.before = LookAt(target, plain_);
  EnterRoot(source_.get());
  for (Target& target : targets_) {
    target.in_source = LookInSource(target, &target.mount.before);
  }
  mount_.Enter();
  for (Target& target : targets_) {
    if (!target.in_source) target.mount.before = LookAt(target, mount_);
  }
  reopened_ = mount_.SlotOf(operation.slot2);
  clock_ = FileClock();
}

// Remembers how to find in the source what has been opened through the mount.
void Watcher::NoteOpened(const Operation& operation) {
  const Kind& kind = Kinds()[operation.kind];
  Handle& handle = handles_[operation.slot];
  if (kind.Uses('t')) {
    handle =
        reopened_ < 0 ? Handle() : handles_[static_cast<size_t>(reopened_)];
    return;
  }
  handle.clear();
  if (operation.base != Base::kRoot ||
      (operation.flags & O_TMPFILE) == O_TMPFILE) {
    return;
  }
  const Seen opened = Look(mount_.Fd(operation.slot), "", AT_EMPTY_PATH);
  EnterRoot(source_.get());
  Handle found(sizeof(file_handle) + MAX_HANDLE_SZ);
  auto* raw = reinterpret_cast<file_handle*>(found.data());
  raw->handle_bytes = MAX_HANDLE_SZ;
  const std::string path = mount_.Path(operation, operation.path);
  const bool follow = (operation.flags & O_NOFOLLOW) == 0;
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, path.c_str(), raw, &mount_id,
                        follow ? AT_SYMLINK_FOLLOW : 0) != 0) {
    return;
  }
  const Seen there = Look(AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW);
  if (there.error == 0 && there.info.stx_ino == opened.info.stx_ino) {
    handle = found;
  }
}

UniqueFd Watcher::OpenPlain(const Target& target) {
  constexpr int kFlags = O_RDONLY | O_NOATIME | O_CLOEXEC | O_NONBLOCK;
  if (target.path.empty()) {
    const std::string name = std::to_string(plain_.Exactly(target.slot));
    return UniqueFd(openat(ProcFds(), name.c_str(), kFlags));
  }
  return UniqueFd(open(target.path.c_str(), kFlags));
}

// With the plain side entered.
std::string Watcher::CompareTarget(const Target& target, bool changes) {
  // The mount and its source first: what the mount does not show yet looks like
  // a change later.
  std::string text;
  if (target.in_source)
    text = CompareViews(target.source, target.mount.after, mode_.reads_source);
  if (!text.empty()) return target.label + " (source vs mount): " + text;
  text = CompareSeen(target.plain, target.mount, clock_, mode_.reads_source);
  if (!text.empty()) return target.label + ": " + text;
  if (!changes || !target.plain.after.IsRegular() || !target.in_source) {
    return "";
  }
  UniqueFd plain = OpenPlain(target);
  EnterRoot(source_.get());
  UniqueFd source = OpenInSource(target, O_RDONLY | O_NOATIME);
  plain_.Enter();
  if (!plain || !source) return "";
  text = CompareContent(plain.get(), source.get());
  return text.empty() ? "" : target.label + ": " + text;
}

std::string Watcher::After(const Operation& operation, bool succeeded) {
  const Kind& kind = Kinds()[operation.kind];
  if (succeeded && kind.Uses('n')) NoteOpened(operation);
  const bool changes = kind.changes && succeeded;
  mount_.Enter();
  std::vector<std::string> xattrs;
  for (Target& target : targets_) {
    if (kind.Uses('r')) target.flags |= AT_STATX_FORCE_SYNC;
    target.mount.after = LookAt(target, mount_);
    if (!changes) continue;
    xattrs.push_back(target.path.empty() ? XattrsOf(mount_.Exactly(target.slot))
                     : target.base == Base::kRoot ? XattrsOf(target.path)
                                                  : "");
  }
  EnterRoot(source_.get());
  for (Target& target : targets_) {
    target.in_source = LookInSource(target, &target.source);
  }
  plain_.Enter();
  for (Target& target : targets_) {
    target.plain.after = LookAt(target, plain_);
    const std::string text = CompareTarget(target, changes);
    if (!text.empty()) return text;
  }
  if (!changes) return "";
  for (size_t i = 0; i < targets_.size(); ++i) {
    const Target& target = targets_[i];
    const std::string here =
        target.path.empty()          ? XattrsOf(plain_.Exactly(target.slot))
        : target.base == Base::kRoot ? XattrsOf(target.path)
                                     : "";
    if (here != xattrs[i]) {
      return target.label + ": xattrs " + here + " vs " + xattrs[i];
    }
  }
  return "";
}

bool Watcher::WasFlagged() const {
  constexpr uint64_t kFlags = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
  return std::any_of(
      targets_.begin(), targets_.end(), [](const Target& target) {
        return (target.plain.before.info.stx_attributes & kFlags) != 0;
      });
}

std::string Watcher::CompareAll() {
  BecomeRoot();
  EnterRoot(mount_.root());
  const Tree mount = ReadTree();
  EnterRoot(source_.get());
  const Tree source = ReadTree();
  EnterRoot(plain_.root());
  const Tree plain = ReadTree();
  std::string text = CompareTrees(plain, mount, false, mode_.reads_source);
  if (!text.empty()) return "trees:\n" + text;
  text = CompareTrees(source, mount, true, mode_.reads_source);
  return text.empty() ? "" : "trees (source vs mount):\n" + text;
}

}  // namespace barefuse::differential
