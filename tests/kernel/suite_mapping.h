// Mapped files, for the suite of operations.
#ifndef BAREFUSE_TESTS_KERNEL_SUITE_MAPPING_H_
#define BAREFUSE_TESTS_KERNEL_SUITE_MAPPING_H_

#include <sys/mman.h>

#include <cstddef>
#include <string>

#include "tests/kernel/suite_files.h"

namespace barefuse {

// A part of a file in memory, until it goes. What is dirty is written back
// before: munmap(2) of a FUSE file does that too (fuse_vma_close), but holds
// the process's mmap_lock meanwhile, for which a server in the same process may
// have to wait.
class Mapping {
 public:
  Mapping(const UniqueFd& fd, size_t size, int protection, int flags,
          off_t offset = 0)
      : size_(size),
        data_(mmap(nullptr, size, protection, flags, fd.get(), offset)) {
    testing::Check(data_ != MAP_FAILED, "mmap");
  }
  ~Mapping() {
    Sync();
    munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Volatile: others change it.
  volatile char& operator[](size_t at) {
    return static_cast<volatile char*>(data_)[at];
  }
  std::string Text(size_t at, size_t size) const {
    return std::string(static_cast<const char*>(data_) + at, size);
  }
  Error Sync() const { return Errno(msync(data_, size_, MS_SYNC)); }

 private:
  size_t size_;
  void* data_;
};

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_SUITE_MAPPING_H_
