// A filesystem for tests that are about the mount.
#ifndef BAREFUSE_TESTS_KERNEL_SMALL_FILE_SYSTEM_H_
#define BAREFUSE_TESTS_KERNEL_SMALL_FILE_SYSTEM_H_

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "server/file_system.h"

namespace barefuse::testing {

// One directory with one file, "file", which nobody may cache. Counts what only
// block devices' filesystems are asked for.
class SmallFileSystem : public FileSystem {
 public:
  static constexpr std::string_view kContent = "small content";

  void Lookup(const LookupRequest& request, EntryReply reply) override {
    if (request->name != "file") return std::move(reply).Error(ENOENT);
    abi::fuse_entry_out entry{};
    entry.nodeid = kFile;
    entry.attr = Attr(kFile);
    std::move(reply).Ok(entry);
  }
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr = Attr(request.node());
    std::move(reply).Ok(out);
  }
  void Open(const OpenRequest&, OpenReply reply) override {
    std::move(reply).Ok(0);
  }
  void Read(const ReadRequest& request, DataReply reply) override {
    const size_t begin = std::min<size_t>(request->offset, kContent.size());
    const size_t size =
        std::min(reply.buffer().size(), kContent.size() - begin);
    memcpy(reply.buffer().data(), kContent.data() + begin, size);
    std::move(reply).Ok(size);
  }
  void Bmap(const BmapRequest& request, BmapReply reply) override {
    bmap_block_size = request->blocksize;
    abi::fuse_bmap_out out{};
    out.block = request->block + 1000;
    std::move(reply).Ok(out);
  }
  void Syncfs(const SyncfsRequest&, EmptyReply reply) override {
    ++syncs;
    std::move(reply).Ok();
  }
  void Destroy() override { ++destroys; }

  std::atomic<uint32_t> bmap_block_size{0};
  std::atomic<int> syncs{0};
  std::atomic<int> destroys{0};

 private:
  static constexpr uint64_t kFile = 2;

  static abi::fuse_attr Attr(NodeId node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr.nlink = 1;
    attr.size = node == kFile ? kContent.size() : 0;
    return attr;
  }
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_KERNEL_SMALL_FILE_SYSTEM_H_
