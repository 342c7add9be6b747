// Who looks on while a session works: its log and its tap.
#ifndef BAREFUSE_SERVER_OBSERVERS_H_
#define BAREFUSE_SERVER_OBSERVERS_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/log.h"
#include "server/message_tap.h"

namespace barefuse {

// Shared by all that may still have something to say when the session ends.
// Any thread.
class Observers {
 public:
  Observers(LogSink log, MessageTap tap)
      : log_(std::move(log)), tap_(std::move(tap)) {}

  void Log(LogLevel level, std::string_view line) const {
    absl::ReaderMutexLock lock(&mutex_);
    if (!quiet_) log_(level, line);
  }
  // Shows a message to whoever looks.
  void Tap(Direction direction, std::span<const std::byte> head,
           std::span<const std::byte> data) const {
    if (!tap_) return;
    absl::ReaderMutexLock lock(&mutex_);
    if (!quiet_) tap_(direction, head, data);
  }
  // Waits until log and tap are in nobody's hands; they are not called from
  // then on, and what they need may go.
  void BeQuiet() {
    absl::MutexLock lock(&mutex_);
    quiet_ = true;
  }

 private:
  const LogSink log_;
  const MessageTap tap_;
  mutable absl::Mutex mutex_;
  bool quiet_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_OBSERVERS_H_
