#include "server/session.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/describe.h"
#include "server/dev_uring_transport.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(30);

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

uint32_t DefaultWorkers() {
  return std::clamp(2 * std::thread::hardware_concurrency(), 2u, 8u);
}

absl::Status Check(const SessionOptions& options) {
  if (options.workers > 1024) {
    return absl::InvalidArgumentError("more than 1024 workers");
  }
  if (options.slots_per_worker < 2 || options.slots_per_worker > 4096) {
    return absl::InvalidArgumentError("slots per worker must be 2 .. 4096");
  }
  if (options.max_write < 4096 || options.max_write > 1 << 20) {
    return absl::InvalidArgumentError("max_write must be 4096 .. 1048576");
  }
  if (options.max_minor < 1 ||
      options.max_minor > abi::FUSE_KERNEL_MINOR_VERSION) {
    return absl::InvalidArgumentError("max_minor must be 1 .. 45");
  }
  if (options.backing_depth > 1) {
    return absl::InvalidArgumentError("the backing depth must be 0 or 1");
  }
  return absl::OkStatus();
}

// What became of each wish. Two that exclude each other are a mistake of the
// filesystem's, which everybody is told; the rest is for debugging.
void LogTerms(const proto::Negotiated& terms, const LogSink& log, bool debug) {
  for (const proto::Capability& capability : proto::Capabilities()) {
    const proto::Verdict verdict = terms.VerdictOf(capability.flag);
    const bool excluded = verdict == proto::Verdict::kExcluded;
    if (verdict == proto::Verdict::kNotWanted || (!excluded && !debug)) {
      continue;
    }
    log(excluded ? LogLevel::kWarning : LogLevel::kDebug,
        absl::StrCat("INIT ", ToAbsl(capability.name), ": ",
                     ToAbsl(proto::VerdictText(verdict))));
  }
}

}  // namespace

Session::Session(std::shared_ptr<FileSystem> file_system,
                 SessionOptions options)
    : file_system_(std::move(file_system)),
      options_(std::move(options)),
      dispatcher_(file_system_) {}

absl::StatusOr<std::unique_ptr<Session>> Session::Mount(
    std::shared_ptr<FileSystem> file_system, const std::string& mountpoint,
    SessionOptions options) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  std::unique_ptr<Session> session(
      new Session(std::move(file_system), std::move(options)));
  if (absl::Status status = session->Start(mountpoint); !status.ok()) {
    return status;
  }
  return session;
}

absl::Status Session::Start(const std::string& mountpoint) {
  done_fd_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!done_fd_) return ErrnoStatus(errno, "cannot make an eventfd");
  absl::StatusOr<Device> device = Device::Open();
  if (!device.ok()) return device.status();
  device_ = std::make_shared<const Device>(*std::move(device));

  absl::StatusOr<class Mount> mount =
      Mount::Make(*device_, mountpoint, options_.mount, options_.log);
  if (!mount.ok()) return mount.status();
  mount_.emplace(*std::move(mount));

  absl::StatusOr<proto::Negotiated> terms = Handshake(*device_);
  if (!terms.ok()) return terms.status();
  connection_ = std::make_shared<Connection>(device_, *terms, options_.log,
                                             options_.debug, options_.tap);
  file_system_->Init(*connection_);

  const uint32_t count =
      options_.workers != 0 ? options_.workers : DefaultWorkers();
  relay_.emplace(count,
                 [this](size_t worker) { workers_[worker]->pool->Nudge(); });
  cloned_ = options_.clone_device && count > 1;
  for (uint32_t i = 0; i < count; ++i) {
    std::shared_ptr<const Device> own = device_;
    // The first worker takes the descriptor that was mounted.
    if (cloned_ && i > 0) {
      absl::StatusOr<Device> clone = device_->Clone();
      if (clone.ok()) {
        own = std::make_shared<const Device>(*std::move(clone));
      } else {
        options_.log(LogLevel::kInfo,
                     absl::StrCat(clone.status().message(),
                                  "; the workers share one descriptor"));
        cloned_ = false;
      }
    }
    if (absl::Status status = AddWorker(std::move(own)); !status.ok()) {
      return status;
    }
  }
  return StartWorkers();
}

