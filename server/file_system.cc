#include "server/file_system.h"

#include <cerrno>
#include <utility>

namespace barefuse {

uint64_t FileSystem::WantedCapabilities() const {
  // Not FUSE_ASYNC_DIO: with it the kernel drops cached pages before it sends
  // an asynchronous direct write, but not again afterwards (fuse_aio_complete),
  // and who reads meanwhile leaves old data in the cache for good.
  return abi::FUSE_ASYNC_READ | abi::FUSE_BIG_WRITES | abi::FUSE_MAX_PAGES |
         abi::FUSE_PARALLEL_DIROPS | abi::FUSE_AUTO_INVAL_DATA |
         abi::FUSE_ATOMIC_O_TRUNC;
}

void FileSystem::Lookup(const LookupRequest&, EntryReply reply) {
  std::move(reply).Error(ENOENT);
}

void FileSystem::Getattr(const GetattrRequest&, AttrReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Setattr(const SetattrRequest&, AttrReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Statx(const StatxRequest&, StatxReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Readlink(const ReadlinkRequest&, DataReply reply) {
  std::move(reply).Error(EINVAL);
}

void FileSystem::Symlink(const SymlinkRequest&, EntryReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Mknod(const MknodRequest&, EntryReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Mkdir(const MkdirRequest&, EntryReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Unlink(const UnlinkRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Rmdir(const RmdirRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Rename(const RenameRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Rename2(const Rename2Request&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Link(const LinkRequest&, EntryReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Access(const AccessRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Statfs(const StatfsRequest&, StatfsReply reply) {
  abi::fuse_statfs_out out{};
  out.st.bsize = out.st.frsize = 512;
  out.st.namelen = 255;
  std::move(reply).Ok(out);
}

void FileSystem::Open(const OpenRequest&, OpenReply reply) {
  std::move(reply).Ok(0);
}

void FileSystem::Create(const CreateRequest&, CreateReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Tmpfile(const TmpfileRequest&, CreateReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Read(const ReadRequest&, DataReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Write(const WriteRequest&, WriteReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Flush(const FlushRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Release(const ReleaseRequest&, EmptyReply reply) {
  std::move(reply).Ok();
}

void FileSystem::Fsync(const FsyncRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Fallocate(const FallocateRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Lseek(const LseekRequest&, LseekReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::CopyFileRange(const CopyFileRangeRequest&, WriteReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::CopyFileRange64(const CopyFileRange64Request&,
                                 CopyFileRangeReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Ioctl(const IoctlRequest&, IoctlReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Poll(const PollRequest&, PollReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Bmap(const BmapRequest&, BmapReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Getlk(const GetlkRequest&, LockReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Setlk(const SetlkRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Setlkw(const SetlkwRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Opendir(const OpendirRequest&, OpenReply reply) {
  std::move(reply).Ok(0);
}

void FileSystem::Readdir(const ReaddirRequest&, DirectoryReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Readdirplus(const ReaddirplusRequest&,
                             DirectoryPlusReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Releasedir(const ReleasedirRequest&, EmptyReply reply) {
  std::move(reply).Ok();
}

void FileSystem::Fsyncdir(const FsyncdirRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Syncfs(const SyncfsRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Setxattr(const SetxattrRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Getxattr(const GetxattrRequest&, XattrReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Listxattr(const ListxattrRequest&, XattrReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Removexattr(const RemovexattrRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Setupmapping(const SetupmappingRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

void FileSystem::Removemapping(const RemovemappingRequest&, EmptyReply reply) {
  std::move(reply).Error(ENOSYS);
}

}  // namespace barefuse
