// A filesystem that shows a directory of another one, the source. The kernel
// reads and writes the source's files itself wherever it can.
#ifndef BAREFUSE_FS_PASSTHROUGH_PASSTHROUGH_H_
#define BAREFUSE_FS_PASSTHROUGH_PASSTHROUGH_H_

#include <dirent.h>
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "fs/id_table.h"
#include "fs/passthrough/flock_waiters.h"
#include "fs/passthrough/inode_table.h"
#include "fs/passthrough/proc_fds.h"
#include "server/file_system.h"

namespace barefuse {

// How far the kernel may trust what it was told.
enum class CacheMode {
  // Not at all: names and attributes are asked for every time, and data that
  // it does not read from the source itself goes past its page cache.
  kNever,
  // For a moment. Data of a file that has changed is dropped when it is opened.
  kAuto,
  // Until it hears otherwise, data and the entries of directories too: for a
  // source that nobody changes but through the mount.
  kAlways,
};

struct PassthroughOptions {
  std::string source{};     // a directory
  bool passthrough = true;  // let the kernel read and write by itself
  // Shows the source's tree of mounts as it is now, by a copy of its own: for
  // where this filesystem is going to be mounted in the source, which would
  // contain itself otherwise. Takes CAP_SYS_ADMIN and Linux 5.12.
  bool own_tree = false;
  // Reads and writes go past the kernel's page cache and come here, also those
  // of passed-through files; mappings of those are still passed through.
  bool direct_io = false;
  // /proc is of the process namespace of whoever mounted, so that it tells the
  // supplementary groups of callers.
  bool callers_in_proc = true;
  CacheMode cache = CacheMode::kAuto;
  // How long the kernel may trust names, and attributes. Changes made in the
  // source, not through the mount, show within this time. By default as `cache`
  // says: not at all, a second, a day. attr_timeout by default as timeout.
  std::optional<absl::Duration> timeout{};
  std::optional<absl::Duration> attr_timeout{};
  // The mount may be mounted elsewhere with other user and group ids
  // (mount_setattr(2), MOUNT_ATTR_IDMAP). The kernel does not tell then who
  // asks, but for creations: set-user-id bits go with every write, root's too,
  // and `trusted.` attributes are listed to nobody. Takes default_permissions
  // and Linux 6.12.
  bool idmap = false;
  // The kernel gathers writes and takes its own word for sizes and times. It
  // then passes no file through, and the source must be left alone by others.
  // Not with direct_io or kNever.
  bool writeback = false;
};

// Serves as the process's user. As root it creates files as whoever asks, and
// leaves checking permissions to the kernel: mount with default_permissions.
// umask(2) should be 0 in the process, since modes arrive with the caller's
// umask applied, and as root it should have no supplementary groups, which
// would be taken for the callers'.
class Passthrough : public FileSystem {
 public:
  // Opens the source. InvalidArgument: options that exclude each other.
  static absl::StatusOr<std::shared_ptr<Passthrough>> Create(
      PassthroughOptions options);

  ~Passthrough() override { flock_waiters_->Stop(); }

  uint64_t WantedCapabilities() const override;
  Execution ExecutionOf(uint32_t opcode) const override;
  void Init(Connection& connection) override;

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
  void Access(const AccessRequest& request, EmptyReply reply) override;
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

  void Setlk(const SetlkRequest& request, EmptyReply reply) override;
  void Setlkw(const SetlkwRequest& request, EmptyReply reply) override;

  void Opendir(const OpendirRequest& request, OpenReply reply) override;
  void Readdir(const ReaddirRequest& request, DirectoryReply reply) override;
  void Readdirplus(const ReaddirplusRequest& request,
                   DirectoryPlusReply reply) override;
  void Releasedir(const ReleasedirRequest& request, EmptyReply reply) override;
  void Fsyncdir(const FsyncdirRequest& request, EmptyReply reply) override;

  void Setxattr(const SetxattrRequest& request, EmptyReply reply) override;
  void Getxattr(const GetxattrRequest& request, XattrReply reply) override;
  void Listxattr(const ListxattrRequest& request, XattrReply reply) override;
  void Removexattr(const RemovexattrRequest& request,
                   EmptyReply reply) override;
  void Ioctl(const IoctlRequest& request, IoctlReply reply) override;

  // How many inodes, open files and open directories there are.
  size_t inodes() const { return inodes_->size(); }
  size_t open_files() const { return files_.size(); }
  size_t open_directories() const { return directories_.size(); }

 private:
  struct OpenFile {
    ~OpenFile() {
      if (writes) inode->writers.fetch_sub(1, std::memory_order_relaxed);
    }

