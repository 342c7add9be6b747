// GETLK, SETLK and SETLKW.
//
// The owner of a fcntl(2) lock is a process's table of files; FLUSH, at each
// close, takes its locks away. The owner of a flock(2) lock and of an
// open-file-description lock is the open file. Of the latter the kernel says
// nothing at the last close: no local lock is there that it would remove, and
// RELEASE names an owner only after flock(2) (FUSE_RELEASE_FLOCK_UNLOCK). So
// every lock remembers the handle that it came through, and RELEASE takes all
// of those away.
#include <errno.h>

#include <utility>

#include "fs/memfs/lock_table.h"
#include "fs/memfs/memfs.h"
#include "fs/memfs/open_file.h"

namespace barefuse {

using memfs::LockSet;
using memfs::LockTable;
using memfs::RangeLock;

namespace {

RangeLock WantedBy(const abi::fuse_lk_in& in) {
  RangeLock wanted;
  wanted.start = in.lk.start;
  wanted.end = in.lk.end;
  wanted.type = in.lk.type;
  wanted.pid = in.lk.pid;
  wanted.owner = in.owner;
  wanted.fh = in.fh;
  if ((in.lk_flags & abi::FUSE_LK_FLOCK) != 0) {  // the file as a whole
    wanted.start = 0;
    wanted.end = LockSet::kEnd;
  }
  return wanted;
}

LockTable::Target TargetOf(const abi::fuse_lk_in& in, NodeId node) {
  return {node, (in.lk_flags & abi::FUSE_LK_FLOCK) != 0};
}

}  // namespace

void Memfs::Getlk(const GetlkRequest& request, LockReply reply) {
  if (OpenFileOrDirectory(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  const RangeLock wanted = WantedBy(*request);
  if (int error = LockTable::Check(wanted); error != 0) {
    return std::move(reply).Error(error);
  }
  abi::fuse_lk_out out{};
  out.lk = request->lk;
  out.lk.type = F_UNLCK;
  if (auto held = locks_->Test(TargetOf(*request, request.node()), wanted)) {
    out.lk = {held->start, held->end, held->type, held->pid};
  }
  std::move(reply).Ok(out);
}

void Memfs::Setlk(const SetlkRequest& request, EmptyReply reply) {
  if (OpenFileOrDirectory(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  int error =
      locks_->Set(TargetOf(*request, request.node()), WantedBy(*request));
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Memfs::Setlkw(const SetlkwRequest& request, EmptyReply reply) {
  if (OpenFileOrDirectory(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  locks_->SetAndAnswer(TargetOf(*request, request.node()), WantedBy(*request),
                       std::move(reply));
}

}  // namespace barefuse
