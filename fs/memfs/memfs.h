// A filesystem in memory, like tmpfs.
#ifndef BAREFUSE_FS_MEMFS_MEMFS_H_
#define BAREFUSE_FS_MEMFS_MEMFS_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/file_system.h"

namespace barefuse {

class Notifier;

namespace memfs {
class LockTable;
class Space;
class TestIoctls;
class Tree;
struct Node;
struct OpenFile;
struct OpenFiles;
}  // namespace memfs

struct MemfsOptions {
  // Bytes that content, names and extended attributes may take: ENOSPC beyond.
  // 0 is half of the machine's memory.
  uint64_t size_limit = 0;
  // Inodes, the root among them.
  uint64_t inode_limit = uint64_t{1} << 20;
  // How long the kernel may trust names and attributes. All changes come
  // through the mount, so there is no reason for less than very long.
  absl::Duration timeout = absl::Hours(1);
  uint32_t root_mode = 0755;  // 01777 is usual for a place like /tmp
  uint32_t root_uid = 0;
  uint32_t root_gid = 0;
  // Reads and writes go past the kernel's page cache; mappings do not.
  bool direct_io = false;
  // The kernel keeps what is written for a while, and sizes and times of
  // written files with it (FUSE_WRITEBACK_CACHE).
  bool writeback_cache = false;
  // How many requests that wait for a lock may keep a slot of their worker,
  // where no room to detach is left. One more gets ENOLCK.
  uint32_t max_slot_waiters = 4;
  // fs/memfs/memfs_test_ioctls.h: for tests of the kernel's side.
  bool test_ioctls = false;
};

// Semantics are those of a local filesystem, with these choices: reading does
// not update atime (as with noatime); a directory's size is the number of its
// entries; RENAME_WHITEOUT is refused; locks are checked for conflicts but not
// for deadlocks. The kernel must check permissions (default_permissions, which
// FUSE_POSIX_ACL implies). BMAP, which has no meaning here, is left to its
// default. ioctls are in fs/memfs/ioctls.h.
//
// One object serves one mount at a time. Its files stay when that ends, and may
// be mounted again. Any thread.
class Memfs : public FileSystem {
 public:
  // InvalidArgument for options that make no sense.
  static absl::StatusOr<std::shared_ptr<Memfs>> Create(MemfsOptions options);
  ~Memfs() override;

  uint64_t WantedCapabilities() const override;
  Execution ExecutionOf(uint32_t opcode) const override;
  void Init(Connection& connection) override;
  void Destroy() override;

  void Lookup(const LookupRequest& request, EntryReply reply) override;
  void Forget(NodeId node, uint64_t lookups) override;
  void Getattr(const GetattrRequest& request, AttrReply reply) override;
  void Setattr(const SetattrRequest& request, AttrReply reply) override;
  void Statx(const StatxRequest& request, StatxReply reply) override;
  void Readlink(const ReadlinkRequest& request, DataReply reply) override;
  void Symlink(const SymlinkRequest& request, EntryReply reply) override;
  void Mknod(const MknodRequest& request, EntryReply reply) override;
  void Mkdir(const MkdirRequest& request, EntryReply reply) override;
  void Unlink(const UnlinkRequest& request, EmptyReply reply) override;
  void Rmdir(const RmdirRequest& request, EmptyReply reply) override;
  void Rename(const RenameRequest& request, EmptyReply reply) override;
  void Rename2(const Rename2Request& request, EmptyReply reply) override;
  void Link(const LinkRequest& request, EntryReply reply) override;
  void Statfs(const StatfsRequest& request, StatfsReply reply) override;

  void Open(const OpenRequest& request, OpenReply reply) override;
  void Create(const CreateRequest& request, CreateReply reply) override;
  void Tmpfile(const TmpfileRequest& request, CreateReply reply) override;
  void Read(const ReadRequest& request, DataReply reply) override;
  void Write(const WriteRequest& request, WriteReply reply) override;
  void Flush(const FlushRequest& request, EmptyReply reply) override;
  void Release(const ReleaseRequest& request, EmptyReply reply) override;
  void Fsync(const FsyncRequest& request, EmptyReply reply) override;
  void Fallocate(const FallocateRequest& request, EmptyReply reply) override;
  void Lseek(const LseekRequest& request, LseekReply reply) override;
  void CopyFileRange(const CopyFileRangeRequest& request,
                     WriteReply reply) override;
  void CopyFileRange64(const CopyFileRange64Request& request,
                       CopyFileRangeReply reply) override;
  void Ioctl(const IoctlRequest& request, IoctlReply reply) override;
  void Poll(const PollRequest& request, PollReply reply) override;

