#include "server/session.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/errno_status.h"
#include "server/handshake.h"

namespace barefuse {
namespace {

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
  if (options.max_pages > 256) {
    return absl::InvalidArgumentError("max_pages must be at most 256");
  }
  if (options.parked_requests > 65536) {
    return absl::InvalidArgumentError("more than 65536 parked requests");
  }
  if (options.offload_threads > 1024) {
    return absl::InvalidArgumentError("more than 1024 offload threads");
  }
  if (options.request_timeout < absl::ZeroDuration() ||
      options.request_timeout > absl::Seconds(0xffff) ||
      options.request_timeout % absl::Seconds(1) != absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "the request timeout must be whole seconds, at most 65535");
  }
  if (options.busy_poll < absl::ZeroDuration() ||
      options.busy_poll > absl::Seconds(1)) {
    return absl::InvalidArgumentError(
        "the busy-poll time must be at most a second");
  }
  if (options.transport == TransportKind::kSocket) {
    return absl::InvalidArgumentError(
        "the socket transport is for a socket, which is recognised");
  }
  if (options.backing_depth > 1) {
    return absl::InvalidArgumentError("the backing depth must be 0 or 1");
  }
  return absl::OkStatus();
}

void UnmountAndSay(class Mount& mount, absl::Time deadline,
                   const LogSink& log) {
  const absl::Duration patience = std::max(deadline - absl::Now(), kLeastTime);
  if (absl::Status status = mount.Unmount(patience); !status.ok()) {
    log(LogLevel::kWarning, std::string(status.message()));
  }
}

}  // namespace

std::optional<int> InheritedDescriptor(std::string_view mountpoint) {
  constexpr std::string_view kPrefix = "/dev/fd/";
  if (!mountpoint.starts_with(kPrefix)) return std::nullopt;
  mountpoint.remove_prefix(kPrefix.size());
  int fd = -1;
  const char* last = mountpoint.data() + mountpoint.size();
  auto [end, error] = std::from_chars(mountpoint.data(), last, fd);
  if (error != std::errc() || end != last || fd < 0) return std::nullopt;
  return fd;
}

Session::Session(std::shared_ptr<FileSystem> file_system,
                 SessionOptions options)
    : file_system_(std::move(file_system)), options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<Session>> Session::Mount(
    std::shared_ptr<FileSystem> file_system, const std::string& mountpoint,
    SessionOptions options) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  if (std::optional<int> fd = InheritedDescriptor(mountpoint)) {
    // What is something else stays open.
    if (absl::Status status = Device::IsSocket(*fd).status(); !status.ok()) {
      return status;
    }
    return Serve(std::move(file_system), UniqueFd(*fd), std::move(options));
  }
  std::unique_ptr<Session> session(
      new Session(std::move(file_system), std::move(options)));
  absl::Status status = session->MountAt(mountpoint);
  if (status.ok()) status = session->Start();
  if (!status.ok()) return status;
  return session;
}

absl::StatusOr<std::unique_ptr<Session>> Session::Serve(
    std::shared_ptr<FileSystem> file_system, UniqueFd device,
    SessionOptions options) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  absl::StatusOr<Device> adopted = Device::Adopt(std::move(device));
  if (!adopted.ok()) return adopted.status();
  return Serve(std::move(file_system), *std::move(adopted), std::move(options));
}

absl::StatusOr<std::unique_ptr<Session>> Session::Serve(
    std::shared_ptr<FileSystem> file_system, Device device,
    SessionOptions options) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  std::unique_ptr<Session> session(
      new Session(std::move(file_system), std::move(options)));
  session->device_ = std::make_shared<const Device>(std::move(device));
  if (absl::Status status = session->Start(); !status.ok()) return status;
  return session;
}

