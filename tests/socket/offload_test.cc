// Handlers that may block run on threads of their own.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/socket/socket_test.h"

namespace barefuse::testing {
namespace {

class OffloadTest : public SocketTest {
 protected:
  // FSYNCs block at the gate, and are numbered in the order of their serving.
  void BlockFsync() {
    fs_->blocking = {abi::FUSE_FSYNC};
    fs_->hooks.Fsync = [served = served_, gate = gate_](
                           const FsyncRequest& request, EmptyReply reply) {
      served->Add(request.unique());
      gate->Wait();
      std::move(reply).Ok();
    };
  }
  // The others are served as ever.
  void ExpectService() {
    for (int i = 0; i < 50; ++i) {
      ASSERT_EQ(peer_.Ask(LookupMessage("x")).error(), 0);
      ASSERT_EQ(peer_.Ask(ReadMessage(4096)).body.size(), 4096u);
    }
  }
  std::vector<uint64_t> Order() { return served_->Get(); }

 private:
  // Handlers may outlive the test.
  class Served {
   public:
    void Add(uint64_t unique) {
      std::lock_guard<std::mutex> lock(mutex_);
      order_.push_back(unique);
    }
    std::vector<uint64_t> Get() {
      std::lock_guard<std::mutex> lock(mutex_);
      return order_;
    }

   private:
    std::mutex mutex_;
    std::vector<uint64_t> order_;
  };
  std::shared_ptr<Served> served_ = std::make_shared<Served>();
};

TEST_F(OffloadTest, BlockedHandlersDoNotHoldUpTheWorker) {
  BlockFsync();
  // No reserve, so that nothing but the worker serves the others.
  Start({.workers = 1, .offload_threads = 8, .parked_requests = 0});
  std::vector<uint64_t> uniques;
  for (uint64_t blocked = 1; blocked <= 8; ++blocked) {
    uniques.push_back(Send(FsyncMessage()));
    ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, blocked));
    ExpectService();
  }
  gate_->Open();
  for (uint64_t unique : uniques) EXPECT_EQ(peer_.Await(unique).error(), 0);
  peer_.ExpectSilence();
}

TEST_F(OffloadTest, MoreThanThereAreThreadsWaitInOrder) {
  BlockFsync();
  Start({.workers = 1, .offload_threads = 1, .parked_requests = 0});
  std::vector<uint64_t> uniques;
  for (int i = 0; i < 12; ++i) uniques.push_back(Send(FsyncMessage()));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 1));
  ExpectService();
  EXPECT_EQ(fs_->Entered(abi::FUSE_FSYNC), 1u);
  gate_->Open();
  for (uint64_t unique : uniques) EXPECT_EQ(peer_.Await(unique).error(), 0);
  EXPECT_EQ(Order(), uniques);
}

TEST_F(OffloadTest, NoMoreThreadsThanThatServeThem) {
  fs_->blocking = {abi::FUSE_FSYNC};
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  fs_->hooks.Fsync = [&](const FsyncRequest&, EmptyReply reply) {
    const int here = ++now;
    int seen = most;
    while (here > seen && !most.compare_exchange_weak(seen, here)) {
    }
    std::this_thread::yield();
    --now;
    std::move(reply).Ok();
  };
  Start({.workers = 2, .slots_per_worker = 64, .offload_threads = 3});
  for (int round = 0; round < 20; ++round) {
    std::vector<uint64_t> uniques;
    for (int i = 0; i < 60; ++i) uniques.push_back(Send(FsyncMessage()));
    for (uint64_t unique : uniques) ASSERT_EQ(peer_.Await(unique).error(), 0);
  }
  EXPECT_LE(most, 3);
  EXPECT_GE(most, 1);
}

TEST_F(OffloadTest, WithoutThreadsTheyBlockTheirWorker) {
  BlockFsync();
  Start({.workers = 2, .offload_threads = 0, .parked_requests = 0});
  const uint64_t blocked = Send(FsyncMessage());
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 1));
  ExpectService();
  const uint64_t other = Send(FsyncMessage());
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 2));
  // Both workers are in a handler: this one waits.
  const uint64_t waits = Send(LookupMessage("x"));
  EXPECT_EQ(fs_->Entered(abi::FUSE_LOOKUP), 50u);
  gate_->Open();
  EXPECT_EQ(peer_.Await(blocked).error(), 0);
  EXPECT_EQ(peer_.Await(other).error(), 0);
  EXPECT_EQ(peer_.Await(waits).error(), 0);
}

