// What the thread sanitizer has to be told of Debian's Abseil.
//
// The sanitizer learns what happens before what from instrumented code and from
// the C library's functions. Debian's archives are not instrumented and wait by
// futex, so that an absl::Mutex would order nothing, and whatever it guards
// would be reported. BUILD.bazel therefore has the linker send the calls of
// these functions here (--wrap), and they tell the sanitizer what Abseil would
// if it were built for it. A name that the archives do not have, or one that is
// wrapped here and not there, does not link.
//
// Calls from the archives come here too, where they leave an object file: a
// Barrier needs nothing of its own, since its Mutex is told of.
#include <sanitizer/tsan_interface.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "absl/base/internal/spinlock_wait.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

#if !defined(__SANITIZE_THREAD__)
#error "only for --config=tsan"
#endif

// Declares Real<name>, the library's function, and begins ours. Member
// functions take `this` first.
#define WRAP(result, name, mangled, ...)                     \
  result Real##name(__VA_ARGS__) __asm__("__real_" mangled); \
  result Wrap##name(__VA_ARGS__) __asm__("__wrap_" mangled); \
  result Wrap##name(__VA_ARGS__)

#define ABSL_NAME "_ZN4absl7debian3"
#define ABSL_CONST_NAME "_ZNK4absl7debian3"

namespace {

using absl::BlockingCounter;
using absl::Condition;
using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Notification;
using absl::Time;

constexpr unsigned kWrite = 0;
constexpr unsigned kRead = __tsan_mutex_read_lock;

// Between "pre" and "post" the sanitizer looks away. It must, for conditions:
// the library evaluates those of all waiters there, on the thread that unlocks,
// when the sanitizer holds the lock for open although it is not.
template <typename Call>
auto Locking(Mutex* mutex, unsigned how, Call call) {
  __tsan_mutex_pre_lock(mutex, how);
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    __tsan_mutex_post_lock(mutex, how, 0);
  } else {
    auto result = call();
    __tsan_mutex_post_lock(mutex, how, 0);
    return result;
  }
}

template <typename Call>
void Unlocking(Mutex* mutex, unsigned how, Call call) {
  __tsan_mutex_pre_unlock(mutex, how);
  call();
  __tsan_mutex_post_unlock(mutex, how);
}

template <typename Call>
bool TryLocking(Mutex* mutex, unsigned how, Call call) {
  how |= __tsan_mutex_try_lock;
  __tsan_mutex_pre_lock(mutex, how);
  const bool locked = call();
  __tsan_mutex_post_lock(mutex,
                         locked ? how : how | __tsan_mutex_try_lock_failed, 0);
  return locked;
}

// How the calling thread, which holds the lock, holds it. No public function
// says so without dying; the bit is kMuWriter in Abseil's mutex.cc.
unsigned HowHeld(const Mutex* mutex) {
  constexpr intptr_t kWriter = 8;
  const auto* word = reinterpret_cast<const std::atomic<intptr_t>*>(mutex);
  return (word->load(std::memory_order_relaxed) & kWriter) != 0 ? kWrite
                                                                : kRead;
}

// Opens the lock and takes it again.
template <typename Call>
auto Waiting(Mutex* mutex, Call call) {
  const unsigned how = HowHeld(mutex);
  Unlocking(mutex, how, [] {});
  return Locking(mutex, how, call);
}

// The condition is evaluated before and after too, under the lock and in the
// sanitizer's sight: that it reads what the lock does not guard is a race.
template <typename Call>
auto WaitingFor(const Condition& condition, Mutex* mutex, Call call) {
  condition.Eval();
  struct After {
    ~After() { condition.Eval(); }
    const Condition& condition;
  } after{condition};
  return Waiting(mutex, call);
}

template <typename Call>
auto LockingWhen(const Condition& condition, Mutex* mutex, unsigned how,
                 Call call) {
  struct After {
    ~After() { condition.Eval(); }
    const Condition& condition;
  } after{condition};
  return Locking(mutex, how, call);
}

// A lock that the sanitizer does not see and that therefore orders nothing.
bool g_unseen = false;
__attribute__((no_sanitize("thread"))) void LockUnseen() {
  while (__atomic_exchange_n(&g_unseen, true, __ATOMIC_ACQUIRE)) sched_yield();
}
__attribute__((no_sanitize("thread"))) void UnlockUnseen() {
  __atomic_store_n(&g_unseen, false, __ATOMIC_RELEASE);
}

