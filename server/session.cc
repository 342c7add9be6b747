#include "server/session.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/describe.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(30);
// What each step of the end gets, however much of the time the ones before
// took.
constexpr absl::Duration kLeastTime = absl::Milliseconds(500);

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
    : file_system_(std::move(file_system)), options_(std::move(options)) {}

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
  absl::StatusOr<Mounted> mounted =
      Mount::Make(mountpoint, options_.mount, options_.log);
  if (!mounted.ok()) return mounted.status();
  device_ = std::make_shared<const Device>(std::move(mounted->device));
  mount_.emplace(std::move(mounted->mount));

  absl::StatusOr<proto::Negotiated> terms = Handshake(*device_);
  if (!terms.ok()) return terms.status();
  connection_ = std::make_shared<Connection>(device_, *terms, options_.log,
                                             options_.debug, options_.tap);
  file_system_->Init(*connection_);

  if (absl::Status status = AddWorkers(); !status.ok()) return status;
  if (options_.debug) {
    options_.log(LogLevel::kDebug,
                 absl::StrCat(workers_->size(), " workers, transport ",
                              ToAbsl(TransportText(transport())),
                              cloned_ ? ", each with a device of its own"
                                      : ", on one device"));
  }
  return workers_->Start();
}

absl::Status Session::AddWorkers() {
  const uint32_t count =
      options_.workers != 0 ? options_.workers : DefaultWorkers();
  absl::StatusOr<std::shared_ptr<WorkerGroup>> workers =
      WorkerGroup::Create(file_system_, connection_, options_.transport, count,
                          options_.slots_per_worker);
  if (!workers.ok()) return workers.status();
  workers_ = *std::move(workers);
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
    if (absl::Status status = workers_->Add(std::move(own)); !status.ok()) {
      return status;
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

void Session::Stop() { workers_->RequestEnd(); }

StopReason Session::Wait() {
  workers_->AwaitEnd();
  Teardown();
  return reason_;
}

void Session::Teardown() {
  absl::MutexLock wait_lock(&wait_mutex_);
  if (std::exchange(torn_down_, true)) return;
  const absl::Time deadline = absl::Now() + options_.stop_timeout;
  Sync sync;
  if (workers_ != nullptr) {
    // While the workers still serve, so that the kernel can write back and ask
    // what it has to. Where they do not, it would ask for ever: the connection
    // has to go first then.
    if (workers_->ClaimEnd({StopReason::Kind::kStopped, ""})) {
      SyncMount(&sync, deadline);
      Unmount();
    }
    EndWorkers(deadline);
  }
  if (connection_ != nullptr) connection_->Disconnect();
  device_.reset();
  EndSync(&sync);
  Unmount();
  if (connection_ != nullptr) connection_->BeQuiet();
}

// The connection's end has ended it, unless somebody else holds the device, a
// child for instance that has not called exec.
void Session::EndSync(Sync* sync) {
  if (sync->done == nullptr) return;
  if (sync->done->WaitForNotificationWithTimeout(kLeastTime)) {
    sync->thread.Join();
  } else {
    sync->thread.Detach();  // it owns what it uses
  }
}

void Session::EndWorkers(absl::Time deadline) {
  workers_->Stop();
  const bool ended =
      workers_->AwaitThreads(std::max(deadline - absl::Now(), kLeastTime));
  std::vector<std::string> left;
  if (!ended) {
    // A handler may wait for an answer from its own mount, which the end of the
    // connection gives it. Ours is the descriptor that was mounted.
    connection_->Disconnect();
    device_.reset();
    workers_->CutDevices();
    if (!workers_->AwaitThreads(kLeastTime)) left = workers_->Abandon();
  }
  reason_ = workers_->reason();
  if (!left.empty()) {
    absl::StrAppend(&reason_.detail, reason_.detail.empty() ? "" : "; ",
                    left.size(), " of ", workers_->size(),
                    " workers left behind in a handler that did not return: ",
                    absl::StrJoin(left, ", "));
    options_.log(LogLevel::kError, reason_.detail);
  }
  if (const uint32_t unanswered = workers_->unanswered(); unanswered != 0) {
    options_.log(LogLevel::kWarning,
                 absl::StrCat(unanswered, " requests were never answered"));
  }
}

// Lets the kernel write back what it holds, which a detached mount with open
// files would never do. Bounded in time: a filesystem may not answer.
void Session::SyncMount(Sync* sync, absl::Time deadline) {
  auto done = std::make_shared<absl::Notification>();
  absl::Status started =
      sync->thread.Start([path = mount_->mountpoint(), done] {
        SyncFilesystem(path);
        done->Notify();
      });
  if (!started.ok()) return;
  sync->done = done;
  if (!done->WaitForNotificationWithDeadline(deadline)) {
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
  if (workers_ != nullptr) workers_->RequestEnd();
  Teardown();
}

Statistics Session::statistics() const {
  Statistics sum;
  workers_->AddTo(&sum);
  sum.dropped_replies = connection_->dropped_replies();
  const Connection::BackingCounters& backing = *connection_->backing_counters();
  sum.backing_opens = backing.opens.load(std::memory_order_relaxed);
  sum.backing_closes = backing.closes.load(std::memory_order_relaxed);
  sum.passthrough_opens =
      backing.passthrough_opens.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace barefuse