absl::Status Session::MountAt(const std::string& mountpoint) {
  absl::StatusOr<Mounted> mounted =
      Mount::Make(mountpoint, options_.mount, options_.log);
  if (!mounted.ok()) return mounted.status();
  device_ = std::make_shared<const Device>(std::move(mounted->device));
  mount_ = std::make_shared<class Mount>(std::move(mounted->mount));
  aborter_ = mount_->Aborter();
  return absl::OkStatus();
}

absl::Status Session::Start() {
  // Before any worker starts: their buffers and layouts depend on it.
  absl::StatusOr<proto::Negotiated> terms =
      Handshake(*device_, {.wishes = Wishes(),
                           .log = options_.log,
                           .tap = options_.tap,
                           .debug = options_.debug});
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
                                      : ", on one descriptor"));
  }
  return workers_->Start();
}

// A clone of the device for the next worker, or what all share.
std::shared_ptr<const Device> Session::NextDevice() {
  if (!cloned_) return device_;
  absl::StatusOr<Device> clone = device_->Clone();
  if (clone.ok()) return std::make_shared<const Device>(*std::move(clone));
  options_.log(LogLevel::kInfo,
               absl::StrCat(clone.status().message(),
                            "; the workers share one descriptor"));
  cloned_ = false;
  return device_;
}

absl::Status Session::AddWorkers() {
  const uint32_t count =
      options_.workers != 0 ? options_.workers : DefaultWorkers();
  absl::StatusOr<std::shared_ptr<WorkerGroup>> workers =
      WorkerGroup::Create(file_system_, connection_,
                          {.transport = options_.transport,
                           .workers = count,
                           .slots = options_.slots_per_worker,
                           .parked = options_.parked_requests,
                           .offload_threads = options_.offload_threads,
                           .busy_poll = options_.busy_poll});
  if (!workers.ok()) return workers.status();
  workers_ = *std::move(workers);
  cloned_ = options_.clone_device && !device_->is_socket() && count > 1;
  for (uint32_t i = 0; i < count; ++i) {
    // The first worker takes the descriptor that was mounted.
    absl::Status status = workers_->Add(i == 0 ? device_ : NextDevice());
    if (!status.ok()) return status;
  }
  if (options_.parked_requests == 0) return absl::OkStatus();
  return workers_->AddReserve(NextDevice());
}

proto::Wishes Session::Wishes() const {
  proto::Wishes wishes;
  wishes.capabilities = file_system_->WantedCapabilities() |
                        abi::FUSE_ABORT_ERROR | abi::FUSE_REQUEST_TIMEOUT;
  wishes.max_write = options_.max_write;
  wishes.max_pages = options_.max_pages;
  wishes.page_size = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  wishes.max_minor = options_.max_minor;
  wishes.max_readahead = options_.max_readahead;
  wishes.max_background = options_.max_background;
  wishes.congestion_threshold =
      options_.congestion_threshold != 0
          ? options_.congestion_threshold
          : static_cast<uint16_t>(options_.max_background / 4 * 3);
  wishes.backing_depth = options_.backing_depth;
  wishes.request_timeout =
      static_cast<uint16_t>(absl::ToInt64Seconds(options_.request_timeout));
  // Without it INIT would fail.
  if (!options_.mount.default_permissions) {
    wishes.capabilities &= ~abi::FUSE_ALLOW_IDMAP;
  }
  if (wishes.request_timeout == 0) {
    wishes.capabilities &= ~abi::FUSE_REQUEST_TIMEOUT;
  }
  return wishes;
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
    if (workers_->ClaimEnd({StopReason::Kind::kStopped, ""}) &&
        mount_ != nullptr) {
      LeaveMount(&sync, deadline);
    }
    EndWorkers(deadline);
  }
  if (connection_ != nullptr) connection_->Disconnect();
  device_.reset();
  // A notification that waits in the kernel, for a request that nobody will
  // answer now, holds the connection.
  if (aborter_ != nullptr && connection_ != nullptr &&
      !connection_->notifier()->AwaitIdle(absl::Now() + kLeastTime)) {
    aborter_();
  }
  // Unless that is still at it, and owns the mount.
  if (EndSync(&sync) && mount_ != nullptr) {
    UnmountAndSay(*mount_, deadline, options_.log);
  }
  mount_.reset();
  if (connection_ != nullptr) connection_->BeQuiet();
}

