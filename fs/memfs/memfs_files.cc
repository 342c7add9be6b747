// Open files and their content.
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "fs/memfs/lock_table.h"
#include "fs/memfs/memfs.h"
#include "fs/memfs/open_file.h"
#include "fs/memfs/tree.h"
#include "server/notifier.h"

namespace barefuse {

using memfs::FileData;
using memfs::Node;
using memfs::OpenFile;

namespace {

// As much as one COPY_FILE_RANGE copies; callers come back for the rest.
constexpr uint64_t kCopyMost = uint64_t{64} << 20;

// What immutable and append-only files forbid to those who open them.
bool OpenIsForbidden(const Node& node, uint32_t flags) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
  if (!writes) return false;
  if (node.Immutable()) return true;
  return node.AppendOnly() &&
         ((flags & O_APPEND) == 0 || (flags & O_TRUNC) != 0);
}

// Of a range: EFBIG where it ends too far out.
int CheckRange(uint64_t offset, uint64_t length) {
  if (offset > FileData::kMaxSize || length > FileData::kMaxSize ||
      length == 0) {
    return EINVAL;
  }
  return length > FileData::kMaxSize - offset ? EFBIG : 0;
}

bool RangesOverlap(uint64_t a, uint64_t b, uint64_t length) {
  return a < b ? b - a < length : a - b < length;
}

}  // namespace

// --- Handles ---

std::shared_ptr<OpenFile> Memfs::File(uint64_t fh, NodeId node) const {
  std::shared_ptr<OpenFile> file = files_->table.Find(fh);
  if (file == nullptr || file->node->id != node || !file->node->IsRegular()) {
    return nullptr;
  }
  return file;
}

uint64_t Memfs::AddOpenFile(std::shared_ptr<Node> node, uint32_t flags) {
  node->opens.fetch_add(1, std::memory_order_relaxed);
  return files_->table.Add(
      std::shared_ptr<OpenFile>(new OpenFile{std::move(node), flags}));
}

void Memfs::SetOpenFlags(OpenFlags* flags) const {
  if (options_.direct_io) {
    flags->DirectIo();
    // Writes that would exclude each other do so here.
    flags->ParallelDirectWrites();
  } else {
    // Pages are never out of date: whatever changes a file goes through them.
    flags->KeepCache();
  }
}

void Memfs::Open(const OpenRequest& request, OpenReply reply) {
  std::shared_ptr<Node> node;
  {
    absl::ReaderMutexLock lock(&tree_->mutex);
    node = tree_->Find(request.node());
    if (node == nullptr) return std::move(reply).Error(ESTALE);
    if (node->IsDirectory()) return std::move(reply).Error(EISDIR);
    // Links, sockets, pipes and devices the kernel opens itself.
    if (!node->IsRegular()) return std::move(reply).Error(EINVAL);
    if (OpenIsForbidden(*node, request->flags)) {
      return std::move(reply).Error(EPERM);
    }
  }
  if ((request->flags & O_TRUNC) != 0) {  // FUSE_ATOMIC_O_TRUNC
    node->data->Resize(0);
    ContentChanged(*node,
                   (request->open_flags & abi::FUSE_OPEN_KILL_SUIDGID) != 0);
  }
  SetOpenFlags(&reply);
  std::move(reply).Ok(AddOpenFile(std::move(node), request->flags));
}

