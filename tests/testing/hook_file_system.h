// A filesystem that does what a test says.
#ifndef BAREFUSE_TESTS_TESTING_HOOK_FILE_SYSTEM_H_
#define BAREFUSE_TESTS_TESTING_HOOK_FILE_SYSTEM_H_

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/operations.h"
#include "server/file_system.h"

namespace barefuse::testing {

// Closed at first; who waits goes on once it is open. Shared with the handlers
// that wait at it, which may be left behind by their session.
class Gate {
 public:
  void Open() {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
  }
  // False where it is not opened in time.
  bool WaitFor(std::chrono::seconds time) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// What can be hooked: the operations that a filesystem answers.
// clang-format off
#define BAREFUSE_HOOKED_OPERATIONS(X) \
  X(Lookup) X(Getattr) X(Setattr) X(Statx) X(Readlink) X(Symlink) X(Mknod) \
  X(Mkdir) X(Unlink) X(Rmdir) X(Rename) X(Rename2) X(Link) X(Access) \
  X(Statfs) X(Open) X(Create) X(Tmpfile) X(Read) X(Write) X(Flush) \
  X(Release) X(Fsync) X(Fallocate) X(Lseek) X(CopyFileRange) \
  X(CopyFileRange64) X(Ioctl) X(Poll) X(Bmap) X(Getlk) X(Setlk) X(Setlkw) \
  X(Opendir) X(Readdir) X(Readdirplus) X(Releasedir) X(Fsyncdir) X(Syncfs) \
  X(Setxattr) X(Getxattr) X(Listxattr) X(Removexattr)
// clang-format on

// Without hooks: every name in the root is the file 2, all files have as many
// bytes as anybody reads, and every change succeeds. Hooks are set before the
// session starts.
class HookFileSystem : public FileSystem {
 public:
  static constexpr uint64_t kFile = 2;
  static constexpr uint64_t kHandle = 7;
  static constexpr char kByte = 'r';  // what files consist of

  struct Hooks {
#define BAREFUSE_HOOK(Op) \
  std::function<void(const Op##Request&, ReplyTo<proto::Op>)> Op;
    BAREFUSE_HOOKED_OPERATIONS(BAREFUSE_HOOK)
#undef BAREFUSE_HOOK
    std::function<void(NodeId, uint64_t)> Forget;
    std::function<void()> Destroy;
  };
  Hooks hooks;
  std::set<uint32_t> blocking;  // opcodes of Execution::kBlocking
  uint64_t wanted = ~uint64_t{0};

  // Waits until so many handlers of `opcode` have been entered since the start.
  // False where that takes too long.
  bool AwaitEntered(uint32_t opcode, uint64_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      return entered_[proto::OperationIndex(opcode)] >= count;
    });
  }
  uint64_t Entered(uint32_t opcode) {
    std::lock_guard<std::mutex> lock(mutex_);
    return entered_[proto::OperationIndex(opcode)];
  }
  // What Forget was told, summed up.
  std::map<NodeId, uint64_t> Forgotten() {
    std::lock_guard<std::mutex> lock(mutex_);
    return forgotten_;
  }

  uint64_t WantedCapabilities() const override { return wanted; }
  Execution ExecutionOf(uint32_t opcode) const override {
    return blocking.contains(opcode) ? Execution::kBlocking
                                     : Execution::kWorker;
  }
  void Forget(NodeId node, uint64_t lookups) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      forgotten_[node] += lookups;
    }
    Enter(abi::FUSE_FORGET);
    if (hooks.Forget) hooks.Forget(node, lookups);
  }
  void Destroy() override {
    Enter(abi::FUSE_DESTROY);
    if (hooks.Destroy) hooks.Destroy();
  }

#define BAREFUSE_OVERRIDE(Op)                                              \
  void Op(const Op##Request& request, ReplyTo<proto::Op> reply) override { \
    Enter(proto::kOpcodeOf<proto::Op>);                                    \
    if (hooks.Op) return hooks.Op(request, std::move(reply));              \
    Answer(request, std::move(reply));                                     \
  }
  BAREFUSE_HOOKED_OPERATIONS(BAREFUSE_OVERRIDE)
#undef BAREFUSE_OVERRIDE

  static abi::fuse_attr Attr(NodeId node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == abi::FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    attr.nlink = 1;
    return attr;
  }
  static abi::fuse_entry_out Entry() {
    abi::fuse_entry_out entry{};
    entry.nodeid = kFile;
    entry.attr = Attr(kFile);
    return entry;
  }

 private:
  void Enter(uint32_t opcode) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++entered_[proto::OperationIndex(opcode)];
    changed_.notify_all();
  }

  // What is answered where no hook is set.
  template <class R>
  void Answer(const R&, EntryReply reply) {
    std::move(reply).Ok(Entry());
  }
  template <class R>
  void Answer(const R& request, AttrReply reply) {
    abi::fuse_attr_out out{};
    out.attr = Attr(request.node());
    std::move(reply).Ok(out);
  }
  template <class R>
  void Answer(const R&, EmptyReply reply) {
    std::move(reply).Ok();
  }
  template <class R>
  void Answer(const R&, OpenReply reply) {
    std::move(reply).Ok(kHandle);
  }
  template <class R>
  void Answer(const R&, CreateReply reply) {
    std::move(reply).Ok(Entry(), kHandle);
  }
  void Answer(const WriteRequest& request, WriteReply reply) {
    std::move(reply).Ok(request->data.size());
  }
  void Answer(const CopyFileRangeRequest& request, WriteReply reply) {
    std::move(reply).Ok(request->len);
  }
  template <class R>
  void Answer(const R&, DataReply reply) {
    const size_t size = reply.buffer().size();
    std::fill_n(reply.buffer().data(), size, std::byte{kByte});
    std::move(reply).Ok(size);
  }
  template <class R>
  void Answer(const R&, XattrReply reply) {
    std::move(reply).OkCopy("value");
  }
  template <class R>
  void Answer(const R&, IoctlReply reply) {
    const size_t size = reply.buffer().size();
    std::fill_n(reply.buffer().data(), size, std::byte{'i'});
    std::move(reply).Ok(0, size);
  }
  template <class R>
  void Answer(const R& request, DirectoryReply reply) {
    if (request->offset == 0) reply.Add("file", kFile, DT_REG, 1);
    std::move(reply).Ok();
  }
  template <class R>
  void Answer(const R& request, DirectoryPlusReply reply) {
    if (request->offset == 0) reply.Add(Entry(), "file", DT_REG, 1);
    std::move(reply).Ok();
  }
  template <class R, class Out>
  void Answer(const R&, Reply<Out> reply) {
    std::move(reply).Ok(Out{});
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<uint64_t, proto::kOperationSlots> entered_{};
  std::map<NodeId, uint64_t> forgotten_;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_HOOK_FILE_SYSTEM_H_
