// That the thread sanitizer understands Debian's Abseil: what it orders is no
// race, and what it does not order still is one. Only for --config=tsan.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/call_once.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace {
int g_reports = 0;
}  // namespace

// The sanitizer calls this for every report.
extern "C" __attribute__((no_sanitize("thread"))) void __tsan_on_report(void*) {
  __atomic_fetch_add(&g_reports, 1, __ATOMIC_RELAXED);
}
// It is the tests that fail, by the number of reports, and not the program for
// those that should be there. The tests have their variables at the same place
// on the stack.
extern "C" const char* __tsan_default_options() {
  return "exitcode=0:suppress_equal_addresses=0";
}

namespace {

constexpr int kRounds = 1000;
constexpr int kRepeats = 50;
constexpr absl::Duration kLong = absl::Seconds(100);
constexpr absl::Duration kShort = absl::Milliseconds(1);

// Counts those who have come, and waits for the others; orders nothing.
class Meeting {
 public:
  explicit Meeting(size_t all) : missing_(all) {}

  void Meet() {
    missing_.fetch_sub(1, std::memory_order_relaxed);
    while (missing_.load(std::memory_order_relaxed) != 0) {
      std::this_thread::yield();
    }
  }

 private:
  std::atomic<size_t> missing_;
};

// Runs all at the same time. Starting and joining orders what is before and
// after, and nothing between them. None ends before the others: the sanitizer
// may forget what a thread did that has ended.
template <typename... Bodies>
void Together(Bodies... bodies) {
  Meeting end(sizeof...(bodies));
  std::vector<std::thread> threads;
  (threads.emplace_back([&end, bodies] {
    bodies();
    end.Meet();
  }),
   ...);
  for (std::thread& thread : threads) thread.join();
}

int ReportsOf(const std::function<void()>& body) {
  const int before = g_reports;
  body();
  return g_reports - before;
}

// There must be no reports; the sanitizer has printed those that there were.
// The body is run often, since one run may escape it.
void ExpectOrdered(const std::function<void()>& body) {
  auto run = [&body] {
    for (int i = 0; i < kRepeats; ++i) body();
  };
  EXPECT_EQ(ReportsOf(run), 0) << "see the sanitizer's report above";
}

// Runs both bodies over and over, at the same time: the sanitizer remembers
// only the latest accesses.
void ExpectRace(const std::function<void()>& one,
                const std::function<void()>& other) {
  Meeting begin(2);
  auto run = [&begin](const std::function<void()>& body) {
    begin.Meet();
    for (int i = 0; i < kRounds; ++i) body();
  };
  const int reports =
      ReportsOf([&] { Together([&] { run(one); }, [&] { run(other); }); });
  EXPECT_GE(reports, 1) << "the sanitizer has not seen a race";
}

void Nothing() {}

// --- What is no race ---

TEST(TsanMutex, OrdersThoseWhoLockIt) {
  ExpectOrdered([] {
    absl::Mutex mutex;
    int value = 0;
    auto count = [&] {
      for (int i = 0; i < kRounds; ++i) {
        absl::MutexLock lock(&mutex);
        ++value;
      }
    };
    auto try_count = [&] {
      for (int i = 0; i < kRounds;) {
        if (!mutex.TryLock()) continue;
        ++value;
        ++i;
        mutex.Unlock();
      }
    };
    auto release = [&] {
      for (int i = 0; i < kRounds; ++i) {
        absl::ReleasableMutexLock lock(&mutex);
        ++value;
        lock.Release();
      }
    };
    Together(count, try_count, release);
    EXPECT_EQ(value, 3 * kRounds);
  });
}

// A writer comes after the reader for certain: by a flag that orders nothing,
// so that the lock has to.
TEST(TsanMutex, OrdersReadersAndWriters) {
  ExpectOrdered([] {
    absl::Mutex mutex;
    int value = 0;
    std::atomic<int> reads{0};
    auto write_after = [&](int number) {
      while (reads.load(std::memory_order_relaxed) < number) {
        std::this_thread::yield();
      }
      absl::WriterMutexLock lock(&mutex);
      ++value;
    };
    auto read = [&] {
      {
        absl::ReaderMutexLock lock(&mutex);
        EXPECT_EQ(value, 0);
      }
      reads.fetch_add(1, std::memory_order_relaxed);
      for (int seen = 0; seen == 0;) {
        if (!mutex.ReaderTryLock()) continue;
        seen = value;
        mutex.ReaderUnlock();
      }
    };
    Together(read, read, [&] { write_after(2); });
  });
}

// Two threads by turns, each in its own way of waiting for a condition, so that
// either evaluates the other's while it unlocks.
TEST(TsanMutex, OrdersThoseWhoWaitForConditions) {
  using Wait = std::function<void(absl::Mutex*, const absl::Condition&)>;
  const std::vector<Wait> ways = {
      [](absl::Mutex* mutex, const absl::Condition& condition) {
        mutex->Lock();
        mutex->Await(condition);
      },
      [](absl::Mutex* mutex, const absl::Condition& condition) {
        mutex->Lock();
        while (!mutex->AwaitWithTimeout(condition, kShort)) Nothing();
      },
      [](absl::Mutex* mutex, const absl::Condition& condition) {
        mutex->Lock();
        mutex->AwaitWithDeadline(condition, absl::InfiniteFuture());
      },
      [](absl::Mutex* mutex, const absl::Condition& condition) {
        mutex->LockWhen(condition);
      },
      [](absl::Mutex* mutex, const absl::Condition& condition) {
        while (!mutex->LockWhenWithTimeout(condition, kShort)) mutex->Unlock();
      },
      [](absl::Mutex* mutex, const absl::Condition& condition) {
        mutex->LockWhenWithDeadline(condition, absl::InfiniteFuture());
      },
  };
  ExpectOrdered([&ways] {
    for (const Wait& way : ways) {
      absl::Mutex mutex;
      int value = 0;
      auto take_turns = [&](int parity) {
        for (int i = 0; i < 20; ++i) {
          auto my_turn = [&] { return value % 2 == parity; };
          way(&mutex, absl::Condition(&my_turn));
          ++value;
          mutex.Unlock();
        }
      };
      Together([&] { take_turns(0); }, [&] { take_turns(1); });
    }
  });
}

TEST(TsanMutex, OrdersReadersWhoWaitForConditions) {
  ExpectOrdered([] {
    absl::Mutex mutex;
    int value = 0;
    auto done = [&] { return value == kRounds; };
    const absl::Condition condition(&done);
    Together(
        [&] {
          absl::ReaderMutexLock lock(&mutex);
          mutex.Await(condition);
        },
        [&] {
          mutex.ReaderLockWhen(condition);
          mutex.ReaderUnlock();
        },
        [&] {
          while (!mutex.ReaderLockWhenWithTimeout(condition, kShort)) {
            mutex.ReaderUnlock();
          }
          mutex.ReaderUnlock();
        },
        [&] {
          mutex.ReaderLockWhenWithDeadline(condition, absl::InfiniteFuture());
          mutex.ReaderUnlock();
        },
        [&] {
          for (int i = 0; i < kRounds; ++i) {
            absl::MutexLock lock(&mutex);
            ++value;
          }
        });
  });
}

TEST(TsanCondVar, OrdersTheSignallerAndTheWaiter) {
  absl::Mutex mutex;
  absl::CondVar changed;
  const std::vector<std::function<void()>> ways = {
      [&] { changed.Wait(&mutex); },
      [&] { changed.WaitWithTimeout(&mutex, kLong); },
      [&] { changed.WaitWithDeadline(&mutex, absl::InfiniteFuture()); },
  };
  for (const std::function<void()>& wait : ways) {
    ExpectOrdered([&] {
      int asked = 0, answered = 0;
      std::atomic<bool> waits{false};  // which orders nothing
      Together(
          [&] {
            absl::MutexLock lock(&mutex);
            asked = 1;
            waits.store(true, std::memory_order_relaxed);
            while (answered == 0) wait();
          },
          [&] {
            while (!waits.load(std::memory_order_relaxed)) {
              std::this_thread::yield();
            }
            absl::MutexLock lock(&mutex);
            EXPECT_EQ(asked, 1);
            answered = 1;
            changed.Signal();
          });
    });
  }
}

TEST(TsanNotification, OrdersTheNotifierAndThoseWhoWait) {
  ExpectOrdered([] {
    absl::Notification done;
    int value = 0;
    auto expect_written = [&] { EXPECT_EQ(value, 1); };
    Together(
        [&] {
          done.WaitForNotification();
          expect_written();
        },
        [&] {
          if (done.WaitForNotificationWithTimeout(kLong)) expect_written();
        },
        [&] {
          done.WaitForNotificationWithDeadline(absl::InfiniteFuture());
          expect_written();
        },
        [&] {
          while (!done.HasBeenNotified()) std::this_thread::yield();
          expect_written();
        },
        [&] {
          value = 1;
          done.Notify();
        });
  });
}

// Where nobody has to wait any more, which the flag, that orders nothing, makes
// sure of.
TEST(TsanNotification, OrdersThoseWhoComeLater) {
  const std::vector<std::function<void(absl::Notification&)>> ways = {
      [](auto& done) { done.WaitForNotification(); },
      [](auto& done) { done.WaitForNotificationWithTimeout(kLong); },
      [](auto& done) {
        done.WaitForNotificationWithDeadline(absl::InfiniteFuture());
      },
  };
  for (const auto& wait : ways) {
    ExpectOrdered([&wait] {
      absl::Notification done;
      int value = 0;
      std::atomic<bool> notified{false};
      Together(
          [&] {
            value = 1;
            done.Notify();
            notified.store(true, std::memory_order_relaxed);
          },
          [&] {
            while (!notified.load(std::memory_order_relaxed)) {
              std::this_thread::yield();
            }
            wait(done);
            EXPECT_EQ(value, 1);
          });
    });
  }
}

TEST(TsanBarrier, OrdersBeforeAndAfter) {
  ExpectOrdered([] {
    auto* barrier = new absl::Barrier(2);
    int values[2] = {};
    auto run = [&](int own) {
      values[own] = 1;
      if (barrier->Block()) delete barrier;
      EXPECT_EQ(values[1 - own], 1);
    };
    Together([&] { run(0); }, [&] { run(1); });
  });
}

TEST(TsanBlockingCounter, OrdersThoseWhoCountAndTheOneWhoWaits) {
  ExpectOrdered([] {
    absl::BlockingCounter counter(2);
    int values[2] = {};
    auto run = [&](int own) {
      values[own] = 1;
      counter.DecrementCount();
    };
    Together([&] { run(0); }, [&] { run(1); },
             [&] {
               counter.Wait();
               EXPECT_EQ(values[0] + values[1], 2);
             });
  });
}

TEST(TsanOnce, OrdersTheCallAndThoseWhoWait) {
  ExpectOrdered([] {
    absl::once_flag once;
    int value = 0;
    auto run = [&] {
      absl::call_once(once, [&] {
        std::this_thread::yield();
        value = 1;
      });
      EXPECT_EQ(value, 1);
    };
    Together(run, run, run);
  });
}

TEST(TsanStatus, MayHaveItsLastOwnerOnAnyThread) {
  ExpectOrdered([] {
    absl::Status status = absl::InternalError("a message");
    auto read = [copy = status]() mutable {
      EXPECT_EQ(copy.message().size(), 9u);
      copy = absl::OkStatus();
    };
    std::thread first(read), second(std::move(read));
    status = absl::OkStatus();
    first.join();
    second.join();
  });
}

// --- What still is one ---

TEST(TsanMutex, DoesNotOrderThoseWhoDoNotLock) {
  int value = 0;
  ExpectRace([&] { ++value; }, [&] { ++value; });
}

TEST(TsanMutex, DoesNotOrderThoseWhoLockAnother) {
  absl::Mutex first, second;
  int value = 0;
  auto count = [&](absl::Mutex* mutex) {
    absl::MutexLock lock(mutex);
    ++value;
  };
  ExpectRace([&] { count(&first); }, [&] { count(&second); });
}

TEST(TsanMutex, DoesNotOrderWritersWhoOnlyReadLock) {
  absl::Mutex mutex;
  int value = 0;
  auto count = [&] {
    absl::ReaderMutexLock lock(&mutex);
    ++value;
  };
  ExpectRace(count, count);
}

TEST(TsanMutex, DoesNotOrderWhatAConditionReadsBesides) {
  absl::Mutex mutex;
  int value = 0;
  auto never = [&] { return value < 0; };
  ExpectRace(
      [&] {
        absl::MutexLock lock(&mutex);
        mutex.AwaitWithTimeout(absl::Condition(&never), absl::ZeroDuration());
      },
      [&] { ++value; });
}

TEST(TsanNotification, DoesNotOrderWhatComesAfterIt) {
  absl::Notification done;
  int value = 0;
  ExpectRace(
      [&] {
        if (!done.HasBeenNotified()) done.Notify();
        ++value;
      },
      [&] {
        done.WaitForNotification();
        ++value;
      });
}

}  // namespace
