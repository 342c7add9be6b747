// Files for tests. What cannot work is a failed check: the program ends with a
// message, since no test can go on from there.
#ifndef BAREFUSE_TESTS_TESTING_FILES_H_
#define BAREFUSE_TESTS_TESTING_FILES_H_

#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace barefuse::testing {

// Ends the test program with errno's meaning unless `good`.
void Check(bool good, std::string_view what);

// An empty directory, removed with all that is in and mounted on it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // PATH/NAME.
  std::string operator/(std::string_view name) const;
  // Makes PATH/NAME, a directory, and gives its path.
  std::string MakeDir(std::string_view name) const;

 private:
  std::string path_;
};

void WriteFile(const std::string& path, std::string_view content);
std::string ReadFile(const std::string& path);
struct stat Stat(const std::string& path);  // of a symlink itself

// Everything below `root`: for each path relative to it, one line that says
// type, mode, owner, links, size, times, target and a sum of the content.
// Directories' sizes and access times, which are the filesystem's own affair,
// are left out.
std::map<std::string, std::string> Snapshot(const std::string& root);

// Mountpoints, in the order of mounting, at `path` or below.
std::vector<std::string> MountsBelow(std::string_view path);

// How many descriptors and threads the process has.
size_t OpenDescriptors();
size_t Threads();

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_FILES_H_
