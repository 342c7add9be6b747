#include "tests/testing/loop_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/testing/files.h"

namespace barefuse::testing {

LoopDevice::LoopDevice(const std::string& file, uint64_t size) {
  constexpr char kControl[] = "/dev/loop-control";
  UniqueFd control(open(kControl, O_RDWR | O_CLOEXEC));
  if (!control) {
    why_not_ = std::string(kControl) + ": " + strerror(errno);
    return;
  }
  WriteFile(file, "");
  Check(truncate(file.c_str(), static_cast<off_t>(size)) == 0, file);
  UniqueFd backing(open(file.c_str(), O_RDWR | O_CLOEXEC));
  Check(static_cast<bool>(backing), file);
  // Somebody else may take the free one before us.
  for (;;) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    Check(number >= 0, "a free loop device");
    const std::string path = "/dev/loop" + std::to_string(number);
    device_.reset(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!device_) {
      why_not_ = path + ": " + strerror(errno);
      return;
    }
    if (ioctl(device_.get(), LOOP_SET_FD, backing.get()) == 0) {
      path_ = path;
      return;
    }
    Check(errno == EBUSY, path);
  }
}

LoopDevice::~LoopDevice() {
  // Where it is still mounted, the kernel does it after the unmount.
  if (!path_.empty()) ioctl(device_.get(), LOOP_CLR_FD, 0);
}

}  // namespace barefuse::testing
