// A file descriptor with an owner.
#ifndef BAREFUSE_SERVER_UNIQUE_FD_H_
#define BAREFUSE_SERVER_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace barefuse {

// Closes its descriptor when it goes. Move-only; -1 is none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    int old = std::exchange(fd_, fd);
    if (old >= 0) close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_UNIQUE_FD_H_
