// What the thread sanitizer has to be told of liburing, which maps and unmaps
// its rings by system calls of its own, past the C library: nothing says that a
// ring is new memory, and a thread that writes to it seems to race with the one
// that owned an earlier ring at the same address. The kernel gives an address
// out again only once it is free, so the end of a ring comes before the
// beginning of the next; that is all that is said here, and two threads that
// use one ring are reported as ever.
//
// It is beside Abseil, not beside liburing, because this is where the tree
// keeps what it does for the sanitizer.
#include <liburing.h>
#include <sanitizer/tsan_interface.h>

#if !defined(__SANITIZE_THREAD__)
#error "only for --config=tsan"
#endif

namespace {
char g_address_space;
}

extern "C" {

int __real_io_uring_queue_init(unsigned entries, io_uring* ring,
                               unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, io_uring* ring,
                               unsigned flags) {
  const int result = __real_io_uring_queue_init(entries, ring, flags);
  __tsan_acquire(&g_address_space);
  return result;
}

int __real_io_uring_queue_init_params(unsigned entries, io_uring* ring,
                                      io_uring_params* params);
int __wrap_io_uring_queue_init_params(unsigned entries, io_uring* ring,
                                      io_uring_params* params) {
  const int result = __real_io_uring_queue_init_params(entries, ring, params);
  __tsan_acquire(&g_address_space);
  return result;
}

void __real_io_uring_queue_exit(io_uring* ring);
void __wrap_io_uring_queue_exit(io_uring* ring) {
  __tsan_release(&g_address_space);
  __real_io_uring_queue_exit(ring);
}

}  // extern "C"
