// What can be seen of a file, and whether two of them look alike.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_SEEN_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_SEEN_H_

#include <sys/stat.h>

#include <string>

namespace barefuse::differential {

// What statx(2) came to.
struct Seen {
  int error = 0;
  struct statx info {};

  bool IsRegular() const { return error == 0 && S_ISREG(info.stx_mode); }
  bool IsSymlink() const { return error == 0 && S_ISLNK(info.stx_mode); }
};
Seen Look(int directory, const std::string& path, int flags);

// The clock that files' times come from, as nanoseconds since 1970.
int64_t FileClock();

// One file at one place, before and after an operation.
struct BeforeAndAfter {
  Seen before;
  Seen after;
};

// In what two files differ that the same has been done to since `clock`; empty:
// in nothing. Values of times count where somebody has set them; of the others
// whether the operation has moved them; times of access only with `reads`.
std::string CompareSeen(const BeforeAndAfter& plain,
                        const BeforeAndAfter& mount, int64_t clock, bool reads);

// The same for one file seen in two ways: everything counts.
std::string CompareViews(const Seen& source, const Seen& mount, bool reads);

// Extended attributes and their values, in the order of names, of what `path`
// (one in /proc, or relative to the thread's root) or `fd` stands for, as text.
std::string XattrsOf(const std::string& path);
std::string XattrsOf(int fd);

// Whether both have the same content, as far as one megabyte. Their owners
// cannot tell that they have been read.
std::string CompareContent(int plain, int mount);

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_SEEN_H_
