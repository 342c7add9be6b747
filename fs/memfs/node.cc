#include "fs/memfs/node.h"

#include <linux/fs.h>
#include <linux/stat.h>
#include <poll.h>
#include <sys/sysmacros.h>

#include <utility>

namespace barefuse::memfs {
namespace {

constexpr uint64_t kBlock = 512;  // the unit of st_blocks

abi::fuse_sx_time ToStatx(const timespec& time) {
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec), 0};
}

}  // namespace

timespec Now() {
  // The clock that the kernel takes times of files from. It sets some of them
  // itself (FUSE_WRITEBACK_CACHE), and a finer clock would be ahead of it.
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now;
}

Node::Node(Space& file_space, NodeId node_id, uint32_t file_mode)
    : space(file_space),
      id(node_id),
      type(file_mode & S_IFMT),
      mode(file_mode),
      atime(Now()),
      mtime(atime),
      ctime(atime),
      btime(atime),
      xattrs(file_space),
      data(type == S_IFREG ? std::make_unique<FileData>(file_space) : nullptr),
      directory(type == S_IFDIR ? std::make_unique<Directory>(file_space)
                                : nullptr),
      poll_mask(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM) {}

Node::~Node() {
  SetAcl(&Node::access_acl, std::nullopt);
  SetAcl(&Node::default_acl, std::nullopt);
  space.GiveBack(target.size());
  space.GiveBackInode();
}

bool Node::Immutable() const { return (flags & FS_IMMUTABLE_FL) != 0; }
bool Node::AppendOnly() const { return (flags & FS_APPEND_FL) != 0; }

void Node::TouchContent() { mtime = ctime = Now(); }
void Node::TouchAttributes() { ctime = Now(); }

bool Node::DropPrivileges(bool ids) {
  if (!IsRegular()) return false;
  if (!xattrs.empty()) xattrs.Remove("security.capability");
  if (!ids) return false;
  const uint32_t before = mode;
  mode &= ~uint32_t{S_ISUID};
  // Without the group's execute bit it once meant mandatory locking, and is
  // left alone.
  if ((mode & S_IXGRP) != 0) mode &= ~uint32_t{S_ISGID};
  return mode != before;
}

void Node::Chmod(uint32_t permissions) {
  mode = (mode & S_IFMT) | (permissions & 07777);
  if (access_acl) access_acl->Chmod(permissions);
}

bool Node::SetAcl(std::optional<Acl> Node::*which, std::optional<Acl> acl) {
  constexpr uint64_t kEntryCost = sizeof(Acl::Entry);
  if (acl && !space.Take(acl->size() * kEntryCost)) return false;
  std::optional<Acl>& place = this->*which;
  if (place) space.GiveBack(place->size() * kEntryCost);
  place = std::move(acl);
  return true;
}

abi::fuse_attr Node::Attr() const {
  abi::fuse_attr attr{};
  attr.ino = id;
  if (data != nullptr) {
    attr.size = data->size();
    attr.blocks = data->allocated() / kBlock;
  } else if (directory != nullptr) {
    attr.size = directory->entries().size();
  } else {
    attr.size = target.size();
  }
  attr.atime = static_cast<uint64_t>(atime.tv_sec);
  attr.mtime = static_cast<uint64_t>(mtime.tv_sec);
  attr.ctime = static_cast<uint64_t>(ctime.tv_sec);
  attr.atimensec = static_cast<uint32_t>(atime.tv_nsec);
  attr.mtimensec = static_cast<uint32_t>(mtime.tv_nsec);
  attr.ctimensec = static_cast<uint32_t>(ctime.tv_nsec);
  attr.mode = mode;
  attr.nlink = nlink;
  attr.uid = uid;
  attr.gid = gid;
  attr.rdev = rdev;
  attr.blksize = FileData::kPageSize;
  return attr;
}

abi::fuse_statx Node::Statx() const {
  const abi::fuse_attr attr = Attr();
  abi::fuse_statx out{};
  out.mask = STATX_BASIC_STATS | STATX_BTIME;
  out.blksize = attr.blksize;
  out.attributes_mask =
      STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
  if (Immutable()) out.attributes |= STATX_ATTR_IMMUTABLE;
  if (AppendOnly()) out.attributes |= STATX_ATTR_APPEND;
  if ((flags & FS_NODUMP_FL) != 0) out.attributes |= STATX_ATTR_NODUMP;
  out.nlink = attr.nlink;
  out.uid = uid;
  out.gid = gid;
  out.mode = static_cast<uint16_t>(mode);
  out.ino = attr.ino;
  out.size = attr.size;
  out.blocks = attr.blocks;
  out.atime = ToStatx(atime);
  out.btime = ToStatx(btime);
  out.ctime = ToStatx(ctime);
  out.mtime = ToStatx(mtime);
  // The kernel's 32-bit form of a device number, as in fuse_attr.
  out.rdev_major = major(rdev);
  out.rdev_minor = minor(rdev);
  return out;
}

}  // namespace barefuse::memfs
