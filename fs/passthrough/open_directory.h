// An open directory of the source. Private to fs/passthrough.
#ifndef BAREFUSE_FS_PASSTHROUGH_OPEN_DIRECTORY_H_
#define BAREFUSE_FS_PASSTHROUGH_OPEN_DIRECTORY_H_

#include <dirent.h>

#include "fs/passthrough/passthrough.h"

namespace barefuse {

struct Passthrough::OpenDirectory {
  OpenDirectory(NodeId of, uint64_t on, DIR* opened)
      : node(of), device(on), stream(opened) {}
  ~OpenDirectory() { closedir(stream); }

  const NodeId node;
  const uint64_t device;
  absl::Mutex mutex;  // one position, which several requests may want
  DIR* const stream ABSL_PT_GUARDED_BY(mutex);
  // Where the stream stands: the `next` of the entry read last.
  uint64_t position ABSL_GUARDED_BY(mutex) = 0;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_OPEN_DIRECTORY_H_
