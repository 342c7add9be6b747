// Where no worker can read, the reserve does.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "tests/socket/socket_test.h"

namespace barefuse::testing {
namespace {

class ReserveTest : public SocketTest {
 protected:
  // Lookups of "block" wait at the gate in their handler, those of "interrupt"
  // until they are interrupted, those of "unlock" open the gate, those of
  // "keep" are kept.
  void HookLookups() {
    fs_->hooks.Lookup = [this, gate = gate_](const LookupRequest& request,
                                             EntryReply reply) {
      if (request->name == "block") gate->Wait();
      if (request->name == "unlock") gate->Open();
      if (request->name == "interrupt") {
        const bool hit = Eventually([&] { return request.interrupted(); });
        return std::move(reply).Error(hit ? EINTR : ETIMEDOUT);
      }
      if (request->name == "keep") {
        std::lock_guard<std::mutex> lock(mutex_);
        kept_.push_back(std::move(reply));
        return;
      }
      std::move(reply).Ok(HookFileSystem::Entry());
    };
  }
  // Sends so many and waits until their handlers have been entered.
  std::vector<uint64_t> SendAll(std::string_view name, int count) {
    const uint64_t before = fs_->Entered(abi::FUSE_LOOKUP);
    const size_t kept = Kept();
    std::vector<uint64_t> uniques;
    for (int i = 0; i < count; ++i)
      uniques.push_back(Send(LookupMessage(name)));
    EXPECT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, before + count));
    // A handler keeps its reply a little later than it is entered.
    if (name == "keep") {
      EXPECT_TRUE(AwaitKept(kept + static_cast<size_t>(count)));
    }
    return uniques;
  }
  void AnswerKept(size_t count = SIZE_MAX) {
    std::vector<EntryReply> replies;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (count-- > 0 && !kept_.empty()) {
        replies.push_back(std::move(kept_.back()));
        kept_.pop_back();
      }
    }
    for (EntryReply& reply : replies) {
      std::move(reply).Ok(HookFileSystem::Entry());
    }
  }
  size_t Kept() {
    std::lock_guard<std::mutex> lock(mutex_);
    return kept_.size();
  }
  bool AwaitKept(size_t count) {
    return Eventually([&] { return Kept() >= count; });
  }
  void ExpectAnswers(const std::vector<uint64_t>& uniques, int error = 0) {
    for (uint64_t unique : uniques) {
      ASSERT_EQ(peer_.Await(unique).error(), error);
    }
  }
  static SessionOptions Few() {
    SessionOptions options;
    options.workers = 2;
    options.slots_per_worker = 2;
    return options;
  }

  std::mutex mutex_;
  std::vector<EntryReply> kept_;
};

TEST_F(ReserveTest, ServesWhileAllWorkersAreInHandlers) {
  HookLookups();
  Start(Few());
  const std::vector<uint64_t> blocked = SendAll("block", 2);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(peer_.Ask(LookupMessage("x")).error(), 0);
    ASSERT_EQ(peer_.Ask(ReadMessage(5000)).body.size(), 5000u);
    ASSERT_EQ(peer_.Ask(WriteMessage("0123")).As<abi::fuse_write_out>().size,
              4u);
  }
  EXPECT_EQ(peer_.Ask(peer_.Message(9999)).error(), ENOSYS);
  EXPECT_EQ(peer_.Ask(LookupMessage("")).error(), EIO);
  gate_->Open();
  ExpectAnswers(blocked);
  peer_.ExpectSilence();
}

TEST_F(ReserveTest, BringsTheRequestThatUnblocks) {
  HookLookups();
  Start(Few());
  const std::vector<uint64_t> blocked = SendAll("block", 2);
  EXPECT_EQ(peer_.Ask(LookupMessage("unlock")).error(), 0);
  ExpectAnswers(blocked);
}

TEST_F(ReserveTest, BringsInterrupts) {
  HookLookups();
  Start(Few());
  for (int round = 0; round < 5; ++round) {
    const std::vector<uint64_t> blocked = SendAll("interrupt", 2);
    for (uint64_t unique : blocked) Send(InterruptMessage(unique));
    ExpectAnswers(blocked, EINTR);
  }
  peer_.ExpectSilence();
}

