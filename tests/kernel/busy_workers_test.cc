// Handlers that block every worker, or keep every slot, do not keep the kernel
// from being heard.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "server/session.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::Process;
using barefuse::testing::TempDir;

// Lookups of "block..." wait in the handler until they are interrupted or let
// go; of "keep..." the reply is kept. All else is not there.
class Waits : public FileSystem {
 public:
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr.ino = request.node();
    out.attr.mode = S_IFDIR | 0755;
    out.attr.nlink = 2;
    std::move(reply).Ok(out);
  }
  void Lookup(const LookupRequest& request, EntryReply reply) override {
    if (request->name.starts_with("block")) return Block(std::move(reply));
    if (!request->name.starts_with("keep")) {
      return std::move(reply).Error(ENOENT);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    kept_.push_back(std::move(reply));
    ++entered_;
    changed_.notify_all();
  }

  void AwaitEntered(size_t handlers) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return entered_ >= handlers; });
  }
  void LetGo() {
    std::lock_guard<std::mutex> lock(mutex_);
    free_ = true;
    for (EntryReply& reply : kept_) std::move(reply).Error(ENOENT);
    kept_.clear();
    changed_.notify_all();
  }

 private:
  void Block(EntryReply reply) {
    auto interrupted = std::make_shared<std::atomic<bool>>(false);
    reply.OnInterrupt([this, interrupted] {
      *interrupted = true;
      std::lock_guard<std::mutex> lock(mutex_);
      changed_.notify_all();
    });
    {
      std::unique_lock<std::mutex> lock(mutex_);
      ++entered_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return free_ || *interrupted; });
    }
    std::move(reply).Error(*interrupted ? EINTR : ENOENT);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t entered_ = 0;
  bool free_ = false;
  std::vector<EntryReply> kept_;
};

int Look(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? 0 : errno;
}

// A process that looks at a path, and gives the errno as its exit status. A
// SIGUSR1 interrupts it.
std::unique_ptr<Process> Looker(const std::string& path) {
  return std::make_unique<Process>([path] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    return Look(path);
  });
}

class BusyWorkersTest : public ::testing::TestWithParam<TransportKind> {
 protected:
  ~BusyWorkersTest() override { fs_->LetGo(); }

  void Mount(SessionOptions options) {
    options.transport = GetParam();
    options.stop_timeout = absl::Milliseconds(300);
    auto session = Session::Mount(fs_, mountpoint_, std::move(options));
    ASSERT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
  }
  std::string Path(const std::string& name) { return mountpoint_ + "/" + name; }

  TempDir dir_;
  std::string mountpoint_ = dir_.MakeDir("mnt");
  std::shared_ptr<Waits> fs_ = std::make_shared<Waits>();
  std::unique_ptr<Session> session_;
};

TEST_P(BusyWorkersTest, InterruptsReachHandlersThatHoldEveryWorker) {
  ASSERT_NO_FATAL_FAILURE(Mount({.workers = 2}));
  auto first = Looker(Path("block1"));
  fs_->AwaitEntered(1);
  auto second = Looker(Path("block2"));
  fs_->AwaitEntered(2);
  first->Signal(SIGUSR1);
  EXPECT_EQ(first->Wait(), EINTR);
  second->Signal(SIGUSR1);
  EXPECT_EQ(second->Wait(), EINTR);
  EXPECT_GE(session_->statistics().interrupts, 2u);
}

TEST_P(BusyWorkersTest, OtherRequestsAreServedMeanwhile) {
  ASSERT_NO_FATAL_FAILURE(Mount({.workers = 1}));
  auto blocked = Looker(Path("block"));
  fs_->AwaitEntered(1);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Look(Path("x")), ENOENT);
  fs_->LetGo();
  EXPECT_EQ(blocked->Wait(), ENOENT);
  // And the worker is back.
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Look(Path("x")), ENOENT);
}

