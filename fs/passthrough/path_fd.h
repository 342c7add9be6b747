// A descriptor of a place in the source, shared by those who use it.
#ifndef BAREFUSE_FS_PASSTHROUGH_PATH_FD_H_
#define BAREFUSE_FS_PASSTHROUGH_PATH_FD_H_

#include <memory>
#include <utility>

#include "server/unique_fd.h"

namespace barefuse {

// An O_PATH descriptor that stays open as long as one of its copies lives.
class PathFd {
 public:
  PathFd() = default;
  explicit PathFd(UniqueFd fd)
      : fd_(std::make_shared<const UniqueFd>(std::move(fd))) {}

  int get() const { return fd_ == nullptr ? -1 : fd_->get(); }
  explicit operator bool() const { return get() >= 0; }

 private:
  std::shared_ptr<const UniqueFd> fd_;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_PATH_FD_H_
