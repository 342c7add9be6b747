// Open directories.
#include <errno.h>
#include <sys/stat.h>

#include <utility>

#include "fs/memfs/lock_table.h"
#include "fs/memfs/memfs.h"
#include "fs/memfs/open_file.h"
#include "fs/memfs/tree.h"

namespace barefuse {

using memfs::Directory;
using memfs::Node;
using memfs::OpenFile;

namespace {

// The DT_* of a type.
uint32_t EntryType(const Node& node) { return node.type >> 12; }

}  // namespace

std::shared_ptr<OpenFile> Memfs::OpenFileOrDirectory(uint64_t fh,
                                                     NodeId node) const {
  std::shared_ptr<OpenFile> file = files_->table.Find(fh);
  return file == nullptr || file->node->id != node ? nullptr : file;
}

std::shared_ptr<OpenFile> Memfs::OpenDirectory(uint64_t fh, NodeId node) const {
  std::shared_ptr<OpenFile> file = OpenFileOrDirectory(fh, node);
  return file == nullptr || !file->node->IsDirectory() ? nullptr : file;
}

void Memfs::Opendir(const OpendirRequest& request, OpenReply reply) {
  std::shared_ptr<Node> node = Find(request.node());
  if (node == nullptr) return std::move(reply).Error(ESTALE);
  if (!node->IsDirectory()) return std::move(reply).Error(ENOTDIR);
  // The kernel drops what it has cached of a directory when it changes it, and
  // nobody else does.
  reply.CacheDir();
  reply.KeepCache();
  std::move(reply).Ok(AddOpenFile(std::move(node), request->flags));
}

void Memfs::Releasedir(const ReleasedirRequest& request, EmptyReply reply) {
  if (OpenDirectory(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  if (!CloseFile(request->fh)) return std::move(reply).Error(EBADF);
  std::move(reply).Ok();
}

void Memfs::Fsyncdir(const FsyncdirRequest& request, EmptyReply reply) {
  if (OpenDirectory(request->fh, request.node()) == nullptr) {
    return std::move(reply).Error(EBADF);
  }
  std::move(reply).Ok();
}

// Calls add(name, node, next) for the entries behind the offset, until it is
// false. `node` of "." and ".." is nullptr where there is no parent any more.
template <class Add>
int Memfs::ReadEntries(const abi::fuse_read_in& in, NodeId id, const Add& add) {
  std::shared_ptr<OpenFile> file = OpenDirectory(in.fh, id);
  if (file == nullptr) return EBADF;
  absl::ReaderMutexLock lock(&tree_->mutex);
  Node& node = *file->node;
  const Directory& directory = *node.directory;
  if (in.offset == 0) {
    file->end.store(directory.next_cookie(), std::memory_order_relaxed);
  }
  const uint64_t end = file->end.load(std::memory_order_relaxed);
  if (in.offset < Directory::kDotCookie &&
      !add(".", node, Directory::kDotCookie)) {
    return 0;
  }
  Node& parent = node.parent == nullptr ? node : *node.parent;
  if (in.offset < Directory::kDotDotCookie &&
      !add("..", parent, Directory::kDotDotCookie)) {
    return 0;
  }
  for (auto it = directory.entries().upper_bound(in.offset);
       it != directory.entries().end() && it->first < end; ++it) {
    if (!add(it->second.name, *it->second.node, it->first)) break;
  }
  return 0;
}

void Memfs::Readdir(const ReaddirRequest& request, DirectoryReply reply) {
  int error = ReadEntries(
      *request, request.node(),
      [&reply](std::string_view name, const Node& node, uint64_t next) {
        return reply.Add(name, node.id, EntryType(node), next);
      });
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

void Memfs::Readdirplus(const ReaddirplusRequest& request,
                        DirectoryPlusReply reply) {
  int error = ReadEntries(
      *request, request.node(),
      [this, &reply](std::string_view name, Node& node, uint64_t next) {
        if (!reply.Fits(name)) return false;
        abi::fuse_entry_out entry = NoEntry();
        if (name == "." || name == "..") {
          entry.attr.ino = node.id;
        } else {
          entry = TakeEntry(node);
        }
        return reply.Add(entry, name, EntryType(node), next);
      });
  if (error != 0) return std::move(reply).Error(error);
  std::move(reply).Ok();
}

}  // namespace barefuse
