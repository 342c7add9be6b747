#include "fs/memfs/lock_table.h"

#include <errno.h>

#include <atomic>
#include <utility>

namespace barefuse::memfs {

LockTable::Answers::~Answers() {
  for (EmptyReply& reply : granted) std::move(reply).Ok();
  for (EmptyReply& reply : failed) std::move(reply).Error(error);
}

LockTable::~LockTable() { Clear(); }

int LockTable::Check(const RangeLock& wanted) {
  if (wanted.type != F_RDLCK && wanted.type != F_WRLCK &&
      wanted.type != F_UNLCK) {
    return EINVAL;
  }
  return wanted.start > wanted.end || wanted.end > LockSet::kEnd ? EINVAL : 0;
}

std::optional<RangeLock> LockTable::Test(Target target,
                                         const RangeLock& wanted) {
  absl::MutexLock lock(&mutex_);
  auto it = files_.find(target.node);
  if (it == files_.end()) return std::nullopt;
  const RangeLock* found = it->second->Of(target.flock).Conflict(wanted);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

int LockTable::SetLocked(File& file, bool flock, const RangeLock& wanted,
                         Answers* answers) {
  LockSet& locks = file.Of(flock);
  if (flock) {
    // flock(2) changes a lock's type by letting it go first: whoever waits may
    // get it in between, and where it cannot be had at once it is lost.
    const auto& held = locks.locks();
    for (size_t i = 0; i < held.size(); ++i) {
      if (held[i].owner != wanted.owner) continue;
      if (held[i].type == wanted.type) return 0;
      RangeLock away = wanted;
      away.type = F_UNLCK;
      locks.Set(away);
      Grant(file, answers);
      break;
    }
  }
  if (locks.Conflict(wanted) != nullptr) return EAGAIN;
  if (!locks.Set(wanted)) return ENOLCK;
  Grant(file, answers);
  return 0;
}

void LockTable::Grant(File& file, Answers* answers) {
  // A waiter that gets what it wants may let others in, where it had more.
  for (bool again = true; again;) {
    again = false;
    for (auto it = file.waiters.begin(); it != file.waiters.end();) {
      LockSet& locks = file.Of(it->flock);
      if (locks.Conflict(it->wanted) != nullptr || !locks.Set(it->wanted)) {
        ++it;
        continue;
      }
      auto granted = it++;
      answers->granted.push_back(TakeReply(file, granted));
      again = true;
    }
  }
}

EmptyReply LockTable::TakeReply(File& file,
                                std::list<Waiter>::iterator waiter) {
  if (waiter->in_slot) --slot_waiters_;
  EmptyReply reply = std::move(waiter->reply);
  file.waiters.erase(waiter);
  return reply;
}

void LockTable::EraseIfIdle(NodeId node) {
  auto it = files_.find(node);
  if (it == files_.end()) return;
  const File& file = *it->second;
  if (file.posix.empty() && file.flock.empty() && file.waiters.empty()) {
    files_.erase(it);
  }
}

int LockTable::Set(Target target, const RangeLock& wanted) {
  if (int error = Check(wanted); error != 0) return error;
  Answers answers;
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<File>& file = files_[target.node];
  if (file == nullptr) file = std::make_unique<File>();
  const int error = SetLocked(*file, target.flock, wanted, &answers);
  EraseIfIdle(target.node);
  return error;
}

void LockTable::SetAndAnswer(Target target, const RangeLock& wanted,
                             EmptyReply reply) {
  int error = Set(target, wanted);
  if (error == 0) return std::move(reply).Ok();
  if (error != EAGAIN) return std::move(reply).Error(error);

  // It will have to wait. Three things may now happen in any order: the lock
  // gets free, a signal comes, the waiter takes its place in the queue. The
  // last looks whether the others have happened, under the mutex that they
  // take to look for the waiter.
  const bool in_slot = !reply.Detach();
  uint64_t id;
  {
    absl::MutexLock lock(&mutex_);
    id = next_waiter_++;
  }
  auto interrupted = std::make_shared<std::atomic<bool>>(false);
  reply.OnInterrupt(
      [table = weak_from_this(), node = target.node, id, interrupted] {
        interrupted->store(true);
        if (auto self = table.lock()) self->Interrupt(node, id);
      });

  Answers answers;
  {
    absl::MutexLock lock(&mutex_);
    std::unique_ptr<File>& file = files_[target.node];
    if (file == nullptr) file = std::make_unique<File>();
    error = SetLocked(*file, target.flock, wanted, &answers);
    if (error == EAGAIN) {
      if (interrupted->load()) {
        error = EINTR;
      } else if (in_slot && slot_waiters_ >= max_slot_waiters_) {
        error = ENOLCK;
      } else {
        if (in_slot) ++slot_waiters_;
        file->waiters.push_back(
            {id, target.flock, wanted, std::move(reply), in_slot});
        return;
      }
    }
    EraseIfIdle(target.node);
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void LockTable::Interrupt(NodeId node, uint64_t id) {
  Answers answers;
  answers.error = EINTR;
  absl::MutexLock lock(&mutex_);
  auto it = files_.find(node);
  if (it == files_.end()) return;
  File& file = *it->second;
  for (auto waiter = file.waiters.begin(); waiter != file.waiters.end();
       ++waiter) {
    if (waiter->id != id) continue;
    answers.failed.push_back(TakeReply(file, waiter));
    break;
  }
  EraseIfIdle(node);
}

void LockTable::ReleaseOwner(NodeId node, uint64_t owner) {
  Answers answers;
  absl::MutexLock lock(&mutex_);
  auto it = files_.find(node);
  if (it == files_.end()) return;
  File& file = *it->second;
  RangeLock all;
  all.end = LockSet::kEnd;
  all.owner = owner;
  file.posix.Set(all);
  Grant(file, &answers);
  EraseIfIdle(node);
}

void LockTable::ReleaseHandle(NodeId node, uint64_t fh) {
  Answers answers;
  answers.error = EBADF;
  absl::MutexLock lock(&mutex_);
  auto it = files_.find(node);
  if (it == files_.end()) return;
  File& file = *it->second;
  for (auto waiter = file.waiters.begin(); waiter != file.waiters.end();) {
    auto next = std::next(waiter);
    if (waiter->wanted.fh == fh) {
      answers.failed.push_back(TakeReply(file, waiter));
    }
    waiter = next;
  }
  file.posix.RemoveHandle(fh);
  file.flock.RemoveHandle(fh);
  Grant(file, &answers);
  EraseIfIdle(node);
}

void LockTable::Clear() {
  Answers answers;
  answers.error = EIO;
  absl::MutexLock lock(&mutex_);
  for (auto& [node, file] : files_) {
    while (!file->waiters.empty()) {
      answers.failed.push_back(TakeReply(*file, file->waiters.begin()));
    }
  }
  files_.clear();
}

size_t LockTable::waiters() const {
  absl::MutexLock lock(&mutex_);
  size_t count = 0;
  for (const auto& [node, file] : files_) count += file->waiters.size();
  return count;
}

size_t LockTable::files() const {
  absl::MutexLock lock(&mutex_);
  return files_.size();
}

}  // namespace barefuse::memfs
