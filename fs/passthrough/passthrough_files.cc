#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "fs/passthrough/convert.h"
#include "fs/passthrough/credentials.h"
#include "fs/passthrough/open_directory.h"
#include "fs/passthrough/passthrough.h"

namespace barefuse {
namespace {

// For SetVersion: the page cache may not have what the source has. It may have
// missed a direct write, which the kernel takes out of it before, but not
// after; or it has kept data of a write that failed.
constexpr uint64_t kWrittenBeside = 2;

// A number, odd, that tells one state of a file's data from another, or 0 where
// the next change might leave it as it is.
uint64_t VersionOf(const struct statx& info) {
  // The steps in which filesystems count time, and then some.
  constexpr int64_t kStep = 2;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (info.stx_ctime.tv_sec > now.tv_sec - kStep) return 0;
  return absl::HashOf(info.stx_size, info.stx_mtime.tv_sec,
                      info.stx_mtime.tv_nsec, info.stx_ctime.tv_sec,
                      info.stx_ctime.tv_nsec) |
         1;
}

}  // namespace

// The flags of an open that concern the server's own descriptor, not the walk
// to it. What is written back from the page cache comes through any descriptor,
// at its own offset and with any alignment: neither O_APPEND nor O_DIRECT may
// be in its way. Write() appends where the request says so.
int Passthrough::FileFlags(uint32_t flags) const {
  const int kept = static_cast<int>(flags) &
                   ~(O_CREAT | O_EXCL | O_NOCTTY | O_NOFOLLOW | O_TMPFILE |
                     O_DIRECTORY | O_PATH | O_APPEND | O_DIRECT);
  // A page that is written in part is read first.
  if (WritesBack() && (kept & O_ACCMODE) == O_WRONLY) {
    return (kept & ~O_ACCMODE) | O_RDWR;
  }
  return kept;
}

// Whether what the page cache holds of a file may stay: nobody has written to
// it since it was opened the last time.
bool Passthrough::KeepsCache(const Inode& inode, int fd) {
  if (options_.cache == CacheMode::kAlways) {
    return inodes_->SetVersion(inode.node, 0) != kWrittenBeside;
  }
  struct statx info;
  if (StatFd(fd, &info) != 0) return false;
  const uint64_t version = VersionOf(info);
  return inodes_->SetVersion(inode.node, version) == version && version != 0;
}

int Passthrough::OpenInode(const Inode& inode, uint32_t flags,
                           const std::optional<Ids>& ids, bool wait,
                           UniqueFd* fd) const {
  // Devices and fifos are the kernel's business; opening one here could block
  // the server or drive the device.
  if (!S_ISREG(inode.type)) return S_ISDIR(inode.type) ? EISDIR : EINVAL;
  if (inode.mount->pseudo && !IsOwn(ids)) return EACCES;
  // Somebody may hold a lease (fcntl(2)), which he has a minute to give up.
  const int wanted = FileFlags(flags) | (wait ? 0 : O_NONBLOCK);
  *fd = inodes_->OpenWithRoom(
      [&] { return proc_fds_->Reopen(inode.fd.get(), wanted); });
  // A file that can only be appended to (chattr +a) takes no other open.
  if (!*fd && errno == EPERM && (flags & O_APPEND) != 0 && !WritesBack()) {
    *fd = proc_fds_->Reopen(inode.fd.get(), wanted | O_APPEND);
  }
  return *fd ? 0 : errno;
}

void Passthrough::SayOnce(Connection& connection, const absl::Status& why_not) {
  if (said_why_not_.exchange(true, std::memory_order_relaxed)) return;
  connection.Log(LogLevel::kInfo,
                 absl::StrCat("no passthrough, reads and writes go through "
                              "the server: ",
                              why_not.message()));
}

uint64_t Passthrough::AddOpenFile(Connection& connection, const Inode& inode,
                                  UniqueFd fd, uint32_t flags,
                                  OpenFlags* reply) {
  auto file = std::make_shared<OpenFile>();
  file->inode = inodes_->Share(inode);
  if (PassesThrough()) {
    file->use = file->inode->backing.Join(connection, inode.fd.get());
    if (!file->use.passthrough()) SayOnce(connection, file->use.why_not());
  }
  if ((flags & O_ACCMODE) != O_RDONLY) {
    file->writes = true;
    if (file->use.passthrough()) inodes_->CountMappable(inode.node);
    file->inode->writers.fetch_add(1, std::memory_order_relaxed);
  }
  reply->Passthrough(file->use);
  // An O_DIRECT open that is passed through is direct in the source. Where it
  // is not, it must not meet the page cache here.
  file->direct_io =
      options_.direct_io ||
      (!file->use.passthrough() &&
       (options_.cache == CacheMode::kNever || (flags & O_DIRECT) != 0));
  if (file->direct_io) {
    reply->DirectIo();
    reply->ParallelDirectWrites();
  } else if (!file->use.passthrough() && KeepsCache(inode, fd.get())) {
    reply->KeepCache();
  }
  file->fd = std::move(fd);
  return files_.Add(std::move(file));
}

void Passthrough::Open(const OpenRequest& request, OpenReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  UniqueFd fd;
  auto open = [&](bool wait) {
    std::optional<ScopedKillPriv> kill;
    if ((request->flags & O_TRUNC) != 0) {
      kill.emplace(*proc_fds_, request.ids(), inode.fd.get());
    }
    return OpenInode(inode, request->flags, request.ids(), wait, &fd);
  };
  int error = open(request.may_block());
  if (error == EWOULDBLOCK && !request.may_block()) {
    if (reply.CallAgain()) return;
    error = open(true);
  }
  if (error != 0) return std::move(reply).Error(error);
  const bool seen = !ChangesUnseen(inode.node);
  const uint64_t fh = AddOpenFile(request.connection(), inode, std::move(fd),
                                  request->flags, &reply);
  // The kernel still trusts what it was told before. (This touches no data, and
  // so waits for nothing.)
  if (seen && ChangesUnseen(inode.node)) {
    request.connection().notifier()->InvalInode(inode.node, -1, 0);
  }
  std::move(reply).Ok(fh);
}

// The common end of CREATE and TMPFILE. The entry is that of the file that was
// opened, whatever its name means by now.
void Passthrough::FinishCreation(Connection& connection, UniqueFd fd,
                                 uint32_t flags, CreateReply reply) {
  UniqueFd path = inodes_->OpenWithRoom(
      [&] { return proc_fds_->Reopen(fd.get(), O_PATH); });
  if (!path) return std::move(reply).Error(errno);
  Inode inode;
  struct statx info;
  if (int error = LookupFd(std::move(path), 0, &inode, &info)) {
    return std::move(reply).Error(error);
  }
  const uint64_t fh =
      AddOpenFile(connection, inode, std::move(fd), flags, &reply);
  abi::fuse_entry_out entry;
  FillEntry(inode, info, &entry);
  std::move(reply).Ok(entry, fh);
}

void Passthrough::Create(const CreateRequest& request, CreateReply reply) {
  Inode parent;
  if (int error = OpenParent(request.node(), request->name, &parent)) {
    return std::move(reply).Error(error);
  }
  const mode_t mode =
      CreationMode(parent, request->mode, request->umask) & 07777;
  UniqueFd fd;
  {
    ScopedIds ids(request.ids(), GroupOf(request->extensions));
    if (!ids.ok()) return std::move(reply).Error(EINVAL);
    // The kernel asks because it knows of no such name, and so has checked the
    // rights to the directory alone. A file that is there all the same must
    // not be opened with our rights: ESTALE makes the kernel look it up and
    // check.
    const CName name(request->name);
    const int flags = FileFlags(request->flags) | O_CREAT | O_EXCL | O_CLOEXEC;
    fd = inodes_->OpenWithRoom([&] {
      return UniqueFd(openat(parent.fd.get(), name.c_str(), flags, mode));
    });
    if (!fd) {
      const bool found = errno == EEXIST && (request->flags & O_EXCL) == 0;
      return std::move(reply).Error(found ? ESTALE : errno);
    }
  }
  FinishCreation(request.connection(), std::move(fd), request->flags,
                 std::move(reply));
}

void Passthrough::Tmpfile(const TmpfileRequest& request, CreateReply reply) {
  Inode parent;
  if (int stale = inodes_->Open(request.node(), &parent)) {
    return std::move(reply).Error(stale);
  }
  const mode_t mode =
      CreationMode(parent, request->mode, request->umask) & 07777;
  UniqueFd fd;
  {
    ScopedIds ids(request.ids(), GroupOf(request->extensions));
    if (!ids.ok()) return std::move(reply).Error(EINVAL);
    const int flags = FileFlags(request->flags) | O_TMPFILE | O_CLOEXEC |
                      static_cast<int>(request->flags & O_EXCL);
    fd = inodes_->OpenWithRoom(
        [&] { return UniqueFd(openat(parent.fd.get(), ".", flags, mode)); });
    if (!fd) return std::move(reply).Error(errno);
  }
  FinishCreation(request.connection(), std::move(fd), request->flags,
                 std::move(reply));
}

// The kernel serves a passed-through file by itself. A READ of one all the same
// comes for readahead(2) and posix_fadvise(2) (Linux 6.18): what they want is
// that the source reads ahead, and nobody sees the answer. Data would only be
// held twice.
bool Passthrough::IsReadahead(const OpenFile& file,
                              const ReadRequest& request) {
  if (!file.use.passthrough() || file.direct_io) return false;
  posix_fadvise(file.fd.get(), static_cast<off_t>(request->offset),
                request->size, POSIX_FADV_WILLNEED);
  return true;
}

// A WRITE of one is a fault of somebody's, and obeying it could mix old data
// with new. Said once for each open.
bool Passthrough::IsMisrouted(OpenFile& file, Connection& connection) {
  if (!file.use.passthrough() || file.direct_io) return false;
  if (file.said_misrouted.exchange(true, std::memory_order_relaxed)) {
    return true;
  }
  connection.Log(LogLevel::kError,
                 absl::StrCat("WRITE of node ", file.inode->node,
                              " came to the server although the file is in "
                              "passthrough mode; answered EIO"));
  return true;
}

void Passthrough::Read(const ReadRequest& request, DataReply reply) {
  std::shared_ptr<OpenFile> file = files_.Find(request->fh);
  if (file == nullptr) return std::move(reply).Error(EBADF);
  if (IsReadahead(*file, request)) return std::move(reply).Error(EIO);
  std::span<std::byte> buffer = reply.buffer();
  // A short read would end the file for the kernel, so read on.
  size_t done = 0;
  while (done < buffer.size()) {
    ssize_t n =
        pread(file->fd.get(), buffer.data() + done, buffer.size() - done,
              static_cast<off_t>(request->offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && done == 0) return std::move(reply).Error(errno);
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  std::move(reply).Ok(done);
}

void Passthrough::Write(const WriteRequest& request, WriteReply reply) {
  std::shared_ptr<OpenFile> file = files_.Find(request->fh);
  if (file == nullptr) return std::move(reply).Error(EBADF);
  if (IsMisrouted(*file, request.connection())) {
    return std::move(reply).Error(EIO);
  }
  // To pwritev2(2), -1 is wherever the descriptor happens to stand.
  if (request->offset > INT64_MAX) return std::move(reply).Error(EINVAL);
  std::optional<ScopedKillPriv> kill;
  if ((request->write_flags & abi::FUSE_WRITE_KILL_SUIDGID) != 0) {
    kill.emplace(*proc_fds_, request.ids(), file->fd.get());
  }
  // From the page cache comes what was written where it stands now; an append
  // of the caller's goes to the end as the source knows it.
  const bool append = (request->flags & O_APPEND) != 0 &&
                      (request->write_flags & abi::FUSE_WRITE_CACHE) == 0;
  const iovec data = {const_cast<std::byte*>(request->data.data()),
                      request->data.size()};
  ssize_t n;
  do {
    n = pwritev2(file->fd.get(), &data, 1, static_cast<off_t>(request->offset),
                 append ? RWF_APPEND : 0);
  } while (n < 0 && errno == EINTR);
  const int error = errno;
  const bool whole = n == static_cast<ssize_t>(data.iov_len);
  if (options_.cache == CacheMode::kAlways && (file->direct_io || !whole)) {
    inodes_->SetVersion(request.node(), kWrittenBeside);
  }
  if (n < 0) return std::move(reply).Error(error);
  std::move(reply).Ok(static_cast<size_t>(n));
}

void Passthrough::Flush(const FlushRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenFile> file = files_.Find(request->fh);
  if (file == nullptr) return std::move(reply).Error(EBADF);
  // Closing a duplicate makes the source report what its close(2) would.
  UniqueFd copy = inodes_->OpenWithRoom(
      [&] { return UniqueFd(fcntl(file->fd.get(), F_DUPFD_CLOEXEC, 0)); });
  if (!copy || close(copy.release()) != 0) {
    return std::move(reply).Error(errno);
  }
  std::move(reply).Ok();
}

void Passthrough::Release(const ReleaseRequest& request, EmptyReply reply) {
  // With the last reference to the file its backing use goes, and with the
  // last use the backing id.
  if (files_.Remove(request->fh) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  flock_waiters_->Retry();  // it may have held a lock
  std::move(reply).Ok();
}

int Passthrough::FsyncFd(int fd, uint32_t flags) {
  int result =
      (flags & abi::FUSE_FSYNC_FDATASYNC) != 0 ? fdatasync(fd) : fsync(fd);
  return result == 0 ? 0 : errno;
}

void Passthrough::Fsync(const FsyncRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenFile> file = files_.Find(request->fh);
  if (file == nullptr) return std::move(reply).Error(EBADF);
  int error = FsyncFd(file->fd.get(), request->fsync_flags);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Passthrough::Fallocate(const FallocateRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenFile> file = files_.Find(request->fh);
  if (file == nullptr) return std::move(reply).Error(EBADF);
  ScopedKillPriv kill(*proc_fds_, request.ids(), file->fd.get());
  if (fallocate(file->fd.get(), static_cast<int>(request->mode),
                static_cast<off_t>(request->offset),
                static_cast<off_t>(request->length)) != 0) {
    return std::move(reply).Error(errno);
  }
  std::move(reply).Ok();
}

void Passthrough::Lseek(const LseekRequest& request, LseekReply reply) {
  std::shared_ptr<OpenFile> file = files_.Find(request->fh);
  if (file == nullptr) return std::move(reply).Error(EBADF);
  // Moves a position that nothing uses: reads and writes name theirs.
  off_t found = lseek(file->fd.get(), static_cast<off_t>(request->offset),
                      static_cast<int>(request->whence));
  if (found < 0) return std::move(reply).Error(errno);
  std::move(reply).Ok({static_cast<uint64_t>(found)});
}

int Passthrough::CopyRange(const std::optional<Ids>& ids,
                           const abi::fuse_copy_file_range_in& in,
                           ssize_t* copied) {
  std::shared_ptr<OpenFile> from = files_.Find(in.fh_in);
  std::shared_ptr<OpenFile> to = files_.Find(in.fh_out);
  if (from == nullptr || to == nullptr) return EBADF;
  ScopedKillPriv kill(*proc_fds_, ids, to->fd.get());
  off64_t off_in = static_cast<off64_t>(in.off_in);
  off64_t off_out = static_cast<off64_t>(in.off_out);
  *copied = copy_file_range(from->fd.get(), &off_in, to->fd.get(), &off_out,
                            in.len, static_cast<unsigned>(in.flags));
  return *copied < 0 ? errno : 0;
}

void Passthrough::CopyFileRange(const CopyFileRangeRequest& request,
                                WriteReply reply) {
  // The reply has 32 bits for what was copied.
  abi::fuse_copy_file_range_in in = *request;
  in.len = std::min<uint64_t>(in.len, UINT32_MAX & ~uint32_t{4095});
  ssize_t copied = 0;
  int error = CopyRange(request.ids(), in, &copied);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok(static_cast<size_t>(copied));
}

void Passthrough::CopyFileRange64(const CopyFileRange64Request& request,
                                  CopyFileRangeReply reply) {
  ssize_t copied = 0;
  int error = CopyRange(request.ids(), *request, &copied);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok({static_cast<uint64_t>(copied)});
}

}  // namespace barefuse