absl::Status Session::StartWorkers() {
  for (auto& worker : workers_) {
    {
      absl::MutexLock lock(&mutex_);
      ++running_;
    }
    absl::Status status =
        worker->thread.Start([this, w = worker.get()] { RunWorker(*w); });
    if (!status.ok()) {
      absl::MutexLock lock(&mutex_);
      --running_;
      return status;  // the destructor ends those that run
    }
  }
  return absl::OkStatus();
}

// The first exchange is read and answered here, before any worker starts: the
// workers' buffers and layouts depend on it.
absl::StatusOr<proto::Negotiated> Session::Handshake(const Device& device) {
  proto::Wishes wishes;
  wishes.capabilities =
      file_system_->WantedCapabilities() | abi::FUSE_ABORT_ERROR;
  wishes.max_write = options_.max_write;
  wishes.page_size = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  wishes.max_minor = options_.max_minor;
  wishes.max_readahead = options_.max_readahead;
  wishes.max_background = options_.max_background;
  wishes.congestion_threshold =
      static_cast<uint16_t>(options_.max_background / 4 * 3);
  wishes.backing_depth = options_.backing_depth;

  // Before INIT the kernel asks for the smallest buffer and one write.
  std::vector<std::byte> buffer(abi::FUSE_MIN_READ_BUFFER + (1 << 20));
  for (;;) {
    absl::StatusOr<size_t> size = device.Read(buffer, kHandshakeTimeout);
    if (!size.ok()) return size.status();
    proto::Request request;
    proto::DecodeError error = proto::DecodeRequest(
        proto::Bytes(buffer).first(*size), proto::Dialect{}, &request);
    const auto* init = std::get_if<proto::Init>(&request.operation);
    if (!error.ok() || init == nullptr) {
      return absl::InternalError(absl::StrCat(
          "the kernel's first request is no INIT: ",
          error.ok() ? ToAbsl(proto::OperationName(request.header.opcode))
                     : ToAbsl(proto::FaultText(error.fault))));
    }
    proto::Negotiated terms = proto::Negotiate(*init, wishes);
    proto::ReplyHead head;
    if (terms.outcome == proto::InitOutcome::kRejected) {
      head.FinishError(request.header.unique, EPROTO);
    } else {
      head.Encode(terms.dialect, terms.reply);
      head.Finish(request.header.unique, 0);
    }
    if (options_.debug) {
      char line[2048];
      options_.log(LogLevel::kDebug, proto::DescribeRequest(request, line));
      proto::ReplyMessage reply;
      proto::DecodeReply(head.bytes(), {abi::FUSE_INIT, 0}, terms.dialect,
                         &reply)
          .ok();
      options_.log(LogLevel::kDebug,
                   proto::DescribeReply(abi::FUSE_INIT, reply, line));
    }
    if (terms.outcome == proto::InitOutcome::kAgreed) {
      LogTerms(terms, options_.log, options_.debug);
    }
    if (options_.tap) {
      options_.tap(Direction::kFromKernel, proto::Bytes(buffer).first(*size),
                   {});
      options_.tap(Direction::kToKernel, head.bytes(), {});
    }
    if (absl::Status status = device.Write(head.bytes()); !status.ok()) {
      return status;
    }
    switch (terms.outcome) {
      case proto::InitOutcome::kAgreed:
        return terms;
      case proto::InitOutcome::kTryAgain:
        continue;
      case proto::InitOutcome::kRejected:
        return absl::FailedPreconditionError(
            absl::StrCat("the kernel speaks FUSE ", init->major, ".",
                         init->minor, ", which is older than 7.1"));
    }
  }
}

absl::Status Session::AddWorker(std::shared_ptr<const Device> device) {
  absl::StatusOr<SlotPool*> pool =
      SlotPool::Create(connection_, options_.slots_per_worker,
                       connection_->terms().max_transfer());
  if (!pool.ok()) return pool.status();
  auto worker = std::make_unique<Worker>();
  worker->pool = *pool;
  worker->counters = (*pool)->shared_counters();
  absl::StatusOr<std::unique_ptr<Transport>> transport =
      DevUringTransport::Create(std::move(device), *pool, &*relay_,
                                workers_.size());
  if (!transport.ok()) {
    (*pool)->Close();
    return transport.status();
  }
  worker->transport = *std::move(transport);
  workers_.push_back(std::move(worker));
  return absl::OkStatus();
}

