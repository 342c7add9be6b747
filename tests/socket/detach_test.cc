// Long requests leave their worker's slot.
#include <errno.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <string>
#include <thread>

#include "tests/socket/socket_test.h"

namespace barefuse::testing {
namespace {

class DetachTest : public SocketTest {
 protected:
  // READs are detached and kept; what cannot be is answered EBUSY.
  void DetachReads() {
    fs_->hooks.Read = [this](const ReadRequest&, DataReply reply) {
      const size_t size = reply.buffer().size();
      if (!(insist_ ? Insist(reply) : reply.Detach())) {
        // Nothing has changed: the buffer is as it was.
        EXPECT_EQ(reply.buffer().size(), size);
        return std::move(reply).Error(EBUSY);
      }
      EXPECT_EQ(reply.buffer().size(), size);
      std::lock_guard<std::mutex> lock(mutex_);
      kept_.push_back(std::move(reply));
    };
  }
  // A place is free again a moment after its reply has been read.
  template <class Reply>
  static bool Insist(Reply& reply) {
    return Eventually([&] { return reply.Detach(); });
  }
  // Waits until so many are kept.
  bool AwaitKept(size_t count) {
    return Eventually([&] {
      std::lock_guard<std::mutex> lock(mutex_);
      return kept_.size() >= count;
    });
  }
  DataReply TakeOldest() {
    std::lock_guard<std::mutex> lock(mutex_);
    DataReply reply = std::move(kept_.front());
    kept_.pop_front();
    return reply;
  }

  std::mutex mutex_;
  std::deque<DataReply> kept_;
  std::atomic<bool> insist_{false};
};

TEST_F(DetachTest, FreesTheSlot) {
  DetachReads();
  Start({.workers = 1, .slots_per_worker = 2, .parked_requests = 110});
  std::vector<uint64_t> uniques;
  for (uint32_t i = 0; i < 100; ++i) {
    uniques.push_back(Send(ReadMessage(100 + i)));
    ASSERT_EQ(peer_.Ping(), 0);
  }
  ASSERT_TRUE(AwaitKept(100));
  for (uint32_t i = 0; i < 100; ++i) {
    DataReply reply = TakeOldest();
    const size_t size = reply.buffer().size();
    ASSERT_GE(size, 100u);
    ASSERT_LT(size, 200u);
    std::fill(reply.buffer().begin(), reply.buffer().end(), std::byte('a'));
    std::move(reply).Ok(size);
    EXPECT_EQ(peer_.Await(uniques[size - 100]).body, std::string(size, 'a'));
  }
  peer_.ExpectSilence();
}

TEST_F(DetachTest, WithAllPlacesTakenNothingChanges) {
  DetachReads();
  Start({.workers = 1, .slots_per_worker = 4, .parked_requests = 3});
  std::vector<uint64_t> uniques;
  for (int round = 0; round < 20; ++round) {
    insist_ = true;
    for (int i = 0; i < 3; ++i) uniques.push_back(Send(ReadMessage(10)));
    ASSERT_TRUE(AwaitKept(3));
    insist_ = false;
    for (int i = 0; i < 5; ++i) {
      ASSERT_EQ(peer_.Ask(ReadMessage(10)).error(), EBUSY);
    }
    // A place that is given back can be taken again.
    for (int i = 0; i < 3; ++i) {
      DataReply reply = TakeOldest();
      std::move(reply).OkCopy("0123456789");
    }
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(peer_.Await(uniques.back()).body, "0123456789");
      uniques.pop_back();
    }
  }
}

TEST_F(DetachTest, WithoutPlacesItIsRefused) {
  DetachReads();
  Start({.workers = 1, .parked_requests = 0});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(peer_.Ask(ReadMessage(10)).error(), EBUSY);
  }
}

TEST_F(DetachTest, IsAskedForTwice) {
  fs_->hooks.Read = [](const ReadRequest&, DataReply reply) {
    const bool first = Insist(reply);
    const bool second = reply.Detach();
    std::move(reply).OkCopy(first && second ? "both" : "not");
  };
  Start({.workers = 1, .parked_requests = 1});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(peer_.Ask(ReadMessage(10)).body, "both");
  }
}

