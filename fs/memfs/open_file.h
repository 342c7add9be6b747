// What the kernel's file handles stand for.
#ifndef BAREFUSE_FS_MEMFS_OPEN_FILE_H_
#define BAREFUSE_FS_MEMFS_OPEN_FILE_H_

#include <fcntl.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "fs/id_table.h"
#include "fs/memfs/node.h"

namespace barefuse::memfs {

// An open file or directory. Keeps its node alive.
struct OpenFile {
  const std::shared_ptr<Node> node;
  const uint32_t flags;  // O_*
  // Of a directory: entries from this cookie on came after reading began at its
  // start, and are not shown. Otherwise renaming what is read would make
  // reading endless.
  std::atomic<uint64_t> end{UINT64_MAX};

  bool Writable() const { return (flags & O_ACCMODE) != O_RDONLY; }
};

struct OpenFiles {
  IdTable<OpenFile> table;
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_OPEN_FILE_H_
