// The barefuse program, as people start it.
#ifndef BAREFUSE_TESTS_KERNEL_PROGRAM_FIXTURE_H_
#define BAREFUSE_TESTS_KERNEL_PROGRAM_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse::testing {

class ProgramFixture : public ::testing::Test {
 protected:
  Ended Barefuse(std::vector<std::string> arguments,
                 const std::function<void()>& prepare = nullptr) {
    arguments.insert(arguments.begin(), program_);
    return RunToEnd(arguments, prepare);
  }
  // Runs a command that goes to the background. Gives the daemon's process id.
  pid_t Daemon(const std::vector<std::string>& command) {
    Ended ended = RunToEnd(command);
    EXPECT_EQ(ended.status, 0) << ended.err;
    std::vector<pid_t> children = Children();
    EXPECT_EQ(children.size(), 1u);
    return children.empty() ? -1 : children.back();
  }
  void ExpectNothingLeft() {
    EXPECT_TRUE(MountsBelow(dir_.path()).empty());
    EXPECT_TRUE(Children().empty());
  }
  // A copy that other users may run: the build tree may be closed to them.
  std::string CopyForOthers() {
    std::string copy = dir_ / "barefuse";
    Check(RunToEnd({"cp", program_, copy}).status == 0, copy);
    return copy;
  }

  std::string program_ = Runfile("tools/barefuse");
  TempDir dir_;
  std::string mnt_ = dir_.MakeDir("mnt");
};

// Makes `program` a helper of mount(8) called `name`, for this test's mount
// namespace, while this is there.
class MountHelper {
 public:
  MountHelper(const TempDir& dir, const std::string& program,
              const std::string& name) {
    const std::string layers = dir.MakeDir("layers");
    Check(mount("none", layers.c_str(), "tmpfs", 0, nullptr) == 0, layers);
    for (const char* layer : {"/upper", "/work"}) {
      Check(mkdir((layers + layer).c_str(), 0755) == 0, layer);
    }
    Check(symlink(program.c_str(), (layers + "/upper/" + name).c_str()) == 0,
          name);
    const std::string options = "lowerdir=/usr/sbin,upperdir=" + layers +
                                "/upper,workdir=" + layers + "/work";
    Check(mount("none", "/usr/sbin", "overlay", 0, options.c_str()) == 0,
          "overlay");
  }
  ~MountHelper() { umount2("/usr/sbin", MNT_DETACH); }
  MountHelper(const MountHelper&) = delete;
  MountHelper& operator=(const MountHelper&) = delete;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_KERNEL_PROGRAM_FIXTURE_H_
