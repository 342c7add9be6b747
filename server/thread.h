// A thread whose start may fail.
#ifndef BAREFUSE_SERVER_THREAD_H_
#define BAREFUSE_SERVER_THREAD_H_

#include <pthread.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "server/errno_status.h"

namespace barefuse {

// std::thread reports a failure to start by throwing, which this library does
// not do. Must be joined or detached before it goes. Not movable.
class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // Runs `body` on a new thread. At most once.
  absl::Status Start(std::function<void()> body) {
    auto owned = std::make_unique<std::function<void()>>(std::move(body));
    int error = pthread_create(&thread_, nullptr, &Run, owned.get());
    if (error != 0) return ErrnoStatus(error, "cannot start a thread");
    owned.release();  // the thread's
    started_ = true;
    return absl::OkStatus();
  }

  // Lets it run on alone. What it uses must keep itself alive.
  void Detach() {
    if (std::exchange(started_, false)) pthread_detach(thread_);
  }

  // Does nothing where Start failed or was not called.
  void Join() {
    if (std::exchange(started_, false)) pthread_join(thread_, nullptr);
  }

 private:
  static void* Run(void* body) {
    std::unique_ptr<std::function<void()>> owned(
        static_cast<std::function<void()>*>(body));
    (*owned)();
    return nullptr;
  }

  pthread_t thread_{};
  bool started_ = false;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_THREAD_H_
