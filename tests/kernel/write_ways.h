// All the ways in which a program can write to a file.
#ifndef BAREFUSE_TESTS_KERNEL_WRITE_WAYS_H_
#define BAREFUSE_TESTS_KERNEL_WRITE_WAYS_H_

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "server/unique_fd.h"
#include "tests/kernel/passthrough_twins.h"

namespace barefuse {

// Writes by io_uring. Gives what the write came to, as pwrite(2) does.
inline long RingWrite(int fd, const void* data, size_t size, off_t offset) {
  io_uring ring;
  int error = io_uring_queue_init(2, &ring, 0);
  if (error == 0) {
    io_uring_prep_write(io_uring_get_sqe(&ring), fd, data,
                        static_cast<unsigned>(size),
                        static_cast<uint64_t>(offset));
    error = io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* cqe = nullptr;
    if (error >= 0) error = io_uring_peek_cqe(&ring, &cqe);
    if (error == 0) error = cqe->res;
    io_uring_queue_exit(&ring);
  }
  if (error >= 0) return error;
  errno = -error;
  return -1;
}

// A way to write to a file of two pages, full of one letter. `run` gets the
// file, open with `flags`, and another one with content to copy, and gives what
// a system call does.
struct WriteWay {
  const char* name;
  int flags;
  std::function<long(int fd, int from)> run;
  bool maps = false;  // writes through a mapping
};

// Stores a letter at the start of the file.
inline long StoreMapped(int fd, int sync) {
  void* const map =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return -1;
  *static_cast<volatile char*>(map) = 'w';
  const long result = sync == 0 ? 0 : msync(map, 4096, sync);
  munmap(map, 4096);
  return result;
}

inline const std::vector<WriteWay>& WriteWays() {
  static const auto direct = [](off_t offset, bool ring) {
    return [offset, ring](int fd, int) -> long {
      AlignedBuffer block(4096, 'w');
      return ring ? RingWrite(fd, block.data(), 4096, offset)
                  : pwrite(fd, block.data(), 4096, offset);
    };
  };
  static const auto* const ways = new std::vector<WriteWay>{
      {"write", O_WRONLY, [](int fd, int) { return write(fd, "www", 3); }},
      {"pwrite inside", O_RDWR,
       [](int fd, int) { return pwrite(fd, "www", 3, 5000); }},
      {"pwrite at the end", O_RDWR,
       [](int fd, int) { return pwrite(fd, "www", 3, 8191); }},
      {"pwrite far behind", O_RDWR,
       [](int fd, int) { return pwrite(fd, "www", 3, 1 << 20); }},
      {"append", O_WRONLY | O_APPEND,
       [](int fd, int) { return write(fd, "www", 3); }},
      {"writev", O_WRONLY,
       [](int fd, int) {
         char text[] = "www";
         const iovec parts[] = {{text, 1}, {text, 2}};
         return writev(fd, parts, 2);
       }},
      {"pwritev2 with RWF_APPEND", O_WRONLY,
       [](int fd, int) {
         char text[] = "www";
         const iovec part = {text, 3};
         return pwritev2(fd, &part, 1, 0, RWF_APPEND);
       }},
      {"splice", O_WRONLY,
       [](int fd, int) -> long {
         int ends[2];
         if (pipe2(ends, O_CLOEXEC) != 0) return -1;
         UniqueFd out(ends[0]), in(ends[1]);
         if (write(in.get(), "www", 3) != 3) return -1;
         loff_t at = 8190;
         return splice(out.get(), nullptr, fd, &at, 3, 0);
       }},
      {"sendfile", O_WRONLY,
       [](int fd, int from) { return sendfile(fd, from, nullptr, 9000); }},
      {"copy_file_range", O_WRONLY,
       [](int fd, int from) {
         off_t in = 0, out = 4096;
         return copy_file_range(from, &in, fd, &out, 8192, 0);
       }},
      {"fallocate", O_WRONLY,
       [](int fd, int) { return fallocate(fd, 0, 4096, 1 << 20); }},
      {"fallocate of no size", O_WRONLY,
       [](int fd, int) {
         return fallocate(fd, FALLOC_FL_KEEP_SIZE, 8192, 1 << 20);
       }},
      {"fallocate of a hole", O_WRONLY,
       [](int fd, int) {
         return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                          4096);
       }},
      {"ftruncate to less", O_WRONLY,
       [](int fd, int) { return ftruncate(fd, 100); }},
      {"ftruncate to more", O_WRONLY,
       [](int fd, int) { return ftruncate(fd, 1 << 20); }},
      {"ftruncate to the same", O_WRONLY,
       [](int fd, int) { return ftruncate(fd, 8192); }},
      {"io_uring", O_WRONLY,
       [](int fd, int) { return RingWrite(fd, "www", 3, 8191); }},
      {"O_DIRECT inside", O_RDWR | O_DIRECT, direct(0, false)},
      {"O_DIRECT behind", O_WRONLY | O_DIRECT, direct(8192, false)},
      {"io_uring with O_DIRECT inside", O_WRONLY | O_DIRECT, direct(0, true)},
      {"io_uring with O_DIRECT behind", O_RDWR | O_DIRECT, direct(8192, true)},
      {"O_SYNC", O_WRONLY | O_SYNC,
       [](int fd, int) { return pwrite(fd, "www", 3, 8191); }},
      {"a mapping", O_RDWR, [](int fd, int) { return StoreMapped(fd, 0); },
       true},
      {"a mapping, MS_ASYNC", O_RDWR,
       [](int fd, int) { return StoreMapped(fd, MS_ASYNC); }, true},
      {"a mapping, MS_SYNC", O_RDWR,
       [](int fd, int) { return StoreMapped(fd, MS_SYNC); }, true},
      {"a mapping of O_DIRECT, MS_SYNC", O_RDWR | O_DIRECT,
       [](int fd, int) { return StoreMapped(fd, MS_SYNC); }, true},
  };
  return *ways;
}

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_WRITE_WAYS_H_
