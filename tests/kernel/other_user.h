// For tests as another user, or in a user namespace: in a child, since there is
// no way back.
#ifndef BAREFUSE_TESTS_KERNEL_OTHER_USER_H_
#define BAREFUSE_TESTS_KERNEL_OTHER_USER_H_

#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "tests/testing/files.h"
#include "tests/testing/process.h"

// For the start of a test that enters a user namespace: that takes a process
// with one thread, and the thread sanitizer has one of its own in every
// process.
#if defined(__SANITIZE_THREAD__)
#define NEEDS_USER_NAMESPACE() \
  GTEST_SKIP() << "no user namespaces under the thread sanitizer"
#else
#define NEEDS_USER_NAMESPACE() static_cast<void>(0)
#endif

namespace barefuse::testing {

constexpr uid_t kNobody = 65534;

// Runs `body` in a child, whose expectations are the test's: 0 where all hold.
inline int InChild(const std::function<void()>& body) {
  fflush(nullptr);  // what is in the buffers would be written twice
  Process child([&] {
    body();
    fflush(nullptr);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  return child.Wait();
}

// For the rest of the process.
inline void BecomeNobody() {
  Check(setgroups(0, nullptr) == 0 && setgid(kNobody) == 0 &&
            setuid(kNobody) == 0,
        "setuid");
}

// Root in a user and mount namespace of its own, and nobody outside of it. The
// process must have one thread only.
inline void EnterUserNamespace() {
  const std::string uid = std::to_string(geteuid());
  const std::string gid = std::to_string(getegid());
  Check(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, "unshare");
  WriteFile("/proc/self/setgroups", "deny");
  WriteFile("/proc/self/uid_map", "0 " + uid + " 1");
  WriteFile("/proc/self/gid_map", "0 " + gid + " 1");
}

// Puts a file in another one's place while this is there, for the test's mount
// namespace.
class InPlaceOf {
 public:
  InPlaceOf(const std::string& file, const std::string& place) : place_(place) {
    Check(mount(file.c_str(), place.c_str(), nullptr, MS_BIND, nullptr) == 0,
          place);
  }
  ~InPlaceOf() { umount2(place_.c_str(), MNT_DETACH); }
  InPlaceOf(const InPlaceOf&) = delete;
  InPlaceOf& operator=(const InPlaceOf&) = delete;

 private:
  const std::string place_;
};

// A /dev/fuse that every user may open, as udev makes it. fusermount3 opens it
// with its user's rights. The node is made at `path`.
class DeviceForAll {
 public:
  explicit DeviceForAll(const std::string& path) : path_(Make(path)) {}

 private:
  static std::string Make(const std::string& path) {
    Check(mknod(path.c_str(), S_IFCHR, makedev(10, 229)) == 0 &&
              chmod(path.c_str(), 0666) == 0,
          path);
    return path;
  }
  const std::string path_;
  InPlaceOf device_{path_, "/dev/fuse"};
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_KERNEL_OTHER_USER_H_