TEST_P(BusyWorkersTest, SoTheyAreWhereAllSlotsAreKept) {
  ASSERT_NO_FATAL_FAILURE(Mount({.workers = 1, .slots_per_worker = 2}));
  std::vector<std::unique_ptr<Process>> lookers;
  for (size_t i = 0; i < 6; ++i) {
    lookers.push_back(Looker(Path("keep" + std::to_string(i))));
    fs_->AwaitEntered(i + 1);
  }
  EXPECT_EQ(Look(Path("x")), ENOENT);
  fs_->LetGo();
  for (auto& looker : lookers) EXPECT_EQ(looker->Wait(), ENOENT);
}

TEST_P(BusyWorkersTest, AnAbortEndsItAllTheSame) {
  ASSERT_NO_FATAL_FAILURE(Mount({.workers = 1}));
  auto blocked = Looker(Path("block"));
  fs_->AwaitEntered(1);
  ASSERT_EQ(umount2(mountpoint_.c_str(), MNT_FORCE | MNT_DETACH), 0);
  const StopReason reason = session_->Wait();
  EXPECT_TRUE(reason.kind == StopReason::Kind::kUnmounted ||
              reason.kind == StopReason::Kind::kAborted);
  EXPECT_NE(reason.detail.find("LOOKUP"), reason.detail.npos) << reason.detail;
  EXPECT_NE(blocked->Wait(), 0);
}

// The end needs no slot to be seen.
TEST_P(BusyWorkersTest, AnAbortIsSeenWhereEverySlotIsKept) {
  for (uint32_t parked : {0u, 2u}) {
    fs_ = std::make_shared<Waits>();
    ASSERT_NO_FATAL_FAILURE(Mount(
        {.workers = 1, .slots_per_worker = 2, .parked_requests = parked}));
    std::vector<std::unique_ptr<Process>> lookers;
    for (size_t i = 0; i < 2 + parked; ++i) {
      lookers.push_back(Looker(Path("keep" + std::to_string(i))));
      fs_->AwaitEntered(i + 1);
    }
    ASSERT_EQ(umount2(mountpoint_.c_str(), MNT_FORCE | MNT_DETACH), 0);
    // Nobody has stopped it.
    pollfd done{session_->done_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&done, 1, 20'000), 1) << parked;
    EXPECT_NE(session_->Wait().kind, StopReason::Kind::kStopped);
    for (auto& looker : lookers) EXPECT_NE(looker->Wait(), 0);
    session_.reset();
    fs_->LetGo();
  }
}

TEST_P(BusyWorkersTest, WithoutAReserveItWaits) {
  ASSERT_NO_FATAL_FAILURE(
      Mount({.workers = 1, .offload_threads = 0, .parked_requests = 0}));
  auto blocked = Looker(Path("block"));
  fs_->AwaitEntered(1);
  auto other = Looker(Path("x"));
  fs_->LetGo();
  EXPECT_EQ(blocked->Wait(), ENOENT);
  EXPECT_EQ(other->Wait(), ENOENT);
}

TEST_P(BusyWorkersTest, WorkersMayLookBeforeTheySleep) {
  ASSERT_NO_FATAL_FAILURE(
      Mount({.workers = 2, .busy_poll = absl::Milliseconds(1)}));
  auto kept = Looker(Path("keep"));
  fs_->AwaitEntered(1);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(Look(Path("x")), ENOENT);
  fs_->LetGo();  // on this thread, which is no worker
  EXPECT_EQ(kept->Wait(), ENOENT);
  session_->Stop();
  EXPECT_EQ(session_->Wait().detail, "");
}

INSTANTIATE_TEST_SUITE_P(Transports, BusyWorkersTest,
                         ::testing::Values(TransportKind::kDevUring,
                                           TransportKind::kDev),
                         [](const auto& param) {
                           return param.param == TransportKind::kDev
                                      ? "Dev"
                                      : "DevUring";
                         });

}  // namespace
}  // namespace barefuse
