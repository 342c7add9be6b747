// An inode.
#ifndef BAREFUSE_FS_MEMFS_NODE_H_
#define BAREFUSE_FS_MEMFS_NODE_H_

#include <sys/stat.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "fs/memfs/acl.h"
#include "fs/memfs/directory.h"
#include "fs/memfs/file_data.h"
#include "fs/memfs/space.h"
#include "fs/memfs/xattrs.h"
#include "kernel_abi/fuse.h"
#include "server/request.h"

namespace barefuse::memfs {

// Everything but `lookups`, `opens`, what is const, and the content of `data`
// is guarded by Tree::mutex.
struct Node {
  // Takes over one inode of `space`, which outlives the node. `mode` has the
  // type. All times are now.
  Node(Space& space, NodeId node_id, uint32_t file_mode);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  bool IsDirectory() const { return type == S_IFDIR; }
  bool IsRegular() const { return type == S_IFREG; }
  bool IsSymlink() const { return type == S_IFLNK; }
  bool Immutable() const;
  bool AppendOnly() const;

  // The content has changed, or what is known about it.
  void TouchContent();
  void TouchAttributes();
  // What a write, a truncation or a change of owner takes away: capabilities,
  // and where `ids` the set-user-id bit and the set-group-id bit of programs.
  // True: the mode has changed.
  bool DropPrivileges(bool ids);
  // chmod(2), with what it means for the access list.
  void Chmod(uint32_t permissions);
  // Sets one of the two access lists. False: no space.
  bool SetAcl(std::optional<Acl> Node::*which, std::optional<Acl> acl);

  abi::fuse_attr Attr() const;
  abi::fuse_statx Statx() const;

  Space& space;
  const NodeId id;      // the inode number too; never used again
  const uint32_t type;  // S_IF*
  uint32_t mode;        // with the type
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t rdev = 0;
  uint32_t nlink = 0;
  uint32_t flags = 0;     // FS_*_FL
  bool linkable = false;  // O_TMPFILE: may get a first link
  timespec atime;
  timespec mtime;
  timespec ctime;
  const timespec btime;

  Xattrs xattrs;
  std::optional<Acl> access_acl;
  std::optional<Acl> default_acl;

  // What the kernel knows it by; not changed downwards but by Tree::Forget.
  std::atomic<uint64_t> lookups{0};
  std::atomic<uint32_t> opens{0};  // open files

  const std::unique_ptr<FileData> data;  // of a regular file
  std::unique_ptr<Directory> directory;  // of a directory
  Node* parent = nullptr;  // of a directory; nullptr once it is removed
  std::string target;      // of a symbolic link

  // poll(2): what a program said that the file is ready for, and the kernel's
  // handles of those who wait, by the handle of their open file.
  uint32_t poll_mask;
  std::map<uint64_t, uint64_t> pollers;
};

// CLOCK_REALTIME.
timespec Now();

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_NODE_H_
