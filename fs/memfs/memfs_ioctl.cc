// IOCTL and POLL.
#include <errno.h>
#include <linux/fs.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "fs/memfs/ioctls.h"
#include "fs/memfs/memfs.h"
#include "fs/memfs/memfs_test_ioctls.h"
#include "fs/memfs/open_file.h"
#include "fs/memfs/tree.h"
#include "server/notifier.h"

namespace barefuse {

using memfs::Node;
using memfs::OpenFile;

namespace {

// The same requests of a program of 32 bits. Through a mount both come with the
// four bytes of an int (fs/fuse/ioctl.c).
constexpr uint32_t kGetFlags32 = FS_IOC32_GETFLAGS;
constexpr uint32_t kSetFlags32 = FS_IOC32_SETFLAGS;

constexpr uint32_t kKnownFlags =
    FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL;

// The flags once more, in the form of FS_IOC_FSGETXATTR. The kernel asks for it
// before it sets any flags.
constexpr struct {
  uint32_t flag;
  uint32_t xflag;
} kXflags[] = {{FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
               {FS_APPEND_FL, FS_XFLAG_APPEND},
               {FS_NODUMP_FL, FS_XFLAG_NODUMP},
               {FS_NOATIME_FL, FS_XFLAG_NOATIME}};

fsxattr ToXattr(uint32_t flags) {
  fsxattr out{};
  for (auto [flag, xflag] : kXflags) {
    if ((flags & flag) != 0) out.fsx_xflags |= xflag;
  }
  return out;
}

// Nothing where it has more than flags that are known.
std::optional<uint32_t> ToFlags(const fsxattr& in) {
  uint32_t flags = 0;
  uint32_t left = in.fsx_xflags & ~uint32_t{FS_XFLAG_HASATTR};
  for (auto [flag, xflag] : kXflags) {
    if ((left & xflag) != 0) flags |= flag;
    left &= ~xflag;
  }
  if (left != 0 || in.fsx_extsize != 0 || in.fsx_projid != 0 ||
      in.fsx_cowextsize != 0) {
    return std::nullopt;
  }
  return flags;
}

// Answers with the first bytes of `value`, as many as were asked for.
template <class T>
void Answer(const T& value, IoctlReply reply) {
  const size_t size = std::min(sizeof value, reply.buffer().size());
  std::memcpy(reply.buffer().data(), &value, size);
  std::move(reply).Ok(0, size);
}

}  // namespace

uint32_t Memfs::FlagsOf(const Node& node) const {
  absl::ReaderMutexLock lock(&tree_->mutex);
  return node.flags;
}

// Whether the caller may, the kernel has checked.
int Memfs::SetFlags(Node& node, uint32_t flags) {
  if ((flags & ~kKnownFlags) != 0) return EOPNOTSUPP;
  absl::MutexLock lock(&tree_->mutex);
  node.flags = flags;
  node.TouchAttributes();
  return 0;
}

void Memfs::SetPollMask(Node& node, uint32_t mask) {
  std::vector<uint64_t> wake;
  {
    absl::MutexLock lock(&tree_->mutex);
    node.poll_mask = mask;
    for (const auto& [fh, kh] : node.pollers) wake.push_back(kh);
    node.pollers.clear();
  }
  // Takes no lock of any inode, so it may be sent from a handler.
  if (notifier_ == nullptr) return;
  for (uint64_t kh : wake) notifier_->PollWakeup(kh);
}

void Memfs::Poll(const PollRequest& request, PollReply reply) {
  if (OpenFileOrDirectory(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  uint32_t mask = 0;
  bool known = false;
  {
    absl::MutexLock lock(&tree_->mutex);
    std::shared_ptr<Node> node = tree_->Find(request.node());
    if (node != nullptr) {
      known = true;
      mask = node->poll_mask;
      if ((request->flags & abi::FUSE_POLL_SCHEDULE_NOTIFY) != 0) {
        node->pollers[request->fh] = request->kh;
      }
    }
  }
  if (!known) return std::move(reply).Error(ESTALE);
  std::move(reply).Ok({mask, 0});
}

void Memfs::Ioctl(const IoctlRequest& request, IoctlReply reply) {
  std::shared_ptr<OpenFile> file =
      OpenFileOrDirectory(request->fh, request.node());
  if (file == nullptr) return std::move(reply).Error(EBADF);
  if (test_ioctls_ != nullptr && memfs::TestIoctls::Knows(request->cmd)) {
    return test_ioctls_->Ioctl(request, *file, std::move(reply));
  }
  Node& node = *file->node;
  uint32_t word = 0;
  const bool has_word = request->data.size() >= sizeof word;
  if (has_word) std::memcpy(&word, request->data.data(), sizeof word);
  switch (request->cmd) {
    case FS_IOC_GETFLAGS:
    case kGetFlags32:
      return Answer(uint64_t{FlagsOf(node)}, std::move(reply));
    case FS_IOC_FSGETXATTR:
      return Answer(ToXattr(FlagsOf(node)), std::move(reply));
    case FS_IOC_SETFLAGS:
    case kSetFlags32: {
      if (!has_word) return std::move(reply).Error(EINVAL);
      int error = SetFlags(node, word);
      if (error != 0) return std::move(reply).Error(error);
      return std::move(reply).Ok(0, 0);
    }
    case FS_IOC_FSSETXATTR: {
      fsxattr in;
      if (request->data.size() < sizeof in) {
        return std::move(reply).Error(EINVAL);
      }
      std::memcpy(&in, request->data.data(), sizeof in);
      std::optional<uint32_t> flags = ToFlags(in);
      int error = flags ? SetFlags(node, *flags) : EOPNOTSUPP;
      if (error != 0) return std::move(reply).Error(error);
      return std::move(reply).Ok(0, 0);
    }
    case MEMFS_IOC_SET_POLL:
      if (!has_word) return std::move(reply).Error(EINVAL);
      if (!file->Writable()) return std::move(reply).Error(EBADF);
      SetPollMask(node, word);
      return std::move(reply).Ok(0, 0);
    case MEMFS_IOC_GET_INFO: {
      memfs_info info{};
      {
        absl::ReaderMutexLock lock(&tree_->mutex);
        info.nodeid = node.id;
        info.size = node.Attr().size;
        info.allocated = node.data == nullptr ? 0 : node.data->allocated();
        info.lookups = node.lookups.load();
        info.opens = node.opens.load();
        info.pollers = static_cast<uint32_t>(node.pollers.size());
        info.poll_mask = node.poll_mask;
        info.flags = node.flags;
      }
      return Answer(info, std::move(reply));
    }
    default:
      return std::move(reply).Error(ENOTTY);
  }
}

}  // namespace barefuse
