#include "server/reserve.h"

namespace barefuse {

using Mode = Attendance::Reserve;

PollTransport::Plan Reserve::NextWait(Dispatcher&, const std::atomic<bool>&) {
  const Clock::time_point now = Clock::now();
  Mode mode = attendance_->reserve();
  if (mode == Mode::kReading) {
    // Until a worker moves, which then says so.
    return {.read = pool()->has_free()};
  }
  if (mode == Mode::kNone || now >= look_at_) {
    switch (attendance_->Look()) {
      case Attendance::View::kStuck:
        mode = Mode::kReading;
        break;
      case Attendance::View::kIdle:
        mode = Mode::kAsleep;
        break;
      case Attendance::View::kActive:
        mode = Mode::kWatching;
        break;
    }
    attendance_->SetReserve(mode);
    // A worker that moved between the look and the word saw the old word.
    if (mode != Mode::kWatching &&
        attendance_->Look() == Attendance::View::kActive) {
      mode = Mode::kWatching;
      attendance_->SetReserve(mode);
    }
    look_at_ = now + std::chrono::milliseconds(kTick);
  }
  switch (mode) {
    case Mode::kReading:
      return {.read = pool()->has_free()};
    case Mode::kAsleep:
      look_at_ = {};
      return {.read = false, .watch = false};
    default:
      return {.read = false,
              .watch = false,
              .timeout =
                  1 + static_cast<int>(
                          std::chrono::duration_cast<std::chrono::milliseconds>(
                              look_at_ - now)
                              .count())};
  }
}

Dispatcher::Outcome Reserve::Hand(Dispatcher& dispatcher, Slot* slot,
                                  proto::Bytes message) {
  slot->parked = true;
  slot->origin = device();
  return dispatcher.Dispatch(slot, message, overflow_.get());
}

}  // namespace barefuse
