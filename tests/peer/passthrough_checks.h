// What programs do to a directory, and what a local filesystem makes of it.
// Each check starts with an empty one.
#ifndef BAREFUSE_TESTS_PEER_PASSTHROUGH_CHECKS_H_
#define BAREFUSE_TESTS_PEER_PASSTHROUGH_CHECKS_H_

#include <fcntl.h>

#include <string>
#include <vector>

#include "server/unique_fd.h"
#include "tests/peer/check.h"

namespace barefuse::peer {

std::vector<Check> TreeChecks();  // names, and the trees that they make
std::vector<Check> AttributeChecks();
std::vector<Check> FileChecks();    // content
std::vector<Check> RightsChecks();  // users and locks

inline UniqueFd OpenFile(const std::string& path, int flags,
                         mode_t mode = 0644) {
  return UniqueFd(open(path.c_str(), flags | O_CLOEXEC, mode));
}

}  // namespace barefuse::peer

#endif  // BAREFUSE_TESTS_PEER_PASSTHROUGH_CHECKS_H_