void Memfs::Release(const ReleaseRequest& request, EmptyReply reply) {
  if (File(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  // Whoever waits for the file system to be empty again may do so from now on.
  if (!CloseFile(request->fh)) return std::move(reply).Error(EBADF);
  std::move(reply).Ok();
}

bool Memfs::CloseFile(uint64_t fh) {
  std::shared_ptr<OpenFile> file = files_->table.Remove(fh);
  if (file == nullptr) return false;
  file->node->opens.fetch_sub(1, std::memory_order_relaxed);
  locks_->ReleaseHandle(file->node->id, fh);
  absl::MutexLock lock(&tree_->mutex);
  file->node->pollers.erase(fh);
  return true;
}

void Memfs::Flush(const FlushRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenFile> file = File(request->fh, request.node());
  if (file == nullptr) return std::move(reply).Error(EBADF);
  locks_->ReleaseOwner(file->node->id, request->lock_owner);
  std::move(reply).Ok();
}

void Memfs::Fsync(const FsyncRequest& request, EmptyReply reply) {
  if (File(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  std::move(reply).Ok();
}

// --- Content ---

void Memfs::ContentChanged(Node& node, bool kill_ids) {
  {
    absl::MutexLock lock(&tree_->mutex);
    node.TouchContent();
    if (!node.DropPrivileges(kill_ids)) return;
  }
  // The kernel asks again for size and times after a write past its cache or an
  // open with O_TRUNC (FUSE_STATX_MODSIZE), but not for the mode. Dropping the
  // attributes alone takes no lock, so this may be sent from here.
  if (notifier_ != nullptr) notifier_->InvalInode(node.id, -1, 0);
}

void Memfs::Read(const ReadRequest& request, DataReply reply) {
  // With FUSE_WRITEBACK_CACHE the kernel completes pages through files that
  // are open for writing only.
  std::shared_ptr<OpenFile> file = File(request->fh, request.node());
  if (file == nullptr) return std::move(reply).Error(EBADF);
  const size_t size = file->node->data->Read(request->offset, reply.buffer());
  std::move(reply).Ok(size);
}

void Memfs::Write(const WriteRequest& request, WriteReply reply) {
  std::shared_ptr<OpenFile> file = File(request->fh, request.node());
  if (file == nullptr || !file->Writable()) {
    return std::move(reply).Error(EBADF);
  }
  Node& node = *file->node;
  const bool from_cache = (request->write_flags & abi::FUSE_WRITE_CACHE) != 0;
  if (!from_cache) {
    absl::ReaderMutexLock lock(&tree_->mutex);
    if (node.Immutable()) return std::move(reply).Error(EPERM);
  }
  const int64_t written = node.data->Write(request->offset, request->data);
  if (written < 0) return std::move(reply).Error(static_cast<int>(-written));
  if (written > 0) {
    ContentChanged(node,
                   (request->write_flags & abi::FUSE_WRITE_KILL_SUIDGID) != 0);
  }
  std::move(reply).Ok(static_cast<size_t>(written));
}

void Memfs::Fallocate(const FallocateRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenFile> file = File(request->fh, request.node());
  if (file == nullptr || !file->Writable()) {
    return std::move(reply).Error(EBADF);
  }
  const uint64_t offset = request->offset;
  const uint64_t length = request->length;
  Node& node = *file->node;
  int error = CheckRange(offset, length);
  const uint32_t what = request->mode & ~uint32_t{FALLOC_FL_KEEP_SIZE};
  const bool keep_size = (request->mode & FALLOC_FL_KEEP_SIZE) != 0;
  if (error == 0) {
    absl::ReaderMutexLock lock(&tree_->mutex);
    if (node.Immutable() || (what != 0 && node.AppendOnly())) error = EPERM;
  }
  if (error != 0) return std::move(reply).Error(error);
  if (what == 0) {
    error = -node.data->Allocate(offset, length, keep_size);
  } else if (what == FALLOC_FL_ZERO_RANGE) {
    error = -node.data->Zero(offset, length, keep_size);
  } else if (what == FALLOC_FL_PUNCH_HOLE && keep_size) {
    node.data->Punch(offset, length);
  } else {
    error = EOPNOTSUPP;
  }
  if (error != 0) return std::move(reply).Error(error);
  // The kernel says separately where the bits have to go.
  ContentChanged(node, /*kill_ids=*/false);
  std::move(reply).Ok();
}

void Memfs::Lseek(const LseekRequest& request, LseekReply reply) {
  std::shared_ptr<OpenFile> file = File(request->fh, request.node());
  if (file == nullptr) return std::move(reply).Error(EBADF);
  if (request->whence != SEEK_DATA && request->whence != SEEK_HOLE) {
    return std::move(reply).Error(EINVAL);
  }
  const FileData& data = *file->node->data;
  const int64_t found = request->whence == SEEK_DATA
                            ? data.SeekData(request->offset)
                            : data.SeekHole(request->offset);
  if (found < 0) return std::move(reply).Error(static_cast<int>(-found));
  std::move(reply).Ok({static_cast<uint64_t>(found)});
}

int64_t Memfs::CopyRange(const abi::fuse_copy_file_range_in& in,
                         NodeId node_in) {
  std::shared_ptr<OpenFile> from = File(in.fh_in, node_in);
  std::shared_ptr<OpenFile> to = File(in.fh_out, in.nodeid_out);
  if (from == nullptr || to == nullptr || !to->Writable()) return -EBADF;
  if (in.flags != 0) return -EINVAL;
  if (in.off_in > FileData::kMaxSize || in.off_out > FileData::kMaxSize) {
    return -EINVAL;
  }
  const uint64_t length = std::min(in.len, kCopyMost);
  if (from->node == to->node && RangesOverlap(in.off_in, in.off_out, length)) {
    return -EINVAL;
  }
  Node& node = *to->node;
  {
    absl::ReaderMutexLock lock(&tree_->mutex);
    if (node.Immutable() || node.AppendOnly()) return -EPERM;
  }
  const int64_t copied = FileData::Copy(*from->node->data, in.off_in,
                                        *node.data, in.off_out, length);
  if (copied > 0) ContentChanged(node, /*kill_ids=*/false);
  return copied;
}

void Memfs::CopyFileRange(const CopyFileRangeRequest& request,
                          WriteReply reply) {
  const int64_t copied = CopyRange(*request, request.node());
  if (copied < 0) return std::move(reply).Error(static_cast<int>(-copied));
  std::move(reply).Ok(static_cast<size_t>(copied));
}

void Memfs::CopyFileRange64(const CopyFileRange64Request& request,
                            CopyFileRangeReply reply) {
  const int64_t copied = CopyRange(*request, request.node());
  if (copied < 0) return std::move(reply).Error(static_cast<int>(-copied));
  std::move(reply).Ok({static_cast<uint64_t>(copied)});
}

}  // namespace barefuse