TEST_F(OffloadTest, OperationsOfTheCoreCannotBeOffloaded) {
  // Whatever the filesystem says of them.
  for (uint32_t opcode = 0; opcode < 60; ++opcode) fs_->blocking.insert(opcode);
  Start({.workers = 1, .offload_threads = 2});
  Send(ForgetMessage(2, 3));
  Send(InterruptMessage(1000));
  EXPECT_EQ(peer_.Ask(peer_.InitMessage(45, 0)).error(), EIO);
  EXPECT_EQ(peer_.Ask(LookupMessage("x")).error(), 0);
  EXPECT_EQ(peer_.Ask(peer_.Message(abi::FUSE_DESTROY)).error(), 0);
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FORGET, 1));
  EXPECT_EQ(fs_->Forgotten().at(2), 3u);
  EXPECT_EQ(fs_->Entered(abi::FUSE_DESTROY), 1u);
}

TEST_F(OffloadTest, ABodyThatIsWrongNeedsNoThread) {
  BlockFsync();
  Start({.workers = 1, .offload_threads = 1, .parked_requests = 0});
  Send(FsyncMessage());
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 1));
  EXPECT_EQ(peer_.Ask(peer_.Message(abi::FUSE_FSYNC, 2).Raw("short")).error(),
            EIO);
  gate_->Open();
}

TEST_F(OffloadTest, HandlersThatNeverReturnAreLeftBehindAndNamed) {
  BlockFsync();
  Start({.workers = 1,
         .offload_threads = 2,
         .parked_requests = 0,  // the reserve has threads of its own
         .stop_timeout = absl::Milliseconds(300)});
  for (int i = 0; i < 5; ++i) Send(FsyncMessage());
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 2));
  session_->Stop();
  const auto begin = std::chrono::steady_clock::now();
  const StopReason reason = Wait();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_EQ(reason.kind, StopReason::Kind::kStopped);
  EXPECT_NE(reason.detail.find("threads of the session left behind"),
            std::string::npos)
      << reason.detail;
  EXPECT_NE(reason.detail.find("FSYNC"), std::string::npos) << reason.detail;
  // Those that waited are not served after the end.
  EXPECT_EQ(fs_->Entered(abi::FUSE_FSYNC), 2u);
  session_.reset();
  // They hold the filesystem until they return, and not longer.
  std::weak_ptr<HookFileSystem> watched = fs_;
  fs_.reset();
  EXPECT_FALSE(watched.expired());
  gate_->Open();
  EXPECT_TRUE(Eventually([&] { return watched.expired(); }));
}

TEST_F(OffloadTest, ThePeerGoesWhileTheyBlock) {
  BlockFsync();
  Start({.workers = 2, .offload_threads = 2});
  for (int i = 0; i < 6; ++i) Send(FsyncMessage());
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 2));
  peer_.Close();
  // The end has begun; the handlers return in time.
  std::thread opener([&] {
    pollfd done{session_->done_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&done, 1, 20000), 1);
    gate_->Open();
  });
  const StopReason reason = Wait();
  opener.join();
  EXPECT_EQ(reason.kind, StopReason::Kind::kUnmounted);
  EXPECT_EQ(reason.detail, "");
}

TEST_F(OffloadTest, QueuedRequestsAreAnsweredOrTheConnectionEnds) {
  BlockFsync();
  Start({.workers = 1, .offload_threads = 1, .parked_requests = 0});
  const uint64_t first = Send(FsyncMessage());
  std::vector<uint64_t> queued;
  for (int i = 0; i < 5; ++i) queued.push_back(Send(FsyncMessage()));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 1));
  ASSERT_EQ(peer_.Ping(), 0);
  session_->Stop();
  std::thread waiter([&] { Wait(); });
  gate_->Open();
  waiter.join();
  // Whatever came before the end is no success that nobody has given.
  EXPECT_TRUE(peer_.AwaitEnd());
  EXPECT_LE(fs_->Entered(abi::FUSE_FSYNC), 6u);
  (void)first;
}

}  // namespace
}  // namespace barefuse::testing
