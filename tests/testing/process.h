// Programs run by tests.
#ifndef BAREFUSE_TESTS_TESTING_PROCESS_H_
#define BAREFUSE_TESTS_TESTING_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server/unique_fd.h"

namespace barefuse::testing {

// A file of the build, by its path in the workspace ("tools/barefuse").
std::string Runfile(const std::string& path);

struct Ended {
  int status = 0;  // exit status, or 128 + the signal that ended it
  std::string out;
  std::string err;
};

// Runs `arguments` to its end. Programs that go to the background are not
// waited for. `prepare` runs in the child before the program does.
Ended RunToEnd(const std::vector<std::string>& arguments,
               const std::function<void()>& prepare = nullptr);

// A running child, killed when this goes. Its output can be read while it runs.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments);
  // A child that runs `body`, and exits with what it gives.
  explicit Process(const std::function<int()>& body);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // Reads its stderr up to and including the first line that contains `text`;
  // the end of the output is a failed check.
  std::string ReadErrUntil(const std::string& text);
  // Waits for its end; gives the exit status as Ended::status.
  int Wait();

 private:
  pid_t pid_ = -1;
  UniqueFd err_;
};

// The daemons that programs have left behind and that are ours to wait for, by
// PR_SET_CHILD_SUBREAPER.
std::vector<pid_t> Children();

// Waits for a child that is not a Process; gives its Ended::status.
int WaitFor(pid_t child);

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_PROCESS_H_