// The connection's end has ended it, unless somebody else holds the device, a
// child for instance that has not called exec.
bool Session::EndSync(Sync* sync) {
  if (sync->done == nullptr) return true;
  const bool done = sync->done->WaitForNotificationWithTimeout(kLeastTime);
  done ? sync->thread.Join() : sync->thread.Detach();  // it owns what it uses
  return done;
}

void Session::EndWorkers(absl::Time deadline) {
  workers_->Stop();
  const bool ended =
      workers_->AwaitThreads(std::max(deadline - absl::Now(), kLeastTime));
  WorkerGroup::Left left;
  if (!ended) {
    // A handler may wait for an answer from its own mount, which the end of the
    // connection gives it. Ours is the descriptor that was mounted.
    connection_->Disconnect();
    device_.reset();
    workers_->CutDevices();
    if (!workers_->AwaitThreads(kLeastTime)) left = workers_->Abandon();
  }
  reason_ = workers_->reason();
  if (!left.workers.empty()) {
    absl::StrAppend(&reason_.detail, reason_.detail.empty() ? "" : "; ",
                    left.workers.size(), " of ", workers_->size(),
                    " workers left behind in a handler that did not return: ",
                    absl::StrJoin(left.workers, ", "));
  }
  if (!left.others.empty()) {
    absl::StrAppend(&reason_.detail, reason_.detail.empty() ? "" : "; ",
                    left.others.size(),
                    " threads of the session left behind in a handler that did "
                    "not return: ",
                    absl::StrJoin(left.others, ", "));
  }
  if (!left.workers.empty() || !left.others.empty()) {
    options_.log(LogLevel::kError, reason_.detail);
  }
  if (const uint32_t unanswered = workers_->unanswered(); unanswered != 0) {
    options_.log(LogLevel::kWarning,
                 absl::StrCat(unanswered, " requests were never answered"));
  }
}

// Lets the kernel write back what it holds, which a detached mount with open
// files would never do, and unmounts: of a block device's mount that asks us
// for a last answer too (DESTROY). Bounded in time: a filesystem may not
// answer.
void Session::LeaveMount(Sync* sync, absl::Time deadline) {
  auto done = std::make_shared<absl::Notification>();
  absl::Status started = sync->thread.Start(
      [mount = mount_, connection = connection_, deadline, done] {
        SyncFilesystem(mount->mountpoint());
        // One that waits in the kernel, for a request that is not answered,
        // holds the connection; once the mount is detached nobody can reach it
        // to end it.
        connection->notifier()->Refuse();
        const absl::Time now = absl::Now();
        if (!connection->notifier()->AwaitIdle(now + (deadline - now) / 2)) {
          mount->Aborter()();
        }
        // Not the sink itself, which may be gone if this takes too long.
        UnmountAndSay(*mount, deadline,
                      [&connection](LogLevel level, std::string_view line) {
                        connection->Log(level, line);
                      });
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

Session::~Session() {
  if (workers_ != nullptr) workers_->RequestEnd();
  Teardown();
}

Statistics Session::statistics() const {
  Statistics sum;
  workers_->AddTo(&sum);
  sum.dropped_replies = connection_->dropped_replies();
  sum.interrupts = connection_->interrupts().received();
  sum.detached = connection_->detached();
  sum.notifications = connection_->notifier()->sent();
  sum.refused_notifications = connection_->notifier()->refused();
  const Connection::BackingCounters& backing = *connection_->backing_counters();
  sum.backing_opens = backing.opens.load(std::memory_order_relaxed);
  sum.backing_closes = backing.closes.load(std::memory_order_relaxed);
  sum.passthrough_opens =
      backing.passthrough_opens.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace barefuse
