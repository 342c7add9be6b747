// How one worker's requests come and its replies go.
#ifndef BAREFUSE_SERVER_TRANSPORT_H_
#define BAREFUSE_SERVER_TRANSPORT_H_

#include <atomic>
#include <string>

#include "server/attendance.h"
#include "server/dispatch.h"
#include "server/slot.h"
#include "server/wake_relay.h"

namespace barefuse {

// How requests are read.
enum class TransportKind {
  kAuto,      // kDevUring, or kDev where io_uring is not to be had
  kDevUring,  // /dev/fuse through io_uring
  kDev,       // /dev/fuse by read(2) and writev(2)
  kSocket,    // a socket in its place; what is served says so, not the user
};

// "dev-uring" and the like.
std::string_view TransportText(TransportKind kind);

// Why a session, or a worker of it, came to its end.
struct StopReason {
  enum class Kind {
    kStopped,    // Session::Stop was called
    kUnmounted,  // somebody unmounted it
    kAborted,    // the connection was aborted
    kFailed,     // something that should work did not: `detail` says what
  };
  Kind kind = Kind::kStopped;
  // A sentence for kFailed; otherwise empty, but where handlers did not return.
  std::string detail;
};

// "unmounted" and the like.
std::string_view StopKindText(StopReason::Kind kind);

// A worker among the others of its session.
struct WorkerPlace {
  size_t worker = 0;  // its number
  Attendance* attendance = nullptr;
  WakeRelay* relay = nullptr;
};

// One worker's transport. It reads messages into slots of the pool, hands them
// to the dispatcher and sends what is finished.
class Transport {
 public:
  virtual ~Transport() = default;

  // Serves until the connection ends or `stop` is set and the pool is woken.
  // Sends what has been finished by then. On the worker's own thread, which
  // has been bound to the pool.
  virtual StopReason Run(Dispatcher& dispatcher,
                         const std::atomic<bool>& stop) = 0;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_TRANSPORT_H_
