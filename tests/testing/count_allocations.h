// Counts the allocations of a whole program: include it in one source file.
//
// Every operator new is replaced, and malloc where nothing else has: under a
// sanitizer, which has a malloc of its own, operator new alone is counted.
#ifndef BAREFUSE_TESTS_TESTING_COUNT_ALLOCATIONS_H_
#define BAREFUSE_TESTS_TESTING_COUNT_ALLOCATIONS_H_

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace barefuse::testing {

inline std::atomic<uint64_t> g_allocations{0};

// So far, on all threads.
inline uint64_t Allocations() { return g_allocations.load(); }

}  // namespace barefuse::testing

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BAREFUSE_COUNTS_MALLOC 0
#else
#define BAREFUSE_COUNTS_MALLOC 1
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  ++barefuse::testing::g_allocations;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  ++barefuse::testing::g_allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  ++barefuse::testing::g_allocations;
  return __libc_realloc(memory, size);
}
void* memalign(size_t alignment, size_t size) {
  ++barefuse::testing::g_allocations;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}  // extern "C"
#endif

namespace barefuse::testing::internal {

inline void* New(size_t size) noexcept {
  // malloc counts where it is ours.
  if (BAREFUSE_COUNTS_MALLOC == 0) ++g_allocations;
  return malloc(size == 0 ? 1 : size);
}
inline void* New(size_t size, std::align_val_t alignment) noexcept {
  if (BAREFUSE_COUNTS_MALLOC == 0) ++g_allocations;
  const size_t unit = static_cast<size_t>(alignment);
  return aligned_alloc(unit, (size + unit) / unit * unit);
}
inline void* OrAbort(void* memory) {
  if (memory == nullptr) abort();
  return memory;
}

}  // namespace barefuse::testing::internal

void* operator new(size_t size) {
  return barefuse::testing::internal::OrAbort(
      barefuse::testing::internal::New(size));
}
void* operator new[](size_t size) {
  return barefuse::testing::internal::OrAbort(
      barefuse::testing::internal::New(size));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return barefuse::testing::internal::New(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return barefuse::testing::internal::New(size);
}
void* operator new(size_t size, std::align_val_t alignment) {
  return barefuse::testing::internal::OrAbort(
      barefuse::testing::internal::New(size, alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return barefuse::testing::internal::OrAbort(
      barefuse::testing::internal::New(size, alignment));
}
void* operator new(size_t size, std::align_val_t alignment,
                   const std::nothrow_t&) noexcept {
  return barefuse::testing::internal::New(size, alignment);
}
void* operator new[](size_t size, std::align_val_t alignment,
                     const std::nothrow_t&) noexcept {
  return barefuse::testing::internal::New(size, alignment);
}

void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept {
  free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  free(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  free(memory);
}
void operator delete(void* memory, std::align_val_t,
                     const std::nothrow_t&) noexcept {
  free(memory);
}
void operator delete[](void* memory, std::align_val_t,
                       const std::nothrow_t&) noexcept {
  free(memory);
}

#endif  // BAREFUSE_TESTS_TESTING_COUNT_ALLOCATIONS_H_
