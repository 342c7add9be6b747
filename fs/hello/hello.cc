// hello MOUNTPOINT: the smallest filesystem, a directory with one file in it.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "server/session.h"

namespace barefuse {

constexpr NodeId kRoot = abi::FUSE_ROOT_ID, kFile = 2;
constexpr std::string_view kName = "hello", kContent = "Hello World!\n";
constexpr uint64_t kValid = 1;  // seconds for which the kernel trusts a reply

// Operations that are not here have defaults (server/file_system.h).
class Hello : public FileSystem {
  static abi::fuse_attr Attr(NodeId node) {
    if (node == kRoot) return {.ino = node, .mode = S_IFDIR | 0755, .nlink = 2};
    return {.ino = node,
            .size = kContent.size(),
            .mode = S_IFREG | 0444,
            .nlink = 1};
  }
  void Lookup(const LookupRequest& request, EntryReply reply) override {
    if (request->name != kName) return std::move(reply).Error(ENOENT);
    std::move(reply).Ok({.nodeid = kFile,
                         .entry_valid = kValid,
                         .attr_valid = kValid,
                         .attr = Attr(kFile)});
  }
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    std::move(reply).Ok({.attr_valid = kValid, .attr = Attr(request.node())});
  }
  // After the name: inode, type, and the offset at which reading goes on.
  void Readdir(const ReaddirRequest& request, DirectoryReply reply) override {
    if (request->offset < 1) reply.Add(".", kRoot, DT_DIR, 1);
    if (request->offset < 2) reply.Add("..", kRoot, DT_DIR, 2);
    if (request->offset < 3) reply.Add(kName, kFile, DT_REG, 3);
    std::move(reply).Ok();
  }
  void Open(const OpenRequest& request, OpenReply reply) override {
    const bool reads = (request->flags & O_ACCMODE) == O_RDONLY;
    reads ? std::move(reply).Ok(0) : std::move(reply).Error(EACCES);
  }
  void Read(const ReadRequest& request, DataReply reply) override {
    const size_t from = std::min(request->offset, kContent.size());
    std::move(reply).OkCopy(kContent.substr(from));
  }
};

}  // namespace barefuse

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "Usage: hello MOUNTPOINT\n");
    return 2;
  }
  // Blocked before there are other threads, so that only poll(2) sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  auto session = barefuse::Session::Mount(std::make_shared<barefuse::Hello>(),
                                          argv[1], {});
  if (!session.ok()) {
    fprintf(stderr, "hello: %s\n", session.status().ToString().c_str());
    return 1;
  }
  pollfd ends[] = {{signalfd(-1, &signals, SFD_CLOEXEC), POLLIN, 0},
                   {(*session)->done_fd(), POLLIN, 0}};
  while (poll(ends, 2, -1) < 0) continue;
  // The session's destructor stops it and unmounts.
}
