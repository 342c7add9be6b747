// A block device for tests.
#ifndef BAREFUSE_TESTS_TESTING_LOOP_DEVICE_H_
#define BAREFUSE_TESTS_TESTING_LOOP_DEVICE_H_

#include <cstdint>
#include <string>

#include "server/unique_fd.h"

namespace barefuse::testing {

// A loop device over a file, undone when this goes. Needs root.
class LoopDevice {
 public:
  // Over a new file at `file` of `size` bytes, which takes no room until it is
  // written to.
  explicit LoopDevice(const std::string& file, uint64_t size = 1 << 20);
  ~LoopDevice();
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  // "/dev/loop0"; empty where there are no loop devices: why_not() says so.
  const std::string& path() const { return path_; }
  const std::string& why_not() const { return why_not_; }

 private:
  std::string path_;
  std::string why_not_;
  UniqueFd device_;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_LOOP_DEVICE_H_