// What the handler has copied is all that is left of the request.
TEST_F(DetachTest, NamesAndDataAreTheHandlersToCopy) {
  struct Kept {
    std::string name;
    std::string value;
    EmptyReply reply;
  };
  // By unique: whatever the reserve has read comes in an order of its own.
  std::map<uint64_t, Kept> kept;
  fs_->hooks.Setxattr = [&](const SetxattrRequest& request, EmptyReply reply) {
    const uint64_t unique = request.unique();
    Kept one{std::string(request->name),
             std::string(reinterpret_cast<const char*>(request->value.data()),
                         request->value.size()),
             std::move(reply)};
    EXPECT_TRUE(one.reply.Detach());
    std::lock_guard<std::mutex> lock(mutex_);
    kept.emplace(unique, std::move(one));
  };
  Start({.workers = 1, .slots_per_worker = 2});
  std::vector<uint64_t> uniques;
  for (int i = 0; i < 30; ++i) {
    const std::string value(1 + 100 * i, static_cast<char>('a' + i % 26));
    abi::fuse_setxattr_in in{};
    in.size = static_cast<uint32_t>(value.size());
    // The size of the struct depends on a capability.
    const size_t size =
        session_->terms().Has(abi::FUSE_SETXATTR_EXT) ? sizeof in : 8;
    uniques.push_back(Send(peer_.Message(abi::FUSE_SETXATTR, 2)
                               .Struct(in, size)
                               .Name("user." + std::to_string(i))
                               .Raw(value)));
  }
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_SETXATTR, 30));
  ASSERT_TRUE(Eventually([&] {
    std::lock_guard<std::mutex> lock(mutex_);
    return kept.size() == 30;
  }));
  for (int i = 0; i < 30; ++i) {
    Kept one = std::move(kept.extract(uniques[i]).mapped());
    EXPECT_EQ(one.name, "user." + std::to_string(i));
    EXPECT_TRUE(one.value ==
                std::string(1 + 100 * i, static_cast<char>('a' + i % 26)));
    std::move(one.reply).Error(i + 1);
    EXPECT_EQ(peer_.Await(uniques[i]).error(), i + 1);
  }
  peer_.ExpectSilence();
}

// Each kind of reply goes out from its new place as from its old one.
TEST_F(DetachTest, RepliesAreTheSameBytes) {
  fs_->hooks.Getattr = [](const GetattrRequest& request, AttrReply reply) {
    abi::fuse_attr_out out{};
    out.attr_valid = 5;
    out.attr = HookFileSystem::Attr(request.node());
    if (request->fh != 0 && !reply.Detach()) return;
    std::move(reply).Ok(out);
  };
  fs_->hooks.Getxattr = [](const GetxattrRequest& request, XattrReply reply) {
    const bool detach = request->name == "detach";
    if (detach && !reply.Detach()) return;
    std::move(reply).OkCopy(std::string(300, 'v'));
  };
  fs_->hooks.Write = [](const WriteRequest& request, WriteReply reply) {
    const size_t size = request->data.size();
    if (request->offset != 0 && !reply.Detach()) return;
    std::move(reply).Ok(size);
  };
  fs_->hooks.Readlink = [](const ReadlinkRequest& request, DataReply reply) {
    if (request.node() != 2 && !reply.Detach()) return;
    EXPECT_EQ(reply.buffer().size(), 4095u);
    std::move(reply).OkCopy("the target");
  };
  fs_->hooks.Open = [](const OpenRequest& request, OpenReply reply) {
    reply.DirectIo();
    reply.KeepCache();
    if (request->flags != 0 && !reply.Detach()) return;
    std::move(reply).Ok(99);
  };
  Start({.workers = 1});
  auto same = [&](const MessageBuilder& kept, const MessageBuilder& detached) {
    const Received a = peer_.Ask(kept);
    const Received b = peer_.Ask(detached);
    EXPECT_EQ(a.error(), b.error());
    EXPECT_EQ(a.body, b.body);
  };
  abi::fuse_getattr_in getattr{};
  const MessageBuilder attr = peer_.Message(abi::FUSE_GETATTR).Struct(getattr);
  getattr.fh = 1;
  same(attr, peer_.Message(abi::FUSE_GETATTR).Struct(getattr));
  for (uint32_t size : {0u, 10u, 300u, 5000u}) {
    const abi::fuse_getxattr_in in{size, 0};
    same(peer_.Message(abi::FUSE_GETXATTR).Struct(in).Name("x"),
         peer_.Message(abi::FUSE_GETXATTR).Struct(in).Name("detach"));
  }
  same(WriteMessage("0123"), WriteMessage("0123", 4));
  same(peer_.Message(abi::FUSE_READLINK, 2),
       peer_.Message(abi::FUSE_READLINK, 3));
  same(peer_.Message(abi::FUSE_OPEN, 2).Struct(abi::fuse_open_in{0, 0}),
       peer_.Message(abi::FUSE_OPEN, 2).Struct(abi::fuse_open_in{2, 0}));
  EXPECT_EQ(session_->statistics().dropped_replies, 0u);
}

