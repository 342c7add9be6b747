// Files that nobody may touch, and what notices it when somebody does.
#ifndef BAREFUSE_TESTS_TESTING_CANARY_H_
#define BAREFUSE_TESTS_TESTING_CANARY_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/unique_fd.h"

namespace barefuse::testing {

// Notices when files are opened, read, written, changed or removed, by whomever
// and whichever way. Opening by O_PATH is not noticed: it reaches nothing.
class Watch {
 public:
  Watch();
  // Of the file itself, a symlink too, and of what is in a directory. Opens
  // nothing.
  void Add(const std::string& path);
  // What has happened since the last call, one line each.
  std::vector<std::string> Events();

 private:
  UniqueFd inotify_;
  std::map<int, std::string> paths_;
};

// A directory with files of all kinds in it.
class Canary {
 public:
  // What reading the file "secret" gives.
  static constexpr std::string_view kSecret = "a canary's secret";

  // Makes the directory, in which are "secret", "dir/inner", "fifo" and "link".
  explicit Canary(std::string at);

  const std::string& path() const { return path_; }
  // What has been done to it, one line each; nothing where all is as it was:
  // names, contents, attributes, times of access too, extended attributes, and
  // nobody has opened it. Opens it, and so is for the end.
  std::vector<std::string> Touched();

 private:
  std::map<std::string, std::string> Describe() const;

  const std::string path_;
  Watch watch_;
  std::map<std::string, std::string> before_;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_CANARY_H_