// The flag that HasBeenNotified reads, inline, in code that the sanitizer sees.
void* FlagOf(const Notification* notification) {
  static_assert(sizeof(Notification) == 2 * sizeof(Mutex));
  return const_cast<Mutex*>(reinterpret_cast<const Mutex*>(notification) + 1);
}

}  // namespace

// --- Mutex ---

WRAP(void, Destroy, ABSL_NAME "5MutexD1Ev", Mutex* mutex) {
  RealDestroy(mutex);
  __tsan_mutex_destroy(mutex, __tsan_mutex_not_static);
}

WRAP(void, Lock, ABSL_NAME "5Mutex4LockEv", Mutex* mutex) {
  Locking(mutex, kWrite, [=] { RealLock(mutex); });
}

WRAP(void, Unlock, ABSL_NAME "5Mutex6UnlockEv", Mutex* mutex) {
  Unlocking(mutex, kWrite, [=] { RealUnlock(mutex); });
}

WRAP(bool, TryLock, ABSL_NAME "5Mutex7TryLockEv", Mutex* mutex) {
  return TryLocking(mutex, kWrite, [=] { return RealTryLock(mutex); });
}

WRAP(void, ReaderLock, ABSL_NAME "5Mutex10ReaderLockEv", Mutex* mutex) {
  Locking(mutex, kRead, [=] { RealReaderLock(mutex); });
}

WRAP(void, ReaderUnlock, ABSL_NAME "5Mutex12ReaderUnlockEv", Mutex* mutex) {
  Unlocking(mutex, kRead, [=] { RealReaderUnlock(mutex); });
}

WRAP(bool, ReaderTryLock, ABSL_NAME "5Mutex13ReaderTryLockEv", Mutex* mutex) {
  return TryLocking(mutex, kRead, [=] { return RealReaderTryLock(mutex); });
}

// The lock's first member is its mutex.
WRAP(void, Release, ABSL_NAME "19ReleasableMutexLock7ReleaseEv", Mutex** lock) {
  Unlocking(*lock, kWrite, [=] { RealRelease(lock); });
}

// --- Mutex with a condition ---

WRAP(void, Await, ABSL_NAME "5Mutex5AwaitERKNS0_9ConditionE", Mutex* mutex,
     const Condition& condition) {
  WaitingFor(condition, mutex, [&] { RealAwait(mutex, condition); });
}

WRAP(bool, AwaitWithTimeout,
     ABSL_NAME "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE",
     Mutex* mutex, const Condition& condition, Duration timeout) {
  return WaitingFor(condition, mutex, [&] {
    return RealAwaitWithTimeout(mutex, condition, timeout);
  });
}

WRAP(bool, AwaitWithDeadline,
     ABSL_NAME "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE",
     Mutex* mutex, const Condition& condition, Time deadline) {
  return WaitingFor(condition, mutex, [&] {
    return RealAwaitWithDeadline(mutex, condition, deadline);
  });
}

WRAP(void, LockWhen, ABSL_NAME "5Mutex8LockWhenERKNS0_9ConditionE",
     Mutex* mutex, const Condition& condition) {
  LockingWhen(condition, mutex, kWrite,
              [&] { RealLockWhen(mutex, condition); });
}

WRAP(bool, LockWhenWithTimeout,
     ABSL_NAME "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
     Mutex* mutex, const Condition& condition, Duration timeout) {
  return LockingWhen(condition, mutex, kWrite, [&] {
    return RealLockWhenWithTimeout(mutex, condition, timeout);
  });
}

WRAP(bool, LockWhenWithDeadline,
     ABSL_NAME "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE",
     Mutex* mutex, const Condition& condition, Time deadline) {
  return LockingWhen(condition, mutex, kWrite, [&] {
    return RealLockWhenWithDeadline(mutex, condition, deadline);
  });
}

WRAP(void, ReaderLockWhen, ABSL_NAME "5Mutex14ReaderLockWhenERKNS0_9ConditionE",
     Mutex* mutex, const Condition& condition) {
  LockingWhen(condition, mutex, kRead,
              [&] { RealReaderLockWhen(mutex, condition); });
}

