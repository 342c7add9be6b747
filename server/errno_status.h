// errno as absl::Status.
#ifndef BAREFUSE_SERVER_ERRNO_STATUS_H_
#define BAREFUSE_SERVER_ERRNO_STATUS_H_

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace barefuse {

// "WHAT: strerror(error)", with the code that absl gives the errno.
inline absl::Status ErrnoStatus(int error, std::string_view what) {
  return absl::ErrnoToStatus(error,
                             absl::string_view(what.data(), what.size()));
}

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_ERRNO_STATUS_H_
