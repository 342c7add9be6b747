// Handlers that do not return hold nobody up for long.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "server/session.h"
#include "tests/testing/files.h"

namespace barefuse {
namespace {

using barefuse::testing::MountsBelow;
using barefuse::testing::TempDir;

// Far beyond the stop_timeout of these sessions.
constexpr auto kLost = std::chrono::seconds(20);

// A lookup of "stuck" does not return until it is let go; one of "itself" looks
// at the mount that it serves until nobody answers.
class Sticky : public FileSystem {
 public:
  explicit Sticky(std::string mountpoint)
      : mountpoint_(std::move(mountpoint)) {}

  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr.ino = request.node();
    out.attr.mode = S_IFDIR | 0755;
    out.attr.nlink = 2;
    std::move(reply).Ok(out);
  }
  void Lookup(const LookupRequest& request, EntryReply reply) override {
    if (request->name == "stuck") {
      std::unique_lock<std::mutex> lock(mutex_);
      ++stuck_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return free_; });
    } else if (request->name == "itself") {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        ++stuck_;
        changed_.notify_all();
      }
      UseMount();
    }
    std::move(reply).Error(ENOENT);
  }

  void AwaitStuck(int handlers) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return stuck_ >= handlers; });
  }
  void Free() {
    std::lock_guard<std::mutex> lock(mutex_);
    free_ = true;
    changed_.notify_all();
  }

  // Opens the mount's directory, so that it can be asked after it is detached.
  void OpenMount() {
    std::lock_guard<std::mutex> lock(mutex_);
    directory_.reset(
        open(mountpoint_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

 private:
  // Asks for names as long as somebody answers.
  void UseMount() {
    struct stat info;
    do {
      fstatat(directory_.get(), "other", &info, 0);
    } while (errno == ENOENT);
  }

  const std::string mountpoint_;
  UniqueFd directory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int stuck_ = 0;
  bool free_ = false;
};

class StuckHandlerTest : public ::testing::Test {
 protected:
  ~StuckHandlerTest() override {
    if (fs_ != nullptr) fs_->Free();
  }
  void Mount(uint32_t workers) {
    auto session = Session::Mount(
        fs_, mountpoint_,
        {.workers = workers, .stop_timeout = absl::Milliseconds(300)});
    ASSERT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
    fs_->OpenMount();
  }
  std::future<int> Look(const std::string& name) {
    return std::async(std::launch::async, [path = mountpoint_ + "/" + name] {
      struct stat info;
      return stat(path.c_str(), &info) == 0 ? 0 : errno;
    });
  }
  StopReason WaitAtMost() {
    auto reason =
        std::async(std::launch::async, [this] { return session_->Wait(); });
    if (reason.wait_for(kLost) != std::future_status::ready) {
      ADD_FAILURE() << "the session does not end";
      fs_->Free();
    }
    return reason.get();
  }

  TempDir dir_;
  std::string mountpoint_ = dir_.MakeDir("mnt");
  std::shared_ptr<Sticky> fs_ = std::make_shared<Sticky>(mountpoint_);
  std::unique_ptr<Session> session_;
};

TEST_F(StuckHandlerTest, IsLeftBehindAndNamed) {
  Mount(2);
  auto stuck = Look("stuck");
  fs_->AwaitStuck(1);
  // The other worker goes on.
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Look("x").get(), ENOENT);
  session_->Stop();
  const StopReason reason = WaitAtMost();
  EXPECT_EQ(reason.kind, StopReason::Kind::kStopped);
  EXPECT_EQ(reason.detail,
            "1 of 2 workers left behind in a handler that did not return: "
            "LOOKUP");
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
  // Who waited for it has been told.
  EXPECT_NE(stuck.get(), 0);
  session_.reset();

  // The filesystem lives until the handler returns, and not longer.
  std::weak_ptr<Sticky> watched = fs_;
  Sticky* still_there = fs_.get();
  fs_.reset();
  EXPECT_FALSE(watched.expired());
  still_there->Free();
  while (!watched.expired()) std::this_thread::yield();
}

// Who looks on is left alone once the session has ended.
TEST_F(StuckHandlerTest, IsSeenByNobodyAfterwards) {
  std::atomic<int> seen{0};
  auto session = Session::Mount(
      fs_, mountpoint_,
      {.workers = 2,
       .stop_timeout = absl::Milliseconds(300),
       .log = [&seen](LogLevel, std::string_view) { ++seen; },
       .tap = [&seen](Direction, proto::Bytes, proto::Bytes) { ++seen; }});
  ASSERT_TRUE(session.ok()) << session.status();
  session_ = *std::move(session);
  auto stuck = Look("stuck");
  fs_->AwaitStuck(1);
  session_->Stop();
  EXPECT_NE(WaitAtMost().detail, "");
  session_.reset();
  const int before = seen;
  std::weak_ptr<Sticky> watched = fs_;
  fs_->Free();
  fs_.reset();
  while (!watched.expired()) std::this_thread::yield();
  EXPECT_EQ(seen, before);
}

// Nothing of the end needs a descriptor that may not be there.
TEST_F(StuckHandlerTest, EndsWithoutAFreeDescriptor) {
  Mount(1);
  auto stuck = Look("stuck");
  fs_->AwaitStuck(1);
  std::vector<UniqueFd> all;
  for (int fd; (fd = open("/", O_PATH | O_CLOEXEC)) >= 0;) all.emplace_back(fd);
  EXPECT_EQ(errno, EMFILE);
  session_->Stop();
  const StopReason reason = WaitAtMost();
  all.clear();
  EXPECT_NE(reason.detail.find("LOOKUP"), reason.detail.npos);
  EXPECT_NE(stuck.get(), 0);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(StuckHandlerTest, AllOfThemMayBe) {
  Mount(2);
  auto first = Look("stuck");
  auto second = Look("stuck");
  fs_->AwaitStuck(1);
  // One client's lookups of a name wait for each other in the kernel, so the
  // second worker gets a name of its own.
  auto third = Look("itself");
  fs_->AwaitStuck(2);
  session_->Stop();
  const StopReason reason = WaitAtMost();
  EXPECT_EQ(reason.kind, StopReason::Kind::kStopped);
  EXPECT_EQ(reason.detail.substr(0, 6), "1 of 2") << reason.detail;
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(StuckHandlerTest, OneThatWaitsForItsOwnMountIsFreed) {
  Mount(1);
  auto look = Look("itself");
  fs_->AwaitStuck(1);
  session_->Stop();
  const StopReason reason = WaitAtMost();
  EXPECT_EQ(reason.kind, StopReason::Kind::kStopped);
  EXPECT_EQ(reason.detail, "");
  EXPECT_NE(look.get(), 0);
}

// Also where other workers, and with them other descriptors of the connection,
// have come to their end before.
TEST_F(StuckHandlerTest, IsFreedWhicheverWorkerItIs) {
  for (int trial = 0; trial < 8; ++trial) {
    fs_ = std::make_shared<Sticky>(mountpoint_);
    Mount(4);
    auto look = Look("itself");
    fs_->AwaitStuck(1);
    session_->Stop();
    EXPECT_EQ(WaitAtMost().detail, "");
    EXPECT_NE(look.get(), 0);
    session_.reset();
  }
}

TEST_F(StuckHandlerTest, HoldsUpNoUnmountFromOutside) {
  Mount(2);
  auto stuck = Look("stuck");
  fs_->AwaitStuck(1);
  ASSERT_EQ(umount2(mountpoint_.c_str(), MNT_FORCE | MNT_DETACH), 0);
  const StopReason reason = WaitAtMost();
  EXPECT_TRUE(reason.kind == StopReason::Kind::kUnmounted ||
              reason.kind == StopReason::Kind::kAborted);
  EXPECT_NE(reason.detail.find("LOOKUP"), reason.detail.npos) << reason.detail;
}

// A notification that waits inside the kernel for what nobody will answer holds
// the connection; the session must end all the same, and free who waits.
class KeepsReads : public FileSystem {
 public:
  void Init(Connection& connection) override {
    notifier = connection.notifier();
  }
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr = Attr(request.node());
    std::move(reply).Ok(out);
  }
  void Lookup(const LookupRequest&, EntryReply reply) override {
    abi::fuse_entry_out entry{};
    entry.nodeid = 2;
    entry.attr = Attr(2);
    std::move(reply).Ok(entry);
  }
  void Read(const ReadRequest&, DataReply reply) override {
    std::lock_guard<std::mutex> lock(mutex_);
    kept_.push_back(std::move(reply));
    changed_.notify_all();
  }
  void AwaitRead() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !kept_.empty(); });
  }

  std::shared_ptr<Notifier> notifier;

 private:
  static abi::fuse_attr Attr(NodeId node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == 2 ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr.nlink = 1;
    attr.size = node == 2 ? 8192 : 0;
    return attr;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<DataReply> kept_;
};

TEST_F(StuckHandlerTest, NorDoesANotificationThatWaitsForIt) {
  auto fs = std::make_shared<KeepsReads>();
  auto session = Session::Mount(
      fs, mountpoint_, {.workers = 2, .stop_timeout = absl::Milliseconds(300)});
  ASSERT_TRUE(session.ok()) << session.status();
  session_ = *std::move(session);
  auto reader = std::async(std::launch::async, [this] {
    UniqueFd fd(open((mountpoint_ + "/file").c_str(), O_RDONLY | O_CLOEXEC));
    char bytes[100];
    return read(fd.get(), bytes, sizeof bytes) < 0 ? errno : 0;
  });
  fs->AwaitRead();
  std::atomic<bool> returned{false};
  std::thread notification([&] {
    fs->notifier->InvalInode(2, 0, 0);  // waits for the page that is read
    returned = true;
  });
  session_->Stop();
  EXPECT_EQ(WaitAtMost().kind, StopReason::Kind::kStopped);
  session_.reset();
  EXPECT_NE(reader.get(), 0);
  notification.join();
  EXPECT_TRUE(returned);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

}  // namespace
}  // namespace barefuse
