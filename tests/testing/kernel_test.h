// For tests that mount.
#ifndef BAREFUSE_TESTS_TESTING_KERNEL_TEST_H_
#define BAREFUSE_TESTS_TESTING_KERNEL_TEST_H_

namespace barefuse::testing {

// Whether this process may mount FUSE filesystems here. Such tests run in mount
// and process namespaces of their own (kernel_test_main.cc), so that mounts and
// daemons end with the test however it ends; without root there are none, and
// every test of the program is skipped, or fails where CI=true.
bool CanMount();

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_KERNEL_TEST_H_
