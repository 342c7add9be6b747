#include "fs/passthrough/flock_waiters.h"

#include <errno.h>
#include <sys/file.h>

#include <atomic>
#include <utility>

#include "absl/time/time.h"

namespace barefuse {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(10);

void Answer(EmptyReply reply, int error) {
  error == 0 ? std::move(reply).Ok() : std::move(reply).Error(error);
}

}  // namespace

void FlockWaiters::Wait(std::shared_ptr<const void> file, int fd, int operation,
                        EmptyReply reply) {
  if (!reply.Detach()) return std::move(reply).Error(ENOLCK);
  uint64_t id;
  {
    absl::MutexLock lock(&mutex_);
    id = next_++;
  }
  // It may come before the waiter has its place, and then finds nobody.
  auto interrupted = std::make_shared<std::atomic<bool>>(false);
  reply.OnInterrupt([waiters = weak_from_this(), id, interrupted] {
    interrupted->store(true);
    if (auto self = waiters.lock()) self->Interrupt(id);
  });
  absl::MutexLock lock(&mutex_);
  if (!started_ && !stopped_) {
    started_ = thread_.Start([this] { Run(); }).ok();
  }
  if (!started_ || stopped_) {
    return std::move(reply).Error(stopped_ ? EIO : ENOLCK);
  }
  waiters_.push_back({.id = id,
                      .file = std::move(file),
                      .fd = fd,
                      .operation = operation,
                      .reply = std::move(reply),
                      .interrupted = interrupted->load()});
  changed_.Signal();
}

void FlockWaiters::Retry() {
  absl::MutexLock lock(&mutex_);
  if (!waiters_.empty()) changed_.Signal();
}

void FlockWaiters::Interrupt(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  for (Waiter& waiter : waiters_) {
    if (waiter.id == id) waiter.interrupted = true;
  }
  changed_.Signal();
}

void FlockWaiters::Run() {
  absl::MutexLock lock(&mutex_);
  while (!stopped_) {
    std::list<Waiter> answered;
    for (auto it = waiters_.begin(); it != waiters_.end();) {
      auto waiter = it++;
      if (waiter->interrupted) {
        waiter->error = EINTR;
      } else if (flock(waiter->fd, waiter->operation | LOCK_NB) == 0) {
        waiter->error = 0;
      } else if (errno != EWOULDBLOCK) {
        waiter->error = errno;
      } else {
        continue;
      }
      answered.splice(answered.end(), waiters_, waiter);
    }
    if (!answered.empty()) {
      mutex_.Unlock();
      for (Waiter& waiter : answered) {
        Answer(std::move(waiter.reply), waiter.error);
      }
      answered.clear();
      mutex_.Lock();
      // Somebody may have come, or called, meanwhile.
      continue;
    }
    waiters_.empty()
        ? changed_.Wait(&mutex_)
        : static_cast<void>(changed_.WaitWithTimeout(&mutex_, kPause));
  }
}

void FlockWaiters::Stop() {
  std::list<Waiter> left;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    left.swap(waiters_);
    changed_.SignalAll();
  }
  thread_.Join();
  for (Waiter& waiter : left) Answer(std::move(waiter.reply), EIO);
}

}  // namespace barefuse
