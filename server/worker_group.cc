#include "server/worker_group.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/operations.h"
#include "server/dev_transport.h"
#include "server/dev_uring_transport.h"
#include "server/errno_status.h"

namespace barefuse {

absl::StatusOr<std::shared_ptr<WorkerGroup>> WorkerGroup::Create(
    std::shared_ptr<FileSystem> file_system,
    std::shared_ptr<Connection> connection, TransportKind transport,
    uint32_t workers, uint32_t slots) {
  std::shared_ptr<WorkerGroup> group(
      new WorkerGroup(std::move(file_system), std::move(connection), transport,
                      workers, slots));
  group->end_fd_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!group->end_fd_) return ErrnoStatus(errno, "cannot make an eventfd");
  group->null_fd_.reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!group->null_fd_) return ErrnoStatus(errno, "/dev/null");
  return group;
}

WorkerGroup::WorkerGroup(std::shared_ptr<FileSystem> file_system,
                         std::shared_ptr<Connection> connection,
                         TransportKind transport, uint32_t workers,
                         uint32_t slots)
    : connection_(std::move(connection)),
      transport_(transport),
      slots_(slots),
      dispatcher_(std::move(file_system)),
      relay_(workers, [this](size_t worker) {
        absl::MutexLock lock(&mutex_);
        if (SlotPool* pool = workers_[worker]->pool) pool->Nudge();
      }) {}

absl::Status WorkerGroup::Add(std::shared_ptr<const Device> device) {
  absl::StatusOr<SlotPool*> pool = SlotPool::Create(
      connection_, slots_, connection_->terms().max_transfer());
  if (!pool.ok()) return pool.status();
  absl::StatusOr<std::unique_ptr<Transport>> transport =
      MakeTransport(device, *pool);
  if (!transport.ok()) {
    (*pool)->Close();
    return transport.status();
  }
  auto worker = std::make_unique<Worker>();
  worker->device = std::move(device);
  worker->counters = (*pool)->shared_counters();
  worker->transport = *std::move(transport);
  worker->pool = *pool;
  workers_.push_back(std::move(worker));
  return absl::OkStatus();
}

// The first worker decides what kAuto is, so that all have the same.
absl::StatusOr<std::unique_ptr<Transport>> WorkerGroup::MakeTransport(
    const std::shared_ptr<const Device>& device, SlotPool* pool) {
  if (transport_ != TransportKind::kDev) {
    absl::StatusOr<std::unique_ptr<Transport>> transport =
        DevUringTransport::Create(device, pool, &relay_, workers_.size());
    if (transport.ok() || transport_ == TransportKind::kDevUring) {
      transport_ = TransportKind::kDevUring;
      return transport;
    }
    connection_->Log(LogLevel::kInfo,
                     absl::StrCat(transport.status().message(),
                                  "; using plain read and write instead"));
    transport_ = TransportKind::kDev;
  }
  return std::make_unique<DevTransport>(device, pool);
}

absl::Status WorkerGroup::Start() {
  for (auto& worker : workers_) {
    absl::MutexLock lock(&mutex_);
    // The first may have come to its end already, and stopped the others.
    if (worker->state != State::kReady) continue;
    absl::Status status = worker->thread.Start(
        [self = shared_from_this(), w = worker.get()] { self->Run(*w); });
    if (!status.ok()) return status;
    worker->state = State::kRunning;
    ++running_;
  }
  return absl::OkStatus();
}

void WorkerGroup::Run(Worker& worker) {
  worker.pool->BindToThread();
  StopReason reason = worker.transport->Run(dispatcher_, stop_);
  worker.pool->Unbind();
  SlotPool* pool;
  std::shared_ptr<const Device> device;
  {
    absl::MutexLock lock(&mutex_);
    // Stopping workers is how any end is carried to the others, so what they
    // say of it counts only where nobody has said better.
    if (!reason_.has_value() || (reason_->kind == StopReason::Kind::kStopped &&
                                 reason.kind == StopReason::Kind::kFailed)) {
      reason_ = std::move(reason);
    }
    // From here on nobody else reaches what is about to go.
    pool = std::exchange(worker.pool, nullptr);
    device = std::move(worker.device);
  }
  Stop();
  SignalEnd();
  worker.transport.reset();
  device.reset();
  const uint32_t unanswered = pool->Close();
  absl::MutexLock lock(&mutex_);
  unanswered_ += unanswered;
  worker.state = State::kEnded;
  --running_;
}

void WorkerGroup::RequestEnd() {
  absl::MutexLock lock(&mutex_);
  if (std::exchange(end_requested_, true)) return;
  SignalEnd();
}

void WorkerGroup::SignalEnd() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(end_fd_.get(), &one, sizeof one);
}

void WorkerGroup::AwaitEnd() {
  absl::MutexLock lock(&mutex_);
  auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return end_requested_ || reason_.has_value();
  };
  mutex_.Await(absl::Condition(&ended));
}

bool WorkerGroup::ClaimEnd(StopReason reason) {
  absl::MutexLock lock(&mutex_);
  if (running_ == 0 || reason_.has_value()) return false;
  reason_ = std::move(reason);
  return true;
}

void WorkerGroup::Stop() {
  if (stop_.exchange(true, std::memory_order_acq_rel)) return;
  absl::MutexLock lock(&mutex_);
  for (auto& worker : workers_) {
    if (worker->pool == nullptr) continue;
    if (worker->state == State::kRunning) {
      worker->pool->Wake();
    } else {
      worker->transport.reset();
      worker->device.reset();
      std::exchange(worker->pool, nullptr)->Close();
      worker->state = State::kEnded;
    }
  }
}

bool WorkerGroup::AwaitThreads(absl::Duration timeout) {
  {
    absl::MutexLock lock(&mutex_);
    auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return running_ == 0;
    };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&ended), timeout)) {
      return false;
    }
  }
  for (auto& worker : workers_) worker->thread.Join();
  return true;
}

void WorkerGroup::CutDevices() {
  absl::MutexLock lock(&mutex_);
  for (auto& worker : workers_) {
    if (worker->state == State::kRunning && worker->device != nullptr) {
      absl::Status status = worker->device->Cut(null_fd_.get());
      if (!status.ok()) {
        connection_->Log(LogLevel::kError, std::string(status.message()));
      }
    }
  }
}

std::vector<std::string> WorkerGroup::Abandon() {
  std::vector<std::string> doing;
  for (auto& worker : workers_) {
    bool ended;
    {
      absl::MutexLock lock(&mutex_);
      ended = worker->state == State::kEnded;
      if (!ended && worker->pool != nullptr) {
        doing.emplace_back(proto::OperationName(worker->pool->serving()));
      }
    }
    // A thread that has said so is on its last instructions.
    ended ? worker->thread.Join() : worker->thread.Detach();
  }
  return doing;
}

StopReason WorkerGroup::reason() const {
  absl::MutexLock lock(&mutex_);
  return reason_.value_or(StopReason{});
}

uint32_t WorkerGroup::unanswered() const {
  absl::MutexLock lock(&mutex_);
  return unanswered_;
}

void WorkerGroup::AddTo(Statistics* sum) const {
  for (const auto& worker : workers_) worker->counters->AddTo(sum);
}

}  // namespace barefuse
