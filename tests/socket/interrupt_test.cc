// INTERRUPT: early, in time, late, and for nobody.
#include <errno.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <optional>
#include <thread>

#include "tests/socket/socket_test.h"

namespace barefuse::testing {
namespace {

class OneWorkerInterruptTest : public SocketTest {
 protected:
  // Lookups answer EINTR if they are interrupted when they begin, else ENOENT.
  // Those of "victim" wait for it: with several workers, an INTERRUPT that has
  // been read may still be on its way.
  void AnswerAtOnce() {
    fs_->hooks.Lookup = [](const LookupRequest& request, EntryReply reply) {
      if (request->name == "victim") {
        Eventually([&] { return request.interrupted(); });
      }
      std::move(reply).Error(request.interrupted() ? EINTR : ENOENT);
    };
  }
  // Lookups are answered by their interrupts.
  void AnswerByInterrupt() {
    fs_->hooks.Lookup = [this](const LookupRequest& request, EntryReply reply) {
      const uint64_t unique = request.unique();
      auto kept = std::make_shared<EntryReply>(std::move(reply));
      std::weak_ptr<EntryReply> weak = kept;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        kept_[unique] = kept;
      }
      kept->OnInterrupt([this, unique] {
        std::shared_ptr<EntryReply> mine = Take(unique);
        ++called_;
        if (mine != nullptr) std::move(*mine).Error(EINTR);
      });
    };
  }
  std::shared_ptr<EntryReply> Take(uint64_t unique) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto node = kept_.extract(unique);
    return node.empty() ? nullptr : std::move(node.mapped());
  }
  // Whether so many INTERRUPTs have been read.
  bool AwaitInterrupts(uint64_t count) {
    return Eventually([&] {
      return session_->connection().interrupts().received() >= count;
    });
  }
  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<EntryReply>> kept_;
  std::atomic<int> called_{0};
};

class InterruptTest : public OneWorkerInterruptTest,
                      public ::testing::WithParamInterface<uint32_t> {
 protected:
  void StartWith(SessionOptions options = {}) {
    options.workers = GetParam();
    Start(options);
  }
};

TEST_P(InterruptTest, AheadOfItsVictim) {
  AnswerAtOnce();
  StartWith();
  for (int i = 0; i < 100; ++i) {
    const MessageBuilder lookup = LookupMessage("victim");
    const uint64_t victim = peer_.last_unique();
    peer_.Send(InterruptMessage(victim));
    ASSERT_TRUE(AwaitInterrupts(i + 1));
    ASSERT_EQ(peer_.Ask(lookup).error(), EINTR);
    // Not the one after it.
    ASSERT_EQ(peer_.Ask(LookupMessage("x")).error(), ENOENT);
  }
  peer_.ExpectSilence();
}

// With one worker the order of the socket is the order of serving.
TEST_F(OneWorkerInterruptTest, AheadOfItsVictimInTheSameBatch) {
  AnswerAtOnce();
  Start({.workers = 1});
  for (int i = 0; i < 100; ++i) {
    const MessageBuilder lookup = LookupMessage("x");
    const uint64_t victim = peer_.last_unique();
    peer_.Send(InterruptMessage(victim));
    ASSERT_EQ(peer_.Ask(lookup).error(), EINTR);
  }
}

TEST_P(InterruptTest, TheHandlerSeesIt) {
  fs_->hooks.Lookup = [](const LookupRequest& request, EntryReply reply) {
    const bool hit = Eventually(
        [&] { return request.interrupted() && reply.interrupted(); });
    std::move(reply).Error(hit ? EINTR : ETIMEDOUT);
  };
  StartWith();
  // With one worker, which is in the handler, the reserve reads it.
  const uint64_t victim = Send(LookupMessage("x"));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, 1));
  Send(InterruptMessage(victim));
  EXPECT_EQ(peer_.Await(victim).error(), EINTR);
  peer_.ExpectSilence();
}

TEST_P(InterruptTest, TheCallbackMayAnswer) {
  AnswerByInterrupt();
  StartWith();
  for (int i = 1; i <= 100; ++i) {
    const uint64_t victim = Send(LookupMessage("x"));
    ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, i));
    Send(InterruptMessage(victim));
    ASSERT_EQ(peer_.Await(victim).error(), EINTR);
  }
  peer_.ExpectSilence();
  EXPECT_EQ(called_, 100);
}

