// flock(2). The server's descriptor of an open file is the source's open file
// description, and so holds the lock there, where others see it. (fcntl(2)
// locks belong to processes, which the source does not know: they stay with the
// kernel, within the mount.)
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include <utility>

#include "fs/passthrough/passthrough.h"

namespace barefuse {
namespace {

// LOCK_*, or 0 where it is none.
int OperationOf(const abi::fuse_lk_in& in) {
  switch (in.lk.type) {
    case F_RDLCK:
      return LOCK_SH;
    case F_WRLCK:
      return LOCK_EX;
    case F_UNLCK:
      return LOCK_UN;
  }
  return 0;
}

}  // namespace

// Gives 0 or an errno; EWOULDBLOCK: somebody else has it.
int Passthrough::Flock(const abi::fuse_lk_in& in,
                       std::shared_ptr<OpenFile>* file) {
  const int operation = OperationOf(in);
  if ((in.lk_flags & abi::FUSE_LK_FLOCK) == 0 || operation == 0) return EINVAL;
  *file = files_.Find(in.fh);
  if (*file == nullptr) return EBADF;
  if (flock((*file)->fd.get(), operation | LOCK_NB) != 0) return errno;
  if (operation == LOCK_UN) flock_waiters_->Retry();
  return 0;
}

void Passthrough::Setlk(const SetlkRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenFile> file;
  const int error = Flock(*request, &file);
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Passthrough::Setlkw(const SetlkwRequest& request, EmptyReply reply) {
  std::shared_ptr<OpenFile> file;
  const int error = Flock(*request, &file);
  if (error == EWOULDBLOCK) {
    const int fd = file->fd.get();
    return flock_waiters_->Wait(std::move(file), fd, OperationOf(*request),
                                std::move(reply));
  }
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

}  // namespace barefuse