  void Getlk(const GetlkRequest& request, LockReply reply) override;
  void Setlk(const SetlkRequest& request, EmptyReply reply) override;
  void Setlkw(const SetlkwRequest& request, EmptyReply reply) override;

  void Opendir(const OpendirRequest& request, OpenReply reply) override;
  void Readdir(const ReaddirRequest& request, DirectoryReply reply) override;
  void Readdirplus(const ReaddirplusRequest& request,
                   DirectoryPlusReply reply) override;
  void Releasedir(const ReleasedirRequest& request, EmptyReply reply) override;
  void Fsyncdir(const FsyncdirRequest& request, EmptyReply reply) override;
  void Syncfs(const SyncfsRequest& request, EmptyReply reply) override;

  void Setxattr(const SetxattrRequest& request, EmptyReply reply) override;
  void Getxattr(const GetxattrRequest& request, XattrReply reply) override;
  void Listxattr(const ListxattrRequest& request, XattrReply reply) override;
  void Removexattr(const RemovexattrRequest& request,
                   EmptyReply reply) override;

 private:
  struct Creation;

  explicit Memfs(const MemfsOptions& options);

  // What an earlier mount has left: open files, locks, lookups.
  void ForgetMount();

  // What a reply says of a node; takes one lookup of it. Under the tree's lock.
  abi::fuse_entry_out TakeEntry(memfs::Node& node) const;
  // The same without a lookup: nodeid 0.
  abi::fuse_entry_out NoEntry() const;
  abi::fuse_attr_out AttrOut(const memfs::Node& node) const;

  // Positive errno values. `node` is found under the tree's lock.
  std::shared_ptr<memfs::Node> Find(NodeId id) const;
  int LookupName(NodeId parent, std::string_view name,
                 abi::fuse_entry_out* entry);
  int CreateNode(const Creation& creation, abi::fuse_entry_out* entry,
                 std::shared_ptr<memfs::Node>* node);
  int InheritFrom(const memfs::Node& parent, const Creation& creation,
                  memfs::Node* node) const;
  int RemoveEntry(NodeId parent, std::string_view name, bool directory);
  int RenameEntry(NodeId from, std::string_view name, NodeId to,
                  std::string_view to_name, uint32_t flags);
  int LinkNode(NodeId id, NodeId parent, std::string_view name,
               abi::fuse_entry_out* entry);

  int CheckSetattr(const SetattrRequest& request,
                   std::shared_ptr<memfs::Node>* node) const;
  int SetXattr(const SetxattrRequest& request);
  int SetAcl(memfs::Node& node, std::string_view name, std::string_view value,
             uint32_t setxattr_flags);
  int GetXattr(NodeId id, std::string_view name, std::string* value) const;

  // The open file `fh` of `node`, or nullptr: EBADF.
  std::shared_ptr<memfs::OpenFile> File(uint64_t fh, NodeId node) const;
  std::shared_ptr<memfs::OpenFile> OpenFileOrDirectory(uint64_t fh,
                                                       NodeId node) const;
  std::shared_ptr<memfs::OpenFile> OpenDirectory(uint64_t fh,
                                                 NodeId node) const;
  uint64_t AddOpenFile(std::shared_ptr<memfs::Node> node, uint32_t flags);
  // Takes a handle back. False: there is none with this number.
  bool CloseFile(uint64_t fh);
  void ContentChanged(memfs::Node& node, bool kill_ids);
  void SetOpenFlags(OpenFlags* flags) const;
  int64_t CopyRange(const abi::fuse_copy_file_range_in& in, NodeId node);
  template <class Add>
  int ReadEntries(const abi::fuse_read_in& in, NodeId node, const Add& add);
  uint32_t FlagsOf(const memfs::Node& node) const;
  int SetFlags(memfs::Node& node, uint32_t flags);
  void SetPollMask(memfs::Node& node, uint32_t mask);

  const MemfsOptions options_;
  uint64_t timeout_seconds_;
  uint32_t timeout_nanoseconds_;
  std::shared_ptr<Notifier> notifier_;  // set by Init, before any request
  // In this order: what is freed last comes first.
  const std::unique_ptr<memfs::Space> space_;
  const std::unique_ptr<memfs::Tree> tree_;
  const std::unique_ptr<memfs::OpenFiles> files_;
  const std::shared_ptr<memfs::LockTable> locks_;
  std::unique_ptr<memfs::TestIoctls> test_ioctls_;  // nullptr: not wanted
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_MEMFS_MEMFS_H_
