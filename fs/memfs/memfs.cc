// The filesystem as a whole. Names are in memfs_names.cc, attributes in
// memfs_attributes.cc and memfs_xattrs.cc, files in memfs_files.cc and
// memfs_locks.cc, directories in memfs_directories.cc, ioctl and poll in
// memfs_ioctl.cc.
#include "fs/memfs/memfs.h"

#include <errno.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <utility>

#include "fs/memfs/lock_table.h"
#include "fs/memfs/memfs_test_ioctls.h"
#include "fs/memfs/open_file.h"
#include "fs/memfs/space.h"
#include "fs/memfs/tree.h"

namespace barefuse {

using memfs::Node;

namespace {

constexpr uint64_t kPageSize = memfs::FileData::kPageSize;

uint64_t HalfOfMemory() {
  struct sysinfo info;
  if (sysinfo(&info) != 0) return uint64_t{1} << 30;
  return uint64_t{info.totalram} * info.mem_unit / 2;
}

MemfsOptions Completed(MemfsOptions options) {
  if (options.size_limit == 0) options.size_limit = HalfOfMemory();
  // The kernel adds it to its clock: keep that from running over.
  options.timeout = std::min(options.timeout, absl::Hours(24 * 365));
  return options;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Memfs>> Memfs::Create(MemfsOptions options) {
  if (options.inode_limit == 0) {
    return absl::InvalidArgumentError(
        "memfs needs at least one inode, for its root");
  }
  if (options.timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("memfs: the timeout is negative");
  }
  if ((options.root_mode & ~07777u) != 0) {
    return absl::InvalidArgumentError(
        "memfs: the mode of the root has more than permission bits");
  }
  return std::shared_ptr<Memfs>(new Memfs(Completed(options)));
}

Memfs::Memfs(const MemfsOptions& options)
    : options_(options),
      timeout_seconds_(
          static_cast<uint64_t>(absl::ToInt64Seconds(options.timeout))),
      timeout_nanoseconds_(static_cast<uint32_t>(
          absl::ToInt64Nanoseconds(options.timeout % absl::Seconds(1)))),
      space_(std::make_unique<memfs::Space>(options.size_limit,
                                            options.inode_limit)),
      tree_(std::make_unique<memfs::Tree>(*space_, options.root_mode,
                                          options.root_uid, options.root_gid)),
      files_(std::make_unique<memfs::OpenFiles>()),
      locks_(std::make_shared<memfs::LockTable>(options.max_slot_waiters)) {
  if (options.test_ioctls) {
    test_ioctls_ = std::make_unique<memfs::TestIoctls>(*tree_);
  }
}

Memfs::~Memfs() = default;

uint64_t Memfs::WantedCapabilities() const {
  // Not AUTO_INVAL_DATA: each write changes mtime here, and would cost the
  // kernel its pages. Nobody else writes. Not ASYNC_DIO: see FileSystem's.
  uint64_t wanted = abi::FUSE_ASYNC_READ | abi::FUSE_BIG_WRITES |
                    abi::FUSE_MAX_PAGES | abi::FUSE_PARALLEL_DIROPS |
                    abi::FUSE_ATOMIC_O_TRUNC | abi::FUSE_EXPLICIT_INVAL_DATA |
                    abi::FUSE_POSIX_LOCKS | abi::FUSE_FLOCK_LOCKS |
                    abi::FUSE_POSIX_ACL | abi::FUSE_DONT_MASK |
                    abi::FUSE_HANDLE_KILLPRIV_V2 | abi::FUSE_SETXATTR_EXT |
                    abi::FUSE_DO_READDIRPLUS | abi::FUSE_READDIRPLUS_AUTO |
                    abi::FUSE_CACHE_SYMLINKS | abi::FUSE_EXPORT_SUPPORT |
                    abi::FUSE_HAS_IOCTL_DIR | abi::FUSE_HAS_EXPIRE_ONLY |
                    abi::FUSE_HAS_RESEND | abi::FUSE_CREATE_SUPP_GROUP |
                    abi::FUSE_DIRECT_IO_ALLOW_MMAP;
  if (options_.writeback_cache) wanted |= abi::FUSE_WRITEBACK_CACHE;
  return wanted;
}

Execution Memfs::ExecutionOf(uint32_t opcode) const {
  // They wait for nobody, but may have gigabytes to copy or to clear.
  switch (opcode) {
    case abi::FUSE_FALLOCATE:
    case abi::FUSE_COPY_FILE_RANGE:
    case abi::FUSE_COPY_FILE_RANGE_64:
      return Execution::kBlocking;
    default:
      return Execution::kWorker;
  }
}

void Memfs::Init(Connection& connection) {
  // This kernel has opened, locked and looked up nothing yet.
  ForgetMount();
  notifier_ = connection.notifier();
  if (test_ioctls_ != nullptr) test_ioctls_->Use(notifier_);
}

void Memfs::Destroy() { locks_->Clear(); }

void Memfs::ForgetMount() {
  locks_->Clear();
  files_->table.Clear();
  memfs::Dead dead;
  absl::MutexLock lock(&tree_->mutex);
  tree_->ForgetAll(&dead);
}

// --- What replies say ---

abi::fuse_entry_out Memfs::NoEntry() const {
  abi::fuse_entry_out entry{};
  entry.entry_valid = entry.attr_valid = timeout_seconds_;
  entry.entry_valid_nsec = entry.attr_valid_nsec = timeout_nanoseconds_;
  return entry;
}

abi::fuse_entry_out Memfs::TakeEntry(Node& node) const {
  node.lookups.fetch_add(1, std::memory_order_relaxed);
  abi::fuse_entry_out entry = NoEntry();
  entry.nodeid = node.id;
  entry.attr = node.Attr();
  return entry;
}

abi::fuse_attr_out Memfs::AttrOut(const Node& node) const {
  abi::fuse_attr_out out{};
  out.attr_valid = timeout_seconds_;
  out.attr_valid_nsec = timeout_nanoseconds_;
  out.attr = node.Attr();
  return out;
}

std::shared_ptr<Node> Memfs::Find(NodeId id) const {
  absl::ReaderMutexLock lock(&tree_->mutex);
  return tree_->Find(id);
}

// --- The whole ---

void Memfs::Forget(NodeId node, uint64_t lookups) {
  memfs::Dead dead;
  absl::MutexLock lock(&tree_->mutex);
  tree_->Forget(node, lookups, &dead);
}

void Memfs::Statfs(const StatfsRequest&, StatfsReply reply) {
  abi::fuse_statfs_out out{};
  const uint64_t blocks = space_->byte_limit() / kPageSize;
  const uint64_t used = (space_->bytes_used() + kPageSize - 1) / kPageSize;
  out.st.bsize = out.st.frsize = kPageSize;
  out.st.blocks = blocks;
  out.st.bfree = out.st.bavail = blocks - std::min(used, blocks);
  out.st.files = space_->inode_limit();
  out.st.ffree = space_->inode_limit() - space_->inodes_used();
  out.st.namelen = memfs::Tree::kNameMax;
  std::move(reply).Ok(out);
}

void Memfs::Syncfs(const SyncfsRequest&, EmptyReply reply) {
  std::move(reply).Ok();
}

}  // namespace barefuse
