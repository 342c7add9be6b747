#include "tests/peer/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse::peer {

std::string Complaint(const Check& check, const std::string& server,
                      const std::vector<Difference>& differences,
                      const std::string& outcome) {
  const std::string what =
      "\"" + check.name + "\" on " + server + " gives: " + outcome + "\n";
  for (const Difference& difference : differences) {
    if (difference.server != server || difference.check != check.name) continue;
    if (outcome == difference.gives) return "";
    if (outcome == check.expected) {
      return what + "as expected: the declared difference (" +
             difference.gives + ") is no longer there";
    }
    return what + "declared: " + difference.gives + " (" + difference.why + ")";
  }
  return outcome == check.expected ? "" : what + "expected: " + check.expected;
}

std::string Complaint(const std::vector<Difference>& differences,
                      const std::vector<std::string>& servers,
                      const std::vector<Check>& checks) {
  std::string complaint;
  for (const Difference& difference : differences) {
    if (std::count(servers.begin(), servers.end(), difference.server) == 0) {
      complaint += "no such server: " + difference.server + "\n";
    }
    auto check = std::find_if(
        checks.begin(), checks.end(),
        [&](const Check& one) { return one.name == difference.check; });
    if (check == checks.end()) {
      complaint += "no such check: " + difference.check + "\n";
    } else if (check->expected == difference.gives) {
      complaint += "no difference: " + difference.check + "\n";
    }
  }
  return complaint;
}

std::string Said(long result) {
  return result >= 0 ? "ok" : strerrorname_np(errno);
}

std::string Number(long result) {
  return result >= 0 ? std::to_string(result) : strerrorname_np(errno);
}

std::string InOrder(std::initializer_list<std::string> outcomes) {
  std::string text;
  for (const std::string& outcome : outcomes) {
    text += (text.empty() ? "" : ", ") + outcome;
  }
  return text;
}

std::string InProcess(const std::function<std::string()>& body, unsigned uid) {
  int ends[2];
  testing::Check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  testing::Process child([&]() -> int {
    if (uid != 0 &&
        (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 ||
         setresuid(uid, uid, uid) != 0)) {
      return 1;
    }
    const std::string outcome = body();
    return write(write_end.get(), outcome.data(), outcome.size()) ==
                   static_cast<ssize_t>(outcome.size())
               ? 0
               : 1;
  });
  write_end.reset();
  std::string outcome;
  char buffer[4096];
  for (ssize_t n; (n = read(read_end.get(), buffer, sizeof buffer)) > 0;) {
    outcome.append(buffer, static_cast<size_t>(n));
  }
  const int status = child.Wait();
  return status == 0 ? outcome : "process ended with " + std::to_string(status);
}

}  // namespace barefuse::peer
