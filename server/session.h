// A mounted filesystem: the object that an embedder holds.
//
//   auto session = Session::Mount(std::make_shared<MyFs>(), "/mnt", {});
//   if (!session.ok()) { ... session.status().message() ... }
//   StopReason why = (*session)->Wait();
//
// Nothing here is global: several sessions live in one process, and no signal
// handler is taken.
#ifndef BAREFUSE_SERVER_SESSION_H_
#define BAREFUSE_SERVER_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "server/device.h"
#include "server/file_system.h"
#include "server/log.h"
#include "server/mount.h"
#include "server/statistics.h"
#include "server/thread.h"
#include "server/transport.h"
#include "server/unique_fd.h"
#include "server/worker_group.h"

namespace barefuse {

struct SessionOptions {
  MountOptions mount{};

  // Threads that serve requests, each with a ring of its own. 0 is the
  // default: twice the cores, between 2 and 8, since handlers may block.
  uint32_t workers = 0;
  // kAuto says so in the log where it cannot have io_uring.
  TransportKind transport = TransportKind::kAuto;
  // Whether each worker reads through its own clone of the device. Where a
  // clone is refused they share one, which is slower with many clients.
  bool clone_device = true;
  // Requests that one worker can have under way, 2 .. 4096. Each reserves
  // twice max_write of address space; memory is used as far as messages fill
  // it.
  uint32_t slots_per_worker = 16;

  // Threads for handlers that may block (FileSystem::ExecutionOf), 0 .. 1024,
  // started when they are needed; what is more waits in its worker's slot. As
  // many again serve what the reserve has read, one at least. 0: such handlers
  // block their worker.
  uint32_t offload_threads = 8;
  // Requests that may be under way beside those in the workers' slots: those
  // that have been detached (ReplyBase::Detach), and those that are read in
  // reserve because every worker is in a handler or has all its slots taken.
  // With all of these taken as well nothing is read until a reply is given,
  // INTERRUPTs and FORGETs included; the session's end needs no slot. Address
  // space like slots. 0: no reserve, and no thread but the workers' calls the
  // filesystem, if offload_threads is 0 too.
  uint32_t parked_requests = 256;
  // How long a worker that has served a request looks for the next one before
  // it sleeps, at most a second. It costs processor time for latency: worth it
  // for one busy client and an idle core. An idle session costs nothing.
  absl::Duration busy_poll = absl::ZeroDuration();

  // What INIT asks for, beside FileSystem::WantedCapabilities().
  // The newest minor version to speak, 1 .. 45. Lower than the newest only to
  // test what an older one does.
  uint32_t max_minor = abi::FUSE_KERNEL_MINOR_VERSION;
  uint32_t max_write = 1 << 20;  // bytes, 4 KiB .. 1 MiB
  // Pages of one request, at most 256; 0: as many as max_write takes. Lowers
  // max_write where it is too small for it.
  uint16_t max_pages = 0;
  uint32_t max_readahead = ~0u;  // bytes
  // Requests that the kernel has under way on nobody's behalf (readahead,
  // writing back), and from how many on it takes the device to be congested
  // (0: three quarters).
  uint16_t max_background = 64;
  uint16_t congestion_threshold = 0;
  // Whole seconds after which the kernel, where a request has no answer, aborts
  // the whole connection; it rounds up to 15 at least. 0: it waits for ever. A
  // lock that is waited for counts too. 7.43.
  absl::Duration request_timeout = absl::ZeroDuration();
  // Depth of the filesystems that backing files are on: 0, not stacked; 1,
  // they may be on overlayfs or another passthrough mount, and then nothing
  // can be stacked above this one. The kernel is told depth + 1.
  uint32_t backing_depth = 0;

  // How long the end may take while handlers are still busy. The time is for
  // writing back, then for handlers to return; what has not returned by then is
  // left behind.
  absl::Duration stop_timeout = absl::Seconds(5);

  LogSink log = LogToStderr;
  bool debug = false;        // log every request and reply
  MessageTap tap = nullptr;  // sees every message, those of INIT too
};

// The number of a descriptor that `mountpoint` names as "/dev/fd/N": by
// convention a connection that exists already, and no place.
std::optional<int> InheritedDescriptor(std::string_view mountpoint);

class Session {
 public:
  // Mounts `file_system` at `mountpoint` and starts to serve it. On a failure
  // nothing is left mounted, and the message is a sentence for the user. Users
  // other than root need fusermount3; see Mount::Make. "/dev/fd/N" is no
  // mountpoint but an inherited descriptor, which is taken over as Serve does.
  static absl::StatusOr<std::unique_ptr<Session>> Mount(
      std::shared_ptr<FileSystem> file_system, const std::string& mountpoint,
      SessionOptions options);

  // Serves a connection that exists already: a FUSE device that somebody has
  // mounted and whose INIT has not been answered, or a SOCK_SEQPACKET socket
  // whose other end sends requests and takes replies, one in a message. The end
  // leaves the mount to whoever made it, with its connection ended.
  static absl::StatusOr<std::unique_ptr<Session>> Serve(
      std::shared_ptr<FileSystem> file_system, UniqueFd device,
      SessionOptions options);
  static absl::StatusOr<std::unique_ptr<Session>> Serve(
      std::shared_ptr<FileSystem> file_system, Device device,
      SessionOptions options);

  // Stops and waits.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Asks for the end and returns at once; Wait does the work. Any thread,
  // handlers included.
  void Stop();

  // Blocks until the session ends: by Stop, by an unmount from outside, by an
  // abort or a failure. Then everything is unmounted and every thread of the
  // session has ended, but for those whose handlers have not returned within
  // stop_timeout: their connection is cut, the reason's detail names what they
  // were doing, and they, the filesystem and what they hold live on until they
  // return. Not from a handler. May be called again, and gives the same again.
  StopReason Wait();

  // Becomes readable (poll(2)) once the session has been stopped or has begun
  // to end by itself: Wait then has only handlers that still run to wait for.
  // For event loops; do not read it. Valid as long as the session.
  int done_fd() const { return workers_->end_fd(); }

  // Any thread, at any time.
  Statistics statistics() const;
  const proto::Negotiated& terms() const { return connection_->terms(); }
  Connection& connection() { return *connection_; }
  uint32_t workers() const { return workers_->size(); }
  // How they read, never kAuto.
  TransportKind transport() const { return workers_->transport(); }
  // Whether the workers read through clones of the device.
  bool cloned() const { return cloned_; }

 private:
  Session(std::shared_ptr<FileSystem> file_system, SessionOptions options);

  absl::Status MountAt(const std::string& mountpoint);
  absl::Status Start();
  proto::Wishes Wishes() const;
  std::shared_ptr<const Device> NextDevice();
  absl::Status AddWorkers();
  void Teardown();
  void EndWorkers(absl::Time deadline);
  // Writing back and unmounting, on a thread that may take too long.
  struct Sync {
    Thread thread;
    std::shared_ptr<absl::Notification> done;  // nullptr: not begun
  };
  void LeaveMount(Sync* sync, absl::Time deadline);
  static bool EndSync(Sync* sync);

  std::shared_ptr<FileSystem> file_system_;
  const SessionOptions options_;
  std::shared_ptr<const Device> device_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<class Mount> mount_;  // nullptr where it is not ours
  std::function<void()> aborter_;       // the mount's
  std::shared_ptr<WorkerGroup> workers_;
  bool cloned_ = false;

  absl::Mutex wait_mutex_;
  bool torn_down_ ABSL_GUARDED_BY(wait_mutex_) = false;
  // Set with torn_down_, and never changed afterwards.
  StopReason reason_;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_SESSION_H_
