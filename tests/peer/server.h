// The servers that are compared: libfuse's examples, and ours.
#ifndef BAREFUSE_TESTS_PEER_SERVER_H_
#define BAREFUSE_TESTS_PEER_SERVER_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/peer/check.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse::peer {

// libfuse's hello_ll and passthrough_ll, built for this test from the sources
// that come with libfuse's development files.
class Examples {
 public:
  Examples();
  // Why there are none, or nothing.
  const std::string& missing() const { return missing_; }
  std::string Path(const std::string& name) const { return directory_ / name; }

 private:
  void Build(const std::string& name);

  testing::TempDir directory_;
  std::string missing_;
};

struct Server {
  std::string name;
  // The program with its arguments, which serves in the foreground. Empty: no
  // server, the directory itself is looked at.
  std::function<std::vector<std::string>(const Place&)> command;
  bool is_example = false;  // needs Examples
};

// A server that has mounted, until this goes.
class Running {
 public:
  Running(const std::vector<std::string>& command, std::string mnt);
  // Unmounts, or sends the server `signal`, upon which it should unmount
  // itself. Waits for its end, and gives what was wrong with that, or nothing.
  // One that does not end is killed.
  std::string End(int signal = 0);

 private:
  const std::string mnt_;
  testing::Process process_;
  const UniqueFd pidfd_;
};

}  // namespace barefuse::peer

#endif  // BAREFUSE_TESTS_PEER_SERVER_H_