TEST_F(ReserveTest, BringsForgetsAndDestroy) {
  HookLookups();
  Start(Few());
  const std::vector<uint64_t> blocked = SendAll("block", 2);
  for (uint64_t i = 1; i <= 100; ++i) Send(ForgetMessage(5, i));
  const abi::fuse_batch_forget_in batch{2, 0};
  Send(peer_.Message(abi::FUSE_BATCH_FORGET, 0)
           .Struct(batch)
           .Struct(abi::fuse_forget_one{6, 7})
           .Struct(abi::fuse_forget_one{8, 9}));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FORGET, 102));
  EXPECT_EQ(fs_->Forgotten()[5], 5050u);
  EXPECT_EQ(fs_->Forgotten()[6], 7u);
  EXPECT_EQ(fs_->Forgotten()[8], 9u);
  EXPECT_EQ(peer_.Ask(peer_.Message(abi::FUSE_DESTROY)).error(), 0);
  EXPECT_EQ(fs_->Entered(abi::FUSE_DESTROY), 1u);
  gate_->Open();
  ExpectAnswers(blocked);
}

TEST_F(ReserveTest, ServesWhileAllSlotsAreTaken) {
  HookLookups();
  Start(Few());
  std::vector<uint64_t> kept = SendAll("keep", 4);
  ASSERT_TRUE(AwaitKept(4));
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(peer_.Ask(LookupMessage("x")).error(), 0);
  }
  AnswerKept();
  ExpectAnswers(kept);
  peer_.ExpectSilence();
}

// The documented bound: with the whole parking pool taken nothing is read until
// a reply is given.
TEST_F(ReserveTest, WithEverythingTakenNothingIsReadUntilAReplyIsGiven) {
  HookLookups();
  SessionOptions options = Few();
  options.parked_requests = 5;
  Start(options);
  for (int round = 0; round < 3; ++round) {
    std::vector<uint64_t> kept = SendAll("keep", 4 + 5);
    ASSERT_TRUE(AwaitKept(9));
    const uint64_t entered = fs_->Entered(abi::FUSE_LOOKUP);
    std::vector<uint64_t> waiting;
    for (int i = 0; i < 30; ++i) waiting.push_back(Send(LookupMessage("x")));
    // Time for a reserve that would read; it looks every 20 ms.
    pollfd reply{peer_.fd(), POLLIN, 0};
    EXPECT_EQ(poll(&reply, 1, 200), 0);
    EXPECT_EQ(fs_->Entered(abi::FUSE_LOOKUP), entered);
    AnswerKept(1);
    // One place is enough for all the others.
    ExpectAnswers(waiting);
    AnswerKept();
    ExpectAnswers(kept);
    peer_.ExpectSilence();
  }
}

TEST_F(ReserveTest, TheEndNeedsNoSlot) {
  HookLookups();
  SessionOptions options = Few();
  options.parked_requests = 5;
  Start(options);
  SendAll("keep", 4 + 5);
  ASSERT_TRUE(AwaitKept(9));
  session_->Stop();
  EXPECT_EQ(Wait().kind, StopReason::Kind::kStopped);
}

TEST_F(ReserveTest, ThePeersEndIsNoticedWithoutASlot) {
  HookLookups();
  SessionOptions options = Few();
  options.parked_requests = 5;
  Start(options);
  SendAll("keep", 4 + 5);
  ASSERT_TRUE(AwaitKept(9));
  EXPECT_EQ(CloseAndWait().kind, StopReason::Kind::kUnmounted);
}

TEST_F(ReserveTest, ThePeersEndIsNoticedWithoutASlotOrAReserve) {
  HookLookups();
  SessionOptions options = Few();
  options.parked_requests = 0;
  Start(options);
  SendAll("keep", 4);
  ASSERT_TRUE(AwaitKept(4));
  EXPECT_EQ(CloseAndWait().kind, StopReason::Kind::kUnmounted);
}

