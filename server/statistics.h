// What a session counts.
#ifndef BAREFUSE_SERVER_STATISTICS_H_
#define BAREFUSE_SERVER_STATISTICS_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "proto/operations.h"

namespace barefuse {

// A snapshot. Counts are since the start of the session.
struct Statistics {
  struct PerOperation {
    uint64_t requests = 0;
    uint64_t errors = 0;  // answered with an errno
  };
  // By proto::OperationIndex(opcode).
  std::array<PerOperation, proto::kOperationSlots> operations{};

  uint64_t read_bytes = 0;        // file data sent to the kernel
  uint64_t written_bytes = 0;     // file data taken from the kernel
  uint64_t malformed = 0;         // requests whose body was wrong: EIO
  uint64_t unknown = 0;           // opcodes that do not exist: ENOSYS
  uint64_t dropped_messages = 0;  // headers that could not be trusted
  uint64_t dropped_replies = 0;   // a handler let its reply go: EIO
  uint64_t refused_replies = 0;   // the kernel did not take a reply

  uint64_t interrupts = 0;             // INTERRUPTs, of whatever request
  uint64_t detached = 0;               // requests that left their worker's slot
  uint64_t notifications = 0;          // that the kernel has taken
  uint64_t refused_notifications = 0;  // and that it has not

  uint64_t backing_opens = 0;      // backing ids that were registered
  uint64_t backing_closes = 0;     // and given back
  uint64_t passthrough_opens = 0;  // opens that were given a backing id
};

// One worker's counters: a single thread writes, any may read.
class Counter {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n,
                 std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct WorkerCounters {
  struct PerOperation {
    Counter requests;
    Counter errors;
  };
  std::array<PerOperation, proto::kOperationSlots> operations;
  Counter read_bytes;
  Counter written_bytes;
  Counter malformed;
  Counter unknown;
  Counter dropped_messages;
  Counter refused_replies;

  void AddTo(Statistics* sum) const {
    for (size_t i = 0; i < operations.size(); ++i) {
      sum->operations[i].requests += operations[i].requests.value();
      sum->operations[i].errors += operations[i].errors.value();
    }
    sum->read_bytes += read_bytes.value();
    sum->written_bytes += written_bytes.value();
    sum->malformed += malformed.value();
    sum->unknown += unknown.value();
    sum->dropped_messages += dropped_messages.value();
    sum->refused_replies += refused_replies.value();
  }
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_STATISTICS_H_