    std::shared_ptr<OpenInode> inode;  // outlives `use`
    UniqueFd fd;
    BackingUse use;
    bool writes = false;  // counted in inode->writers
    bool direct_io = false;
    std::atomic<bool> said_misrouted{false};
  };
  struct OpenDirectory;
  class Victim;

  Passthrough(PassthroughOptions options, std::unique_ptr<InodeTable> inodes,
              std::unique_ptr<ProcFds> proc_fds);

  // The helpers give 0 or an errno.
  int OpenParent(NodeId node, std::string_view name, Inode* parent);
  // For a caller, whose O_* flags `flags` are. EWOULDBLOCK: it takes time, and
  // `wait` is not set.
  int OpenInode(const Inode& inode, uint32_t flags,
                const std::optional<Ids>& ids, bool wait, UniqueFd* fd) const;
  int FileFlags(uint32_t flags) const;
  int LookupDots(NodeId node, std::string_view name,
                 abi::fuse_entry_out* entry);
  // In the directory `parent`, of which `fd` is a descriptor.
  int LookupName(NodeId parent, int fd, std::string_view name,
                 abi::fuse_entry_out* entry);
  int LookupFd(UniqueFd fd, uint64_t name, Inode* inode, struct statx* info);
  mode_t CreationMode(const Inode& parent, uint32_t mode, uint32_t umask) const;
  void AnswerCreation(int error, const Inode& parent, std::string_view name,
                      EntryReply reply);
  int RemoveName(NodeId node, std::string_view name, int flags);
  int Attributes(NodeId node, uint32_t has_fh, uint64_t fh,
                 abi::fuse_attr_out* out);
  int KillPrivileges(const SetattrRequest& request, const Inode& inode);
  bool IsAsSideEffect(const std::optional<Ids>& ids, const Inode& inode);
  int ChangeNothing(const SetattrRequest& request, const Inode& inode);
  int Truncate(const SetattrRequest& request, const Inode& inode,
               const OpenFile* file, bool wait);
  int ChangeAttributes(const SetattrRequest& request, const Inode& inode,
                       const OpenFile* file, bool wait);
  uint64_t AddOpenFile(Connection& connection, const Inode& inode, UniqueFd fd,
                       uint32_t flags, OpenFlags* reply);
  void FinishCreation(Connection& connection, UniqueFd fd, uint32_t flags,
                      CreateReply reply);
  int CopyRange(const std::optional<Ids>& ids,
                const abi::fuse_copy_file_range_in& in, ssize_t* copied);
  int RenameName(const std::optional<Ids>& ids, NodeId from,
                 std::string_view old_name, NodeId to,
                 std::string_view new_name, uint32_t flags);
  int FsyncFd(int fd, uint32_t flags);
  int Flock(const abi::fuse_lk_in& in, std::shared_ptr<OpenFile>* file);
  static bool IsReadahead(const OpenFile& file, const ReadRequest& request);
  static bool IsMisrouted(OpenFile& file, Connection& connection);
  void ProbeBacking(Connection& connection);
  void SayOnce(Connection& connection, const absl::Status& why_not);
  bool PassesThrough() const { return terms_.Has(abi::FUSE_PASSTHROUGH); }
  bool WritesBack() const { return terms_.Has(abi::FUSE_WRITEBACK_CACHE); }
  bool KeepsCache(const Inode& inode, int fd);
  bool ChangesUnseen(NodeId node);
  bool IsWrittenInSource(NodeId node);
  // The out arguments of the request: attributes, and how long they hold.
  template <class Out>
  void FillAttr(NodeId node, const struct statx& info, Out* out);
  void FillEntry(const Inode& inode, const struct statx& info,
                 abi::fuse_entry_out* entry);

  // As the protocol has durations.
  struct Timeout {
    explicit Timeout(absl::Duration duration);
    bool none() const { return seconds == 0 && nanoseconds == 0; }

    uint64_t seconds;
    uint32_t nanoseconds;
  };

  const PassthroughOptions options_;
  const Timeout name_timeout_;
  const Timeout attr_timeout_;
  const std::unique_ptr<ProcFds> proc_fds_;
  const std::unique_ptr<InodeTable> inodes_;
  proto::Dialect terms_;  // what INIT settled
  IdTable<OpenFile> files_;
  IdTable<OpenDirectory> directories_;
  const std::shared_ptr<FlockWaiters> flock_waiters_ =
      std::make_shared<FlockWaiters>();
  std::atomic<bool> said_why_not_{false};
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_PASSTHROUGH_H_