// Before, while or after the handler sets its callback: it is always called.
TEST_P(InterruptTest, TheCallbackIsCalledWheneverItComes) {
  AnswerByInterrupt();
  StartWith();
  for (int i = 0; i < 300; ++i) {
    const uint64_t victim = Send(LookupMessage("x"));
    Send(InterruptMessage(victim));
    ASSERT_EQ(peer_.Await(victim).error(), EINTR);
  }
  peer_.ExpectSilence();
  EXPECT_EQ(called_, 300);
}

TEST_P(InterruptTest, TheCallbackIsCalledAtMostOnce) {
  fs_->hooks.Lookup = [this](const LookupRequest& request, EntryReply reply) {
    reply.OnInterrupt([this] { ++called_; });
    std::lock_guard<std::mutex> lock(mutex_);
    kept_[request.unique()] = std::make_shared<EntryReply>(std::move(reply));
  };
  StartWith();
  const uint64_t victim = Send(LookupMessage("x"));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, 1));
  for (int i = 0; i < 10; ++i) Send(InterruptMessage(victim));
  ASSERT_TRUE(AwaitInterrupts(10));
  EXPECT_TRUE(Eventually([&] { return called_ > 0; }));
  peer_.ExpectSilence();
  EXPECT_EQ(called_, 1);
  // The handler keeps its reply a little later than it is interrupted.
  std::shared_ptr<EntryReply> reply;
  ASSERT_TRUE(Eventually([&] { return (reply = Take(victim)) != nullptr; }));
  EXPECT_TRUE(reply->interrupted());
  std::move(*reply).Error(EINTR);
  EXPECT_EQ(peer_.Await(victim).error(), EINTR);
}

// The callback goes with the reply where it is never called.
TEST_P(InterruptTest, TheCallbackGoesWithTheReply) {
  auto owned = std::make_shared<int>(0);
  std::weak_ptr<int> watched = owned;
  fs_->hooks.Lookup = [this, owned = std::move(owned)](
                          const LookupRequest& request,
                          EntryReply reply) mutable {
    reply.OnInterrupt([owned = std::move(owned)] { ADD_FAILURE(); });
    std::move(reply).Error(ENOENT);
  };
  StartWith();
  EXPECT_EQ(peer_.Ask(LookupMessage("x")).error(), ENOENT);
  EXPECT_TRUE(Eventually([&] { return watched.expired(); }));
}

TEST_P(InterruptTest, AfterItsVictimItHitsNobody) {
  AnswerAtOnce();
  StartWith();
  for (int i = 0; i < 200; ++i) {
    const uint64_t victim = Send(LookupMessage("x"));
    ASSERT_EQ(peer_.Await(victim).error(), ENOENT);
    Send(InterruptMessage(victim));
    ASSERT_EQ(peer_.Ask(LookupMessage("y")).error(), ENOENT);
  }
  peer_.ExpectSilence();
}

TEST_P(InterruptTest, OfUnknownVictimsTheLastAreRemembered) {
  AnswerAtOnce();
  StartWith();
  constexpr uint64_t kUnknown = 500;
  constexpr uint64_t kFirst = 1'000'000;
  // One after the other has been heard, so that their order is certain.
  for (uint64_t i = 0; i < kUnknown; ++i) {
    Send(InterruptMessage(kFirst + 2 * i));
    ASSERT_TRUE(AwaitInterrupts(i + 1));
    ASSERT_EQ(peer_.Ping(), 0);
  }
  auto look = [&](uint64_t unique, std::string_view name = "x") {
    MessageBuilder lookup = LookupMessage(name);
    lookup.header().unique = unique;
    return peer_.Ask(lookup).error();
  };
  // What fell out of the table was late long ago.
  EXPECT_EQ(look(kFirst), ENOENT);
  EXPECT_EQ(look(kFirst + 2 * (kUnknown - 69)), ENOENT);
  // With several workers, some may have overtaken each other.
  const uint64_t certain = GetParam() == 1 ? 64 : 60;
  for (uint64_t i = kUnknown - certain; i < kUnknown; ++i) {
    EXPECT_EQ(look(kFirst + 2 * i, "victim"), EINTR) << i;
  }
}

TEST_P(InterruptTest, FollowsARequestThatWasDetached) {
  fs_->hooks.Lookup = [this](const LookupRequest& request, EntryReply reply) {
    const uint64_t unique = request.unique();
    if (!reply.Detach()) return std::move(reply).Error(EDOM);
    auto kept = std::make_shared<EntryReply>(std::move(reply));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      kept_[unique] = kept;
    }
    kept->OnInterrupt([this, unique] {
      ++called_;
      std::shared_ptr<EntryReply> mine = Take(unique);
      if (mine != nullptr) std::move(*mine).Error(EINTR);
    });
  };
  StartWith();
  std::vector<uint64_t> victims;
  for (int i = 0; i < 100; ++i) victims.push_back(Send(LookupMessage("x")));
  for (uint64_t victim : victims) Send(InterruptMessage(victim));
  for (uint64_t victim : victims) {
    EXPECT_EQ(peer_.Await(victim).error(), EINTR);
  }
  EXPECT_EQ(called_, 100);
}

