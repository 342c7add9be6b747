// Where directories are, by whatever paths they are reached.
#ifndef BAREFUSE_TOOLS_MOUNT_PLACE_H_
#define BAREFUSE_TOOLS_MOUNT_PLACE_H_

#include <string>

namespace barefuse {

// Whether what is mounted at `mountpoint` shows in the directory `source`, or
// would do so by one of its mounts: it is below it, or in a directory of the
// same filesystem that a bind mount shows below it. False for paths that lead
// nowhere.
bool ShowsIn(const std::string& source, const std::string& mountpoint);

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_MOUNT_PLACE_H_