WRAP(bool, ReaderLockWhenWithTimeout,
     ABSL_NAME
     "5Mutex25ReaderLockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
     Mutex* mutex, const Condition& condition, Duration timeout) {
  return LockingWhen(condition, mutex, kRead, [&] {
    return RealReaderLockWhenWithTimeout(mutex, condition, timeout);
  });
}

WRAP(bool, ReaderLockWhenWithDeadline,
     ABSL_NAME "5Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE",
     Mutex* mutex, const Condition& condition, Time deadline) {
  return LockingWhen(condition, mutex, kRead, [&] {
    return RealReaderLockWhenWithDeadline(mutex, condition, deadline);
  });
}

// --- CondVar: what orders is the mutex, not the signal ---

WRAP(void, Wait, ABSL_NAME "7CondVar4WaitEPNS0_5MutexE", CondVar* variable,
     Mutex* mutex) {
  Waiting(mutex, [=] { RealWait(variable, mutex); });
}

WRAP(bool, WaitWithTimeout,
     ABSL_NAME "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE",
     CondVar* variable, Mutex* mutex, Duration timeout) {
  return Waiting(mutex,
                 [=] { return RealWaitWithTimeout(variable, mutex, timeout); });
}

WRAP(bool, WaitWithDeadline,
     ABSL_NAME "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE",
     CondVar* variable, Mutex* mutex, Time deadline) {
  return Waiting(
      mutex, [=] { return RealWaitWithDeadline(variable, mutex, deadline); });
}

// --- Notification ---

WRAP(void, Notify, ABSL_NAME "12Notification6NotifyEv",
     Notification* notification) {
  __tsan_release(FlagOf(notification));
  RealNotify(notification);
}

WRAP(void, WaitForNotification,
     ABSL_CONST_NAME "12Notification19WaitForNotificationEv",
     const Notification* notification) {
  RealWaitForNotification(notification);
  __tsan_acquire(FlagOf(notification));
}

WRAP(bool, WaitForNotificationWithTimeout,
     ABSL_CONST_NAME
     "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
     const Notification* notification, Duration timeout) {
  const bool notified =
      RealWaitForNotificationWithTimeout(notification, timeout);
  if (notified) __tsan_acquire(FlagOf(notification));
  return notified;
}

WRAP(bool, WaitForNotificationWithDeadline,
     ABSL_CONST_NAME
     "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE",
     const Notification* notification, Time deadline) {
  const bool notified =
      RealWaitForNotificationWithDeadline(notification, deadline);
  if (notified) __tsan_acquire(FlagOf(notification));
  return notified;
}

// --- BlockingCounter, absl::call_once, absl::Status ---

WRAP(bool, DecrementCount, ABSL_NAME "15BlockingCounter14DecrementCountEv",
     BlockingCounter* counter) {
  __tsan_release(counter);
  const bool last = RealDecrementCount(counter);
  if (last) __tsan_acquire(counter);
  return last;
}

WRAP(void, WaitForCount, ABSL_NAME "15BlockingCounter4WaitEv",
     BlockingCounter* counter) {
  RealWaitForCount(counter);
  __tsan_acquire(counter);
}

// call_once is inline but for the wait while another thread makes the call,
// whose end is seen in here.
WRAP(uint32_t, SpinLockWait,
     ABSL_NAME
     "13base_internal12SpinLockWaitEPSt6atomicIjEiPKNS1_"
     "22SpinLockWaitTransitionENS1_14SchedulingModeE",
     std::atomic<uint32_t>* word, int count,
     const absl::base_internal::SpinLockWaitTransition* transitions,
     absl::base_internal::SchedulingMode mode) {
  const uint32_t value = RealSpinLockWait(word, count, transitions, mode);
  __tsan_acquire(word);
  return value;
}

// A status that is not OK is shared and counts its owners; the last of them
// frees it, after all that the others did with it. Who is the last is found out
// in the library, so only one at a time may be there.
WRAP(void, Unref, ABSL_NAME "6Status15UnrefNonInlinedEm", uintptr_t rep) {
  void* const shared = reinterpret_cast<void*>(rep & ~uintptr_t{1});
  LockUnseen();
  __tsan_release(shared);
  __tsan_acquire(shared);
  RealUnref(rep);
  UnlockUnseen();
}

// The graph in which Abseil looks for deadlocks is its own, behind a spinlock
// that is not seen; only its memmove is, which the C library has.
extern "C" const char* __tsan_default_suppressions() {
  return "race:synchronization_internal::GraphCycles\n";
}