// Interrupted before it is detached, and the callback set before too.
TEST_P(InterruptTest, IsNotLostByDetaching) {
  fs_->hooks.Lookup = [this](const LookupRequest& request, EntryReply reply) {
    reply.OnInterrupt([this] { ++called_; });
    if (!reply.Detach()) return std::move(reply).Error(EDOM);
    std::thread([reply = std::move(reply)]() mutable {
      const bool hit = Eventually([&] { return reply.interrupted(); });
      std::move(reply).Error(hit ? EINTR : ETIMEDOUT);
    }).detach();
  };
  StartWith();
  for (int i = 1; i <= 200; ++i) {
    const MessageBuilder lookup = LookupMessage("x");
    const uint64_t victim = peer_.last_unique();
    Send(lookup);
    Send(InterruptMessage(victim));
    ASSERT_EQ(peer_.Await(victim).error(), EINTR);
  }
  peer_.ExpectSilence();
  // It may come shortly after the reply.
  EXPECT_TRUE(Eventually([&] { return called_ == 200; })) << called_;
}

TEST_P(InterruptTest, HitsARequestThatWaitsForAThread) {
  fs_->blocking = {abi::FUSE_FSYNC};
  fs_->hooks.Fsync = [gate = gate_](const FsyncRequest& request,
                                    EmptyReply reply) {
    gate->Wait();
    std::move(reply).Error(request.interrupted() ? EINTR : EIO);
  };
  StartWith({.offload_threads = 1});
  const uint64_t first = Send(FsyncMessage());
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_FSYNC, 1));
  const uint64_t waiting = Send(FsyncMessage());
  ASSERT_EQ(peer_.Ping(), 0);
  Send(InterruptMessage(waiting));
  ASSERT_TRUE(AwaitInterrupts(1));
  ASSERT_EQ(peer_.Ping(), 0);
  EXPECT_EQ(fs_->Entered(abi::FUSE_FSYNC), 1u);
  gate_->Open();
  EXPECT_EQ(peer_.Await(first).error(), EIO);
  EXPECT_EQ(peer_.Await(waiting).error(), EINTR);
}

// A request that is sent again has bit 63 set, and is the same request.
TEST_P(InterruptTest, KnowsARequestThatIsSentAgain) {
  AnswerByInterrupt();
  StartWith();
  MessageBuilder again = LookupMessage("x");
  const uint64_t unique = peer_.last_unique();
  again.header().unique |= abi::FUSE_UNIQUE_RESEND;
  Send(again);
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, 1));
  Send(InterruptMessage(unique));
  EXPECT_EQ(peer_.Await(unique | abi::FUSE_UNIQUE_RESEND).error(), EINTR);

  // And the other way round.
  const uint64_t plain = Send(LookupMessage("x"));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, 2));
  Send(InterruptMessage(plain | abi::FUSE_UNIQUE_RESEND));
  EXPECT_EQ(peer_.Await(plain).error(), EINTR);
}

TEST_P(InterruptTest, OfNothingThatCanBeInterrupted) {
  AnswerAtOnce();
  StartWith();
  Send(InterruptMessage(0));
  Send(InterruptMessage(1));
  Send(InterruptMessage(UINT64_MAX));
  // An INTERRUPT of an INTERRUPT, of itself, and of a FORGET.
  Send(InterruptMessage(7));
  MessageBuilder itself = peer_.Message(abi::FUSE_INTERRUPT, 0);
  itself.Struct(abi::fuse_interrupt_in{peer_.last_unique()});
  Send(itself);
  Send(InterruptMessage(Send(ForgetMessage(2, 1))));
  // Too short and too long: no reply either.
  Send(peer_.Message(abi::FUSE_INTERRUPT, 0).Raw("1234567"));
  Send(peer_.Message(abi::FUSE_INTERRUPT, 0).Raw("123456789"));
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(peer_.Ask(LookupMessage("x")).error(), ENOENT);
  }
  peer_.ExpectSilence();
}

INSTANTIATE_TEST_SUITE_P(Workers, InterruptTest, ::testing::Values(1, 2, 4));

}  // namespace
}  // namespace barefuse::testing
