// What the kernel does with its page cache as opens of one file come and go in
// different modes, each answered as the test says.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

#include "server/backing_file.h"
#include "server/session.h"
#include "tests/testing/files.h"

namespace barefuse {
namespace {

using barefuse::testing::TempDir;

// One file, "file", whose content is another's.
class OneFile : public FileSystem {
 public:
  enum class Mode { kKeepCache, kPassthrough };

  explicit OneFile(const std::string& content)
      : content_(open(content.c_str(), O_RDWR | O_CLOEXEC)) {}

  uint64_t WantedCapabilities() const override {
    // Without AUTO_INVAL_DATA: pages go only where an open says so.
    return (FileSystem::WantedCapabilities() & ~abi::FUSE_AUTO_INVAL_DATA) |
           abi::FUSE_PASSTHROUGH;
  }
  void Lookup(const LookupRequest&, EntryReply reply) override {
    abi::fuse_entry_out entry{};
    entry.nodeid = 2;
    entry.attr = Attr(2);
    std::move(reply).Ok(entry);
  }
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr = Attr(request.node());
    std::move(reply).Ok(out);
  }
  void Open(const OpenRequest& request, OpenReply reply) override {
    reply.KeepCache();
    if (mode == Mode::kPassthrough) {
      use_ = backing_.Join(request.connection(), content_.get());
      EXPECT_TRUE(use_.passthrough()) << use_.why_not();
      reply.Passthrough(use_);
    }
    std::move(reply).Ok(1);
  }
  void Release(const ReleaseRequest&, EmptyReply reply) override {
    use_ = BackingUse();
    std::move(reply).Ok();
    released.fetch_add(1);
  }
  void Read(const ReadRequest& request, DataReply reply) override {
    ++reads;
    const ssize_t n =
        pread(content_.get(), reply.buffer().data(), reply.buffer().size(),
              static_cast<off_t>(request->offset));
    std::move(reply).Ok(static_cast<size_t>(n));
  }

  std::atomic<Mode> mode{Mode::kKeepCache};
  std::atomic<int> reads{0};
  std::atomic<int> released{0};

 private:
  abi::fuse_attr Attr(NodeId node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == abi::FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    attr.nlink = 1;
    attr.size = 4;
    return attr;
  }

  UniqueFd content_;
  SharedBacking backing_;
  BackingUse use_;
};

class IoModeTest : public ::testing::Test {
 protected:
  IoModeTest() {
    testing::WriteFile(dir_ / "content", "old!");
    fs_ = std::make_shared<OneFile>(dir_ / "content");
    auto session = Session::Mount(fs_, dir_.MakeDir("mnt"), {.workers = 1});
    testing::Check(session.ok(), "mount");
    session_ = *std::move(session);
  }
  std::string ReadOnce() {
    const int before = fs_->released;
    std::string content = testing::ReadFile(dir_ / "mnt/file");
    while (fs_->released == before) {
    }
    return content;
  }

  TempDir dir_;
  std::shared_ptr<OneFile> fs_;
  std::unique_ptr<Session> session_;
};

TEST_F(IoModeTest, APassthroughOpenDropsTheOldPages) {
  EXPECT_EQ(ReadOnce(), "old!");
  EXPECT_EQ(ReadOnce(), "old!");
  EXPECT_EQ(fs_->reads, 1);  // the second came from the cache

  fs_->mode = OneFile::Mode::kPassthrough;
  {
    UniqueFd fd(open((dir_ / "mnt/file").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(fd) << strerror(errno);
    EXPECT_EQ(pwrite(fd.get(), "new!", 4, 0), 4);
  }
  while (fs_->released != 3) {
  }
  EXPECT_EQ(fs_->reads, 1);  // nothing of it came to the server

  // Cached again, with what was cached before allowed: there is nothing.
  fs_->mode = OneFile::Mode::kKeepCache;
  EXPECT_EQ(ReadOnce(), "new!");
  EXPECT_EQ(fs_->reads, 2);
}

}  // namespace
}  // namespace barefuse