void Session::RunWorker(Worker& worker) {
  worker.pool->BindToThread();
  StopReason reason = worker.transport->Run(dispatcher_, stop_workers_);
  worker.pool->Unbind();
  {
    absl::MutexLock lock(&mutex_);
    // Stopping workers is how any end is carried to the others, so what they
    // say of it counts only where nobody has said better.
    if (!reason_.has_value() || (reason_->kind == StopReason::Kind::kStopped &&
                                 reason.kind == StopReason::Kind::kFailed)) {
      reason_ = std::move(reason);
    }
  }
  StopWorkers();
  SignalDone();
  absl::MutexLock lock(&mutex_);
  --running_;
}

void Session::StopWorkers() {
  if (stop_workers_.exchange(true, std::memory_order_acq_rel)) return;
  for (auto& worker : workers_) worker->pool->Wake();
}

void Session::SignalDone() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(done_fd_.get(), &one, sizeof one);
}

void Session::Stop() {
  absl::MutexLock lock(&mutex_);
  if (stop_requested_) return;
  stop_requested_ = true;
  SignalDone();
}

StopReason Session::Wait() {
  {
    absl::MutexLock lock(&mutex_);
    auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return stop_requested_ || reason_.has_value();
    };
    mutex_.Await(absl::Condition(&ended));
  }
  Teardown();
  absl::MutexLock lock(&mutex_);
  return reason_.value_or(StopReason{});
}

void Session::Teardown() {
  absl::MutexLock wait_lock(&wait_mutex_);
  if (std::exchange(torn_down_, true)) return;
  bool served = false;
  {
    absl::MutexLock lock(&mutex_);
    served = running_ != 0 && !reason_.has_value();
    if (served) reason_ = StopReason{StopReason::Kind::kStopped, ""};
  }
  // While the workers still serve, so that the kernel can write back and ask
  // what it has to. Where they do not, it would ask for ever: the connection
  // has to go first then.
  Thread sync;
  if (served) {
    SyncMount(&sync);
    Unmount();
  }
  StopWorkers();
  // All threads before any pool: the one that ends first wakes the others.
  for (auto& worker : workers_) worker->thread.Join();
  uint32_t orphans = 0;
  for (auto& worker : workers_) {
    worker->transport.reset();
    orphans += worker->pool->Close();
    worker->pool = nullptr;
  }
  if (orphans != 0) {
    options_.log(LogLevel::kWarning,
                 absl::StrCat(orphans, " requests were never answered"));
  }
  if (connection_ != nullptr) connection_->Disconnect();
  device_.reset();
  sync.Join();  // the connection's end has ended it
  Unmount();
}

// Lets the kernel write back what it holds, which a detached mount with open
// files would never do. Bounded in time: a filesystem may not answer.
void Session::SyncMount(Thread* thread) {
  constexpr absl::Duration kMost = absl::Seconds(5);
  auto synced = std::make_shared<absl::Notification>();
  absl::Status started = thread->Start([path = mount_->mountpoint(), synced] {
    SyncFilesystem(path);
    synced->Notify();
  });
  if (started.ok() && !synced->WaitForNotificationWithTimeout(kMost)) {
    options_.log(LogLevel::kWarning,
                 "the filesystem took too long to write back; what it has not "
                 "taken by now is lost");
  }
}

void Session::Unmount() {
  if (!mount_.has_value()) return;
  if (absl::Status status = mount_->Unmount(); !status.ok()) {
    options_.log(LogLevel::kWarning, std::string(status.message()));
  }
}

Session::~Session() {
  Stop();
  Teardown();
}

Statistics Session::statistics() const {
  Statistics sum;
  for (const auto& worker : workers_) worker->counters->AddTo(&sum);
  sum.dropped_replies = connection_->dropped_replies();
  const Connection::BackingCounters& backing = *connection_->backing_counters();
  sum.backing_opens = backing.opens.load(std::memory_order_relaxed);
  sum.backing_closes = backing.closes.load(std::memory_order_relaxed);
  sum.passthrough_opens =
      backing.passthrough_opens.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace barefuse