TEST_F(ReserveTest, ThePeersEndIsNoticedWhileAllWorkersAreInHandlers) {
  HookLookups();
  SessionOptions options = Few();
  options.stop_timeout = absl::Milliseconds(300);
  Start(options);
  SendAll("block", 2);
  peer_.Close();
  const StopReason reason = Wait();
  EXPECT_EQ(reason.kind, StopReason::Kind::kUnmounted);
  EXPECT_NE(reason.detail.find("LOOKUP"), std::string::npos) << reason.detail;
}

TEST_F(ReserveTest, WorkersTakeOverAgain) {
  HookLookups();
  std::mutex mutex;
  std::set<std::thread::id> threads;
  fs_->hooks.Statfs = [&](const StatfsRequest&, StatfsReply reply) {
    std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
    std::move(reply).Ok({});
  };
  Start(Few());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(peer_.Ping(), 0);
  std::set<std::thread::id> workers;
  {
    std::lock_guard<std::mutex> lock(mutex);
    workers = threads;
  }
  const std::vector<uint64_t> blocked = SendAll("block", 2);
  ASSERT_EQ(peer_.Ping(), 0);
  {
    std::lock_guard<std::mutex> lock(mutex);
    EXPECT_GT(threads.size(), workers.size()) << "the reserve's own thread";
  }
  gate_->Open();
  ExpectAnswers(blocked);
  // Once the workers are back, requests are theirs: the other threads serve
  // none of the last ones.
  EXPECT_TRUE(Eventually([&] {
    {
      std::lock_guard<std::mutex> lock(mutex);
      threads.clear();
    }
    for (int i = 0; i < 20; ++i) {
      if (peer_.Ping() != 0) return false;
    }
    std::lock_guard<std::mutex> lock(mutex);
    return threads.size() <= 2;
  }));
}

TEST_F(ReserveTest, WithoutItNobodyButWorkersCallsTheFilesystem) {
  HookLookups();
  std::mutex mutex;
  std::set<std::thread::id> threads;
  fs_->hooks.Statfs = [&](const StatfsRequest&, StatfsReply reply) {
    std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
    std::move(reply).Ok({});
  };
  fs_->hooks.Forget = [&](NodeId, uint64_t) {
    std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  };
  SessionOptions options = Few();
  options.parked_requests = 0;
  options.offload_threads = 0;
  Start(options);
  std::vector<uint64_t> blocked = SendAll("block", 2);
  std::vector<uint64_t> waiting;
  for (int i = 0; i < 50; ++i) {
    waiting.push_back(Send(peer_.Message(abi::FUSE_STATFS)));
    Send(ForgetMessage(2, 1));
  }
  // Nobody reads as long as both are blocked.
  pollfd reply{peer_.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&reply, 1, 200), 0);
  {
    std::lock_guard<std::mutex> lock(mutex);
    EXPECT_TRUE(threads.empty());
  }
  gate_->Open();
  ExpectAnswers(blocked);
  ExpectAnswers(waiting);
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FORGET, 50));
  std::lock_guard<std::mutex> lock(mutex);
  EXPECT_LE(threads.size(), 2u);
}

// Handlers that block in the reserve's threads too: as many as there are.
TEST_F(ReserveTest, ItsOwnThreadsAreBounded) {
  HookLookups();
  SessionOptions options = Few();
  options.offload_threads = 3;
  options.parked_requests = 64;
  Start(options);
  const uint64_t before = fs_->Entered(abi::FUSE_LOOKUP);
  std::vector<uint64_t> blocked;
  for (int i = 0; i < 20; ++i) blocked.push_back(Send(LookupMessage("block")));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, before + 2 + 3));
  // What is owed no reply is served all the same.
  Send(ForgetMessage(9, 1));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FORGET, 1));
  EXPECT_EQ(fs_->Entered(abi::FUSE_LOOKUP), before + 5);
  gate_->Open();
  ExpectAnswers(blocked);
}

}  // namespace
}  // namespace barefuse::testing
