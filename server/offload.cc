#include "server/offload.h"

#include <cerrno>
#include <utility>

#include "proto/operations.h"
#include "server/reply.h"

namespace barefuse {

bool Offload::Take(Slot* slot) {
  absl::MutexLock lock(&mutex_);
  if (stopped_) return false;
  if (idle_ <= waiting_ && started_ < threads_.size() && !StartThread() &&
      started_ == 0) {
    return false;
  }
  slot->next = nullptr;
  (last_ == nullptr ? first_ : last_->next) = slot;
  last_ = slot;
  ++waiting_;
  changed_.Signal();
  return true;
}

bool Offload::StartThread() {
  OwnThread& own = threads_[started_];
  absl::Status status =
      own.thread.Start([self = shared_from_this(), &own] { self->Run(own); });
  if (!status.ok()) return false;
  ++started_;
  ++running_;
  return true;
}

void Offload::Run(OwnThread& self) {
  while (Slot* slot = Next(self)) {
    self.serving.store(slot->request.header.opcode, std::memory_order_relaxed);
    slot->may_block = true;
    serve_(slot);
  }
}

Slot* Offload::Next(OwnThread& self) {
  absl::MutexLock lock(&mutex_);
  ++idle_;
  while (first_ == nullptr && !stopped_) changed_.Wait(&mutex_);
  --idle_;
  Slot* slot = first_;
  if (slot == nullptr) {
    self.ended = true;
    --running_;
    changed_.SignalAll();
    return nullptr;
  }
  first_ = slot->next;
  if (first_ == nullptr) last_ = nullptr;
  --waiting_;
  return slot;
}

bool Connection::CallAgain(Slot* slot) {
  std::shared_ptr<Offload> offload;
  {
    absl::MutexLock lock(&mutex_);
    offload = offload_.lock();
  }
  return offload != nullptr && offload->Take(slot);
}

void Offload::Stop() {
  Slot* left;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    left = std::exchange(first_, nullptr);
    last_ = nullptr;
    waiting_ = 0;
    changed_.SignalAll();
  }
  while (left != nullptr) {
    Slot* next = left->next;
    internal::CoreReply(*left).Error(EIO);
    left = next;
  }
}

bool Offload::AwaitThreads(absl::Time deadline) {
  size_t started;
  {
    absl::MutexLock lock(&mutex_);
    while (running_ != 0) {
      if (changed_.WaitWithDeadline(&mutex_, deadline) && running_ != 0) {
        return false;
      }
    }
    started = std::exchange(started_, 0);
  }
  for (size_t i = 0; i < started; ++i) threads_[i].thread.Join();
  return true;
}

std::vector<std::string> Offload::Abandon() {
  std::vector<std::string> doing;
  std::vector<Thread*> ended;
  {
    absl::MutexLock lock(&mutex_);
    const size_t started = std::exchange(started_, 0);
    for (size_t i = 0; i < started; ++i) {
      OwnThread& own = threads_[i];
      if (own.ended) {
        ended.push_back(&own.thread);
      } else {
        doing.emplace_back(proto::OperationName(own.serving.load()));
        own.thread.Detach();
      }
    }
  }
  // A thread that has said so is on its last instructions.
  for (Thread* thread : ended) thread->Join();
  return doing;
}

}  // namespace barefuse
