// Notifications: what a filesystem tells the kernel unasked.
//
// Each function gives 0 or a positive errno, the kernel's or one of these:
//   EOPNOTSUPP  the agreed version, or a capability that it takes, lacks it
//   EINVAL      the arguments cannot be sent (a name with a slash, a size of
//               0 or above what a message carries)
//   ENODEV      the session has ended
// and may be called from any thread, also while the session starts. The call
// is a write(2) and returns when the kernel is done.
//
// Where that waits for a lock which a request under way holds, the handler of
// that request must not call it, nor wait for who does: the request waits for
// the handler, the handler for the lock. Said of each. Those may be called from
// anywhere where nothing is said.
//
// A notification that waits for a request which no handler answers holds the
// connection. When the session ends it is ended with it, by aborting the mount;
// where that may not be done (an ordinary user's mount, a served descriptor) it
// waits until the connection is ended from outside.
//
// ENOENT says that the kernel does not know the node or the name: there was
// nothing to do.
#ifndef BAREFUSE_SERVER_NOTIFIER_H_
#define BAREFUSE_SERVER_NOTIFIER_H_

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/negotiation.h"
#include "proto/notifications.h"
#include "server/device.h"
#include "server/observers.h"

namespace barefuse {

// Held by shared ownership: Connection::notifier(). May outlive its session.
class Notifier {
 public:
  // What RETRIEVE brings: 0 and bytes of the page cache from `offset` on, which
  // are valid during the call, fewer than asked for where the cache has fewer;
  // or ENODEV where the session ended first. Called exactly once, on a thread
  // of the session.
  using Retrieved = std::function<void(int error, uint64_t offset,
                                       std::span<const std::byte> data)>;
  // RETRIEVEs that may be under way at a time; one more gives EAGAIN.
  static constexpr size_t kMostRetrievals = 1024;

  // For the core.
  Notifier(std::shared_ptr<const Device> device, const proto::Negotiated& terms,
           std::shared_ptr<const Observers> observers)
      : device_(std::move(device)),
        terms_(terms),
        observers_(std::move(observers)) {}

  // The attributes of `node` have changed, and `length` bytes of its data from
  // `offset` on (0: to the end); a negative offset leaves the data alone. Dirty
  // pages are written back first. Takes the locks of pages: not from a handler
  // of Read, or of Write from the page cache, on the node. 7.12.
  int InvalInode(uint64_t node, int64_t offset, int64_t length);

  // `name` in `parent` has changed its meaning: it is forgotten. Takes the lock
  // of the directory: not from a handler of an operation on names in `parent`
  // (Lookup, Create, Unlink, Rename, ...) or of Readdir there. 7.12.
  int InvalEntry(uint64_t parent, std::string_view name);

  // The same, but what is there stays usable (a mount on it stays) and is
  // looked up again. Takes the same lock. Takes FUSE_HAS_EXPIRE_ONLY. 7.38.
  int ExpireEntry(uint64_t parent, std::string_view name);

  // `name` in `parent`, which was `child`, has been removed; who watches the
  // file (inotify) is told. ENOTEMPTY where something below is in use; what is
  // mounted there is detached. Takes the locks of directory and child. 7.18.
  int Delete(uint64_t parent, uint64_t child, std::string_view name);

  // Puts `data` into the page cache of `node`, and extends its size if it must.
  // At most max_write bytes at a time. Takes the locks of pages, like
  // InvalInode. 7.15.
  int Store(uint64_t node, uint64_t offset, std::span<const std::byte> data);

  // Asks for what the page cache has of `node`: at most `size` bytes from
  // `offset` on, as many as max_write allows. 0: `done` will be called. Else it
  // is not. 7.15.
  int Retrieve(uint64_t node, uint64_t offset, uint32_t size, Retrieved done);

  // A file that was polled with this handle (`kh` of POLL) has become ready.
  // A handle that nobody polls any more does nothing. 7.11.
  int PollWakeup(uint64_t kh);

  // Asks for all requests again that have no reply yet. Handlers will see them
  // a second time: for a server that has lost them. Takes FUSE_HAS_RESEND.
  // 7.40.
  int Resend();

  // All names that are cached by now are to be looked up again. 7.44.
  int IncEpoch();

  // The kernel need not remember these nodes if nobody uses them; what it lets
  // go comes as Forget. 7.45.
  int Prune(std::span<const uint64_t> nodes);

  // --- For the core ---

  // The answer to a RETRIEVE of this number. One that was not asked for is
  // passed over.
  void OnReply(uint64_t unique, const proto::NotifyReply& reply);
  // The session has ended.
  void Close();
  // None goes out any more: ENODEV.
  void Refuse();
  // Waits until no notification is under way. False at the deadline.
  bool AwaitIdle(absl::Time deadline);
  uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  int Send(const proto::AnyNotification& notification, uint64_t capability,
           std::span<const std::byte> data = {});
  Retrieved TakeRetrieval(uint64_t unique);

  absl::Mutex mutex_;
  std::shared_ptr<const Device> device_ ABSL_GUARDED_BY(mutex_);
  bool refusing_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_unique_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Retrieved> retrievals_ ABSL_GUARDED_BY(mutex_);
  const proto::Negotiated terms_;
  const std::shared_ptr<const Observers> observers_;
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> refused_{0};
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_NOTIFIER_H_
