#include "server/worker_group.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/operations.h"
#include "server/dev_uring_transport.h"
#include "server/errno_status.h"
#include "server/poll_transport.h"
#include "server/reserve.h"

namespace barefuse {
namespace {

std::shared_ptr<Offload> MakeOffload(
    const std::shared_ptr<FileSystem>& file_system, uint32_t threads) {
  if (threads == 0) return nullptr;
  return std::make_shared<Offload>(
      [file_system](Slot* slot) { CallFileSystem(*file_system, slot); },
      threads);
}

}  // namespace

absl::StatusOr<std::shared_ptr<WorkerGroup>> WorkerGroup::Create(
    std::shared_ptr<FileSystem> file_system,
    std::shared_ptr<Connection> connection, const Options& options) {
  std::shared_ptr<WorkerGroup> group(
      new WorkerGroup(std::move(file_system), std::move(connection), options));
  group->end_fd_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!group->end_fd_) return ErrnoStatus(errno, "cannot make an eventfd");
  group->null_fd_.reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!group->null_fd_) return ErrnoStatus(errno, "/dev/null");
  return group;
}

WorkerGroup::WorkerGroup(std::shared_ptr<FileSystem> file_system,
                         std::shared_ptr<Connection> connection,
                         const Options& options)
    : connection_(std::move(connection)),
      options_(options),
      offload_(MakeOffload(file_system, options.offload_threads)),
      overflow_(options.parked == 0
                    ? nullptr
                    : MakeOffload(file_system,
                                  std::max(options.offload_threads, 1u))),
      dispatcher_(std::move(file_system), offload_),
      relay_(options.workers,
             [this](size_t worker) {
               absl::MutexLock lock(&mutex_);
               if (SlotPool* pool = workers_[worker]->pool) pool->Nudge();
             }),
      attendance_(options.workers, [this] {
        absl::MutexLock lock(&mutex_);
        if (SlotPool* pool = workers_.back()->pool) pool->Wake();
      }) {
  connection_->SetOffload(offload_);
}

std::unique_ptr<WorkerGroup::Worker> WorkerGroup::MakeWorker(
    std::shared_ptr<const Device> device, SlotPool* pool,
    std::unique_ptr<Transport> transport) {
  auto worker = std::make_unique<Worker>();
  pool->SetDevice(device);
  worker->device = std::move(device);
  worker->counters = pool->shared_counters();
  worker->transport = std::move(transport);
  worker->pool = pool;
  return worker;
}

absl::Status WorkerGroup::Add(std::shared_ptr<const Device> device) {
  absl::StatusOr<SlotPool*> pool = SlotPool::Create(
      connection_, options_.slots, connection_->terms().max_transfer());
  if (!pool.ok()) return pool.status();
  absl::StatusOr<std::unique_ptr<Transport>> transport =
      MakeTransport(device, *pool);
  if (!transport.ok()) {
    (*pool)->Close();
    return transport.status();
  }
  workers_.push_back(
      MakeWorker(std::move(device), *pool, *std::move(transport)));
  return absl::OkStatus();
}

absl::Status WorkerGroup::AddReserve(std::shared_ptr<const Device> device) {
  absl::StatusOr<SlotPool*> pool = SlotPool::Create(
      connection_, options_.parked, connection_->terms().max_transfer());
  if (!pool.ok()) return pool.status();
  auto reserve =
      std::make_unique<Reserve>(device, *pool, &attendance_, overflow_);
  workers_.push_back(MakeWorker(std::move(device), *pool, std::move(reserve)));
  workers_.back()->is_reserve = true;
  connection_->SetParking(*pool);
  return absl::OkStatus();
}

// The first worker decides what kAuto is, so that all have the same.
absl::StatusOr<std::unique_ptr<Transport>> WorkerGroup::MakeTransport(
    const std::shared_ptr<const Device>& device, SlotPool* pool) {
  const WorkerPlace place{workers_.size(), &attendance_, &relay_};
  TransportKind& kind = options_.transport;
  if (device->is_socket()) {
    kind = TransportKind::kSocket;
  } else if (kind != TransportKind::kDev) {
    absl::StatusOr<std::unique_ptr<Transport>> transport =
        DevUringTransport::Create(device, pool, place, options_.busy_poll);
    if (transport.ok() || kind == TransportKind::kDevUring) {
      kind = TransportKind::kDevUring;
      return transport;
    }
    connection_->Log(LogLevel::kInfo,
                     absl::StrCat(transport.status().message(),
                                  "; using plain read and write instead"));
    kind = TransportKind::kDev;
  }
  return std::make_unique<PollTransport>(device, pool, place,
                                         options_.busy_poll);
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
  const uint32_t unanswered = ClosePool(worker, pool);
  absl::MutexLock lock(&mutex_);
  unanswered_ += unanswered;
  worker.state = State::kEnded;
  --running_;
}

uint32_t WorkerGroup::ClosePool(const Worker& worker, SlotPool* pool) {
  if (worker.is_reserve) connection_->SetParking(nullptr);
  return pool->Close();
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
      ClosePool(*worker, std::exchange(worker->pool, nullptr));
      worker->state = State::kEnded;
    }
  }
  for (const auto& threads : {offload_, overflow_}) {
    if (threads != nullptr) threads->Stop();
  }
}

bool WorkerGroup::AwaitThreads(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  {
    absl::MutexLock lock(&mutex_);
    auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return running_ == 0;
    };
    if (!mutex_.AwaitWithDeadline(absl::Condition(&ended), deadline)) {
      return false;
    }
  }
  for (auto& worker : workers_) worker->thread.Join();
  for (const auto& threads : {offload_, overflow_}) {
    if (threads != nullptr && !threads->AwaitThreads(deadline)) return false;
  }
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

WorkerGroup::Left WorkerGroup::Abandon() {
  Left left;
  for (auto& worker : workers_) {
    bool ended;
    {
      absl::MutexLock lock(&mutex_);
      ended = worker->state == State::kEnded;
      if (!ended && worker->pool != nullptr) {
        (worker->is_reserve ? left.others : left.workers)
            .emplace_back(proto::OperationName(worker->pool->serving()));
      }
    }
    // A thread that has said so is on its last instructions.
    ended ? worker->thread.Join() : worker->thread.Detach();
  }
  for (const auto& threads : {offload_, overflow_}) {
    if (threads == nullptr) continue;
    for (std::string& doing : threads->Abandon()) {
      left.others.push_back(std::move(doing));
    }
  }
  return left;
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
