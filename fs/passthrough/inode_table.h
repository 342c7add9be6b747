// The inodes of the source that the kernel knows.
#ifndef BAREFUSE_FS_PASSTHROUGH_INODE_TABLE_H_
#define BAREFUSE_FS_PASSTHROUGH_INODE_TABLE_H_

#include <errno.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "fs/passthrough/descriptor_cache.h"
#include "fs/passthrough/file_handle.h"
#include "fs/passthrough/path_fd.h"
#include "fs/passthrough/source_mounts.h"
#include "server/backing_file.h"
#include "server/request.h"

namespace barefuse {

// One inode, whatever its names, in the hands of who works with it.
struct Inode {
  NodeId node = 0;
  mode_t type = 0;  // S_IFMT bits, which never change
  const SourceMount* mount = nullptr;
  PathFd fd;
};

// What all open files of one inode share.
struct OpenInode {
  OpenInode(NodeId of, PathFd path) : node(of), fd(std::move(path)) {}

  const NodeId node;
  const PathFd fd;
  SharedBacking backing;
  // Opens for writing.
  std::atomic<uint32_t> writers{0};
};

// Finds inodes by node id and by what they are in the source. Hard links share
// an inode; an inode number that the source uses again is another inode, with
// another node id. The generation is always 0: node ids count up, or are made
// of what tells inodes apart for ever.
//
// An inode that is known takes no descriptor where the source has file handles:
// it is opened when it is needed, and stays open for a while. Any thread.
class InodeTable {
 public:
  // `root` is an O_PATH descriptor of a directory; it becomes FUSE_ROOT_ID and
  // is never forgotten. Up to `descriptors` stay open beyond what is needed.
  // `whole`: all of the filesystem that it is of may be reached from it.
  static absl::StatusOr<std::unique_ptr<InodeTable>> Create(UniqueFd root,
                                                            size_t descriptors,
                                                            bool whole);

  // Whether node ids are made of the source's handles, where those fit, so that
  // one that was forgotten still names its inode (Restore). Only where the
  // source is a whole filesystem: whoever makes up a node id may reach it all.
  bool exports() const { return exports_; }
  // An inode that is known, or was. Gives 0 or an errno; ESTALE: it never was,
  // or is gone. Takes no lookup.
  int Restore(NodeId node, Inode* inode);

  // The inode of a node id. Gives 0 or an errno: ESTALE for one that was never
  // given out, has been forgotten, or is gone in the source.
  int Open(NodeId node, Inode* inode);

  // The inode that `fd`, an O_PATH descriptor, is of: the known one, or a new
  // one. Takes one lookup of it. `info` is filled in. `name` is a hash of the
  // name by which it was found, and its directory; it matters where the names
  // of an inode may part. Gives 0 or an errno.
  int Lookup(UniqueFd fd, uint64_t name, Inode* inode, struct statx* info);

  // The same without taking a lookup: the node id, or 0 where it is not known.
  NodeId Peek(const PathFd& fd, uint64_t name, struct statx* info);

  // Gives lookups back. Unknown nodes and too large numbers do no harm.
  void Forget(NodeId node, uint64_t lookups);

  // Holds an inode open as long as it is known: its last name is gone, and by a
  // handle it might not be found any more.
  void Pin(NodeId node, PathFd fd);

  // What the open files of `inode` share. It goes with the last of them.
  std::shared_ptr<OpenInode> Share(const Inode& inode);

  // Calls `open`, which gives a descriptor or an empty one and errno. Where the
  // process has too many, those that are only kept for later are closed and it
  // is called again; ENFILE then, since EMFILE would speak of the caller's.
  template <class Open>
  UniqueFd OpenWithRoom(Open open) {
    UniqueFd fd = open();
    if (fd || errno != EMFILE) return fd;
    cache_.Clear();
    fd = open();
    if (!fd && errno == EMFILE) errno = ENFILE;
    return fd;
  }

  // Whether somebody has it open for writing.
  bool IsWritten(NodeId node);

  // Remembers which state of its data an inode was in. Gives what was
  // remembered before; 0 for nothing.
  uint64_t SetVersion(NodeId node, uint64_t version);

  // Counts an open with which a mapping may have been made that can be stored
  // to.
  void CountMappable(NodeId node);
  // How many there were; 0 again once ForgetMappable was told the same number.
  uint32_t Mappable(NodeId node);
  void ForgetMappable(NodeId node, uint32_t count);

  SourceMounts& mounts() { return mounts_; }
  // Known inodes, the root included.
  size_t size() const;

 private:
  struct Known {
    uint64_t lookups = 0;
    uint64_t version = 0;
    FileHandle handle;
    uint16_t mount = 0;
    uint16_t type = 0;  // S_IFMT bits
    uint32_t mappable = 0;
  };
  using Nodes = absl::flat_hash_map<NodeId, Known>;
  struct Key {
    const FileHandle& handle;
    uint16_t mount;
  };
  // Finds node ids by the keys of what they name, without keeping keys twice.
  struct KeyOf {
    const Nodes* nodes;
    Key operator()(NodeId node) const {
      const Known& known = nodes->at(node);
      return {known.handle, known.mount};
    }
    Key operator()(const Key& key) const { return key; }
  };
  struct Hash : KeyOf {
    using is_transparent = void;
    template <class T>
    size_t operator()(const T& thing) const {
      return HashOf(KeyOf::operator()(thing));
    }
  };
  struct Equal : KeyOf {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      const Key left = KeyOf::operator()(a);
      const Key right = KeyOf::operator()(b);
      return left.mount == right.mount && left.handle == right.handle;
    }
  };
  // A part of the inodes, by the hash of their keys; the lowest bits of a node
  // id say which.
  struct Shard {
    mutable absl::Mutex mutex;
    uint64_t next ABSL_GUARDED_BY(mutex) = 1;
    Nodes nodes ABSL_GUARDED_BY(mutex);
    absl::flat_hash_set<NodeId, Hash, Equal> by_key ABSL_GUARDED_BY(mutex){
        0, Hash{&nodes}, Equal{&nodes}};
    absl::flat_hash_map<NodeId, PathFd> pins ABSL_GUARDED_BY(mutex);
    absl::flat_hash_map<NodeId, std::weak_ptr<OpenInode>> open
        ABSL_GUARDED_BY(mutex);
  };
  static constexpr size_t kShards = 64;

  // Node ids that a handle is packed in.
  static constexpr NodeId kPacked = NodeId{1} << 63;

  explicit InodeTable(size_t descriptors) : cache_(descriptors) {}
  static size_t HashOf(const Key& key);
  static size_t ShardNumber(const Key& key);
  Shard& ShardOf(NodeId node) { return shards_[node % kShards]; }
  int Identify(const PathFd& fd, uint64_t name, struct statx* info,
               const SourceMount** mount, FileHandle* handle);
  void Unshare(OpenInode* inode);
  // The node id that a handle is packed in; 0 where it does not fit.
  NodeId PackedId(const Key& key) const;
  UniqueFd OpenHandle(const FileHandle& handle, const SourceMount& mount);

  bool exports_ = false;
  FileHandle root_handle_;
  SourceMounts mounts_;
  Inode root_;
  DescriptorCache cache_;
  std::array<Shard, kShards> shards_;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_INODE_TABLE_H_
