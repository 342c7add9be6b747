// Whole trees.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_TREE_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_TREE_H_

#include <map>
#include <string>

#include "tests/differential/seen.h"

namespace barefuse::differential {

struct TreeEntry {
  Seen seen;
  uint64_t entry_ino = 0;  // as the directory has it
  uint8_t entry_type = 0;
  std::string xattrs;
  std::string target;   // of a symlink
  std::string content;  // its size and a sum
  std::string same_as;  // the first name of the same file, in this order
};
using Tree = std::map<std::string, TreeEntry>;

// Everything in the thread's root, by its path. Times of access stay.
Tree ReadTree();

// The first few differences, empty: none. Of one filesystem seen in two ways
// everything counts, else what is about the same; times of access only with
// `reads`.
std::string CompareTrees(const Tree& plain, const Tree& mount, bool two_views,
                         bool reads);

// Removes what is in a directory, whatever flags it has. For a thread that is
// root.
void ClearDirectory(const std::string& path);

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_TREE_H_
