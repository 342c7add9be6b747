#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "fs/passthrough/convert.h"
#include "fs/passthrough/open_directory.h"
#include "fs/passthrough/passthrough.h"

namespace barefuse {
namespace {

bool IsDotOrDotDot(std::string_view name) {
  return name == "." || name == "..";
}

// Reads entries from `offset` on and hands them to `add` until it says that
// one does not fit. Gives 0 or an errno; an error behind the first entry ends
// the reading, and comes again with the next request.
template <class Add>
int ReadEntries(DIR* stream, uint64_t* position, uint64_t offset, Add add) {
  // The start also where the stream is there already: to some filesystems
  // (btrfs) only seeking says that what has come since is wanted too, and the
  // caller may have sought.
  if (offset != *position || offset == 0) {
    seekdir(stream, static_cast<long>(offset));
    *position = offset;
  }
  for (bool any = false;; any = true) {
    errno = 0;
    dirent* entry = readdir(stream);
    if (entry == nullptr) return any ? 0 : errno;
    const uint64_t next = static_cast<uint64_t>(entry->d_off);
    if (!add(*entry, next)) {
      // The stream has moved past it; the next request names the place.
      *position = ~uint64_t{0};
      return 0;
    }
    *position = next;
  }
}

}  // namespace

void Passthrough::Opendir(const OpendirRequest& request, OpenReply reply) {
  Inode inode;
  if (int stale = inodes_->Open(request.node(), &inode)) {
    return std::move(reply).Error(stale);
  }
  const int noatime = static_cast<int>(request->flags & O_NOATIME);
  UniqueFd fd = inodes_->OpenWithRoom([&] {
    return UniqueFd(openat(inode.fd.get(), ".",
                           O_RDONLY | O_DIRECTORY | O_CLOEXEC | noatime));
  });
  if (!fd) return std::move(reply).Error(errno);
  struct statx info;
  if (int error = StatFd(fd.get(), &info)) return std::move(reply).Error(error);
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return std::move(reply).Error(errno);
  fd.release();  // the stream's
  if (options_.cache == CacheMode::kAlways) {
    reply.CacheDir();
    reply.KeepCache();
  }
  std::move(reply).Ok(directories_.Add(
      std::make_shared<OpenDirectory>(inode.node, DeviceOf(info), stream)));
}

void Passthrough::Readdir(const ReaddirRequest& request, DirectoryReply reply) {
  std::shared_ptr<OpenDirectory> directory = directories_.Find(request->fh);
  if (directory == nullptr) return std::move(reply).Error(EBADF);
  int error = 0;
  {
    absl::MutexLock lock(&directory->mutex);
    error = ReadEntries(
        directory->stream, &directory->position, request->offset,
        [&](const dirent& entry, uint64_t next) {
          return reply.Add(
              entry.d_name,
              inodes_->mounts().ShownIno(directory->device, entry.d_ino),
              entry.d_type, next);
        });
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Passthrough::Readdirplus(const ReaddirplusRequest& request,
                              DirectoryPlusReply reply) {
  std::shared_ptr<OpenDirectory> directory = directories_.Find(request->fh);
  if (directory == nullptr) return std::move(reply).Error(EBADF);
  auto add = [&](const dirent& entry, uint64_t next) {
    // A lookup is taken only for what will be sent.
    if (!reply.Fits(entry.d_name)) return false;
    abi::fuse_entry_out out{};
    if (IsDotOrDotDot(entry.d_name) ||
        LookupName(directory->node, dirfd(directory->stream), entry.d_name,
                   &out) != 0) {
      // Without a node, for the kernel to look up if it wants to.
      out = abi::fuse_entry_out{};
      out.attr.ino = inodes_->mounts().ShownIno(directory->device, entry.d_ino);
      out.attr.mode = static_cast<uint32_t>(DTTOIF(entry.d_type));
    }
    return reply.Add(out, entry.d_name, entry.d_type, next);
  };
  int error = 0;
  {
    absl::MutexLock lock(&directory->mutex);
    error = ReadEntries(directory->stream, &directory->position,
                        request->offset, add);
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Passthrough::Releasedir(const ReleasedirRequest& request,
                             EmptyReply reply) {
  if (directories_.Remove(request->fh) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  std::move(reply).Ok();
}

void Passthrough::Fsyncdir(const FsyncdirRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenDirectory> directory = directories_.Find(request->fh);
  if (directory == nullptr) return std::move(reply).Error(EBADF);
  int error = 0;
  {
    absl::MutexLock lock(&directory->mutex);
    error = FsyncFd(dirfd(directory->stream), request->fsync_flags);
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

}  // namespace barefuse
