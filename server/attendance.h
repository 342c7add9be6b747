// Who of a session's workers can take the next request.
//
// A worker that is in a handler, or all of whose slots are taken, takes none.
// Where that goes for all of them, and for longer than a moment, the reserve
// (server/reserve.h) reads in their place. This is how it learns of it: workers
// write down what they do, which costs them next to nothing, and the reserve
// looks at it from time to time while requests come, and not at all while none
// do.
#ifndef BAREFUSE_SERVER_ATTENDANCE_H_
#define BAREFUSE_SERVER_ATTENDANCE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace barefuse {

// One for all workers of a session, each with a number below `workers`.
class Attendance {
 public:
  enum class Reserve : uint32_t {
    kNone,      // there is no reserve
    kAsleep,    // to be woken by the first request
    kWatching,  // looks at the workers from time to time
    kReading,   // reads in their place, until one of them can
  };
  enum class View {
    kIdle,    // somebody waits for a request, and nobody has moved since
    kActive,  // somebody has moved since the last look
    kStuck,   // nobody can take a request, nor could at the last look
  };

  // `wake` wakes the reserve; called from any worker.
  Attendance(size_t workers, std::function<void()> wake)
      : workers_(workers),
        places_(new Place[workers]),
        // What no worker says: at the first look all have moved.
        seen_(workers, ~0u),
        wake_(std::move(wake)) {}

  // --- A worker's thread ---

  // It has taken a request and is about to serve it.
  void Busy(size_t worker) {
    Say(worker, Moved(worker));
    if (reserve_.load(std::memory_order_seq_cst) == Reserve::kAsleep) {
      Call(Reserve::kAsleep);
    }
  }
  // It is about to wait, `reading` or for a slot to become free.
  void Waits(size_t worker, bool reading) {
    if (!reading) return Say(worker, Moved(worker));
    Say(worker, places_[worker].state.load(std::memory_order_relaxed) | 1);
    if (reserve_.load(std::memory_order_seq_cst) == Reserve::kReading) {
      Call(Reserve::kReading);
    }
  }

  // --- The reserve's thread ---

  View Look() {
    bool moved = false;
    size_t reading = 0;
    for (size_t i = 0; i < workers_; ++i) {
      const uint32_t state = places_[i].state.load(std::memory_order_seq_cst);
      moved |= std::exchange(seen_[i], state) != state;
      reading += state & 1;
    }
    if (moved) return View::kActive;
    return reading == 0 ? View::kStuck : View::kIdle;
  }
  // What the reserve does from now on. A worker that moves afterwards sees it;
  // for those that have moved before, look again.
  void SetReserve(Reserve reserve) {
    reserve_.store(reserve, std::memory_order_seq_cst);
  }
  Reserve reserve() const { return reserve_.load(std::memory_order_seq_cst); }

 private:
  // On a line of its own: each worker writes one for each request.
  struct alignas(64) Place {
    // A count of what the worker has done, and as the lowest bit whether it
    // waits for a request.
    std::atomic<uint32_t> state{0};
  };

  uint32_t Moved(size_t worker) const {
    const uint32_t state =
        places_[worker].state.load(std::memory_order_relaxed);
    return (state + 2) & ~1u;
  }
  void Say(size_t worker, uint32_t state) {
    // In one order with reserve_: either the reserve sees this, or we see it.
    places_[worker].state.store(state, std::memory_order_seq_cst);
  }
  void Call(Reserve from) {
    if (reserve_.compare_exchange_strong(from, Reserve::kWatching,
                                         std::memory_order_seq_cst)) {
      wake_();
    }
  }

  const size_t workers_;
  const std::unique_ptr<Place[]> places_;
  std::vector<uint32_t> seen_;  // the reserve's
  const std::function<void()> wake_;
  std::atomic<Reserve> reserve_{Reserve::kNone};
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_ATTENDANCE_H_