TEST_F(DetachTest, AMebibyteFromOtherThreads) {
  fs_->hooks.Read = [](const ReadRequest& request, DataReply reply) {
    const char byte = static_cast<char>('a' + request->offset % 26);
    ASSERT_TRUE(reply.Detach());
    std::thread([byte, reply = std::move(reply)]() mutable {
      const size_t size = reply.buffer().size();
      std::fill_n(reply.buffer().data(), size, std::byte(byte));
      std::move(reply).Ok(size);
    }).detach();
  };
  Start({.workers = 2, .slots_per_worker = 2});
  for (int round = 0; round < 4; ++round) {
    std::vector<uint64_t> uniques;
    for (int i = 0; i < 10; ++i)
      uniques.push_back(Send(ReadMessage(1 << 20, i)));
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(peer_.Await(uniques[i]).body ==
                  std::string(1 << 20, static_cast<char>('a' + i)));
    }
  }
  peer_.ExpectSilence();
}

TEST_F(DetachTest, ADroppedOneIsEio) {
  fs_->hooks.Read = [](const ReadRequest&, DataReply reply) {
    EXPECT_TRUE(Insist(reply));
  };
  Start({.workers = 1, .parked_requests = 1});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(peer_.Ask(ReadMessage(10)).error(), EIO);
  }
  EXPECT_EQ(session_->statistics().dropped_replies, 5u);
}

TEST_F(DetachTest, TheEndWithSomeOutstanding) {
  DetachReads();
  Start({.workers = 2, .stop_timeout = absl::Seconds(60)});
  for (int i = 0; i < 20; ++i) Send(ReadMessage(1000));
  ASSERT_TRUE(AwaitKept(20));
  session_->Stop();
  // It waits for no reply, only for handlers.
  const StopReason reason = Wait();
  EXPECT_EQ(reason.kind, StopReason::Kind::kStopped);
  EXPECT_TRUE(peer_.AwaitEnd());
  session_.reset();
  fs_.reset();
  for (DataReply& reply : kept_) {
    EXPECT_EQ(reply.buffer().size(), 1000u);
    std::fill(reply.buffer().begin(), reply.buffer().end(), std::byte('a'));
    EXPECT_FALSE(reply.interrupted());
    std::move(reply).Ok(1000);
  }
}

TEST_F(DetachTest, NoneCanBeDetachedAfterTheEnd) {
  fs_->hooks.Read = [this](const ReadRequest&, DataReply reply) {
    std::lock_guard<std::mutex> lock(mutex_);
    kept_.push_back(std::move(reply));
  };
  Start({.workers = 1});
  Send(ReadMessage(10));
  ASSERT_TRUE(AwaitKept(1));
  CloseAndWait();
  session_.reset();
  DataReply reply = TakeOldest();
  EXPECT_FALSE(reply.Detach());
  std::move(reply).OkCopy("nothing");
}

// Detached by another thread, long after the handler has returned.
TEST_F(DetachTest, ByAnotherThread) {
  fs_->hooks.Read = [this](const ReadRequest&, DataReply reply) {
    std::lock_guard<std::mutex> lock(mutex_);
    kept_.push_back(std::move(reply));
  };
  Start({.workers = 1, .slots_per_worker = 2});
  for (int round = 0; round < 50; ++round) {
    const uint64_t unique = Send(ReadMessage(10));
    ASSERT_TRUE(AwaitKept(1));
    DataReply reply = TakeOldest();
    ASSERT_TRUE(reply.Detach());
    ASSERT_EQ(peer_.Ping(), 0);
    std::move(reply).OkCopy("0123456789");
    EXPECT_EQ(peer_.Await(unique).body, "0123456789");
  }
  peer_.ExpectSilence();
}

}  // namespace
}  // namespace barefuse::testing
