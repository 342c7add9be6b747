// Notifications: what is sent, when, and what comes back.
#include <errno.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <vector>

#include "tests/socket/notify_test.h"

namespace barefuse::testing {
namespace {

// Field by field, as the kernel's structs lie.
class Wire {
 public:
  template <class T>
  Wire& Add(T value) {
    body_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Wire& Text(std::string_view text) {
    body_ += text;
    return *this;
  }
  const std::string& body() const { return body_; }

 private:
  std::string body_;
};

TEST_F(NotifyTest, ExactBytes) {
  StartWith();
  using std::string_view;
  EXPECT_EQ(notifier_->InvalInode(5, -1, 0), 0);
  Next<proto::NotifyInvalInode>();
  EXPECT_EQ(last_.body,
            Wire().Add<uint64_t>(5).Add<int64_t>(-1).Add<int64_t>(0).body());

  EXPECT_EQ(notifier_->InvalEntry(1, "name"), 0);
  Next<proto::NotifyInvalEntry>();
  EXPECT_EQ(last_.body, Wire()
                            .Add<uint64_t>(1)
                            .Add<uint32_t>(4)
                            .Add<uint32_t>(0)
                            .Text(string_view("name\0", 5))
                            .body());

  EXPECT_EQ(notifier_->ExpireEntry(1, "name"), 0);
  Next<proto::NotifyInvalEntry>();
  EXPECT_EQ(last_.body, Wire()
                            .Add<uint64_t>(1)
                            .Add<uint32_t>(4)
                            .Add<uint32_t>(1)
                            .Text(string_view("name\0", 5))
                            .body());

  EXPECT_EQ(notifier_->Delete(1, 2, "gone"), 0);
  Next<proto::NotifyDelete>();
  EXPECT_EQ(last_.body, Wire()
                            .Add<uint64_t>(1)
                            .Add<uint64_t>(2)
                            .Add<uint32_t>(4)
                            .Add<uint32_t>(0)
                            .Text(string_view("gone\0", 5))
                            .body());

  const std::string data = "0123456789";
  EXPECT_EQ(notifier_->Store(3, 4096, std::as_bytes(std::span(data))), 0);
  Next<proto::NotifyStore>();
  EXPECT_EQ(last_.body, Wire()
                            .Add<uint64_t>(3)
                            .Add<uint64_t>(4096)
                            .Add<uint32_t>(10)
                            .Add<uint32_t>(0)
                            .Text(data)
                            .body());

  EXPECT_EQ(notifier_->PollWakeup(77), 0);
  Next<proto::NotifyPoll>();
  EXPECT_EQ(last_.body, Wire().Add<uint64_t>(77).body());

  EXPECT_EQ(notifier_->Resend(), 0);
  Next<proto::NotifyResend>();
  EXPECT_EQ(last_.body, "");

  EXPECT_EQ(notifier_->IncEpoch(), 0);
  Next<proto::NotifyIncEpoch>();
  EXPECT_EQ(last_.body, "");

  const std::vector<uint64_t> nodes = {2, 3, 1000};
  EXPECT_EQ(notifier_->Prune(nodes), 0);
  Next<proto::NotifyPrune>();
  EXPECT_EQ(last_.body, Wire()
                            .Add<uint32_t>(3)
                            .Add<uint32_t>(0)
                            .Add<uint64_t>(0)
                            .Add<uint64_t>(2)
                            .Add<uint64_t>(3)
                            .Add<uint64_t>(1000)
                            .body());
  EXPECT_EQ(notifier_->sent(), 9u);
  peer_.ExpectSilence();
}

TEST_F(NotifyTest, LargeOnes) {
  StartWith();
  const std::string data(1 << 20, 's');
  ASSERT_EQ(notifier_->Store(3, 0, std::as_bytes(std::span(data))), 0);
  const proto::NotifyStore store = Next<proto::NotifyStore>();
  EXPECT_EQ(store.data.size(), data.size());
  EXPECT_EQ(notifier_->InvalEntry(1, std::string(4095, 'n')), 0);
  EXPECT_EQ(Next<proto::NotifyInvalEntry>().name, std::string(4095, 'n'));
}

TEST_F(NotifyTest, ArgumentsThatCannotBeSent) {
  StartWith(45, kAll, {.max_write = 65536});
  const std::string big(65537, 'x');
  const std::span<const std::byte> data = std::as_bytes(std::span(big));
  for (std::string_view name :
       {std::string_view(""), std::string_view("a/b"), std::string_view("/"),
        std::string_view("a\0b", 3)}) {
    EXPECT_EQ(notifier_->InvalEntry(1, name), EINVAL) << name;
    EXPECT_EQ(notifier_->ExpireEntry(1, name), EINVAL) << name;
    EXPECT_EQ(notifier_->Delete(1, 2, name), EINVAL) << name;
  }
  EXPECT_EQ(notifier_->InvalEntry(1, std::string(5000, 'x')), EINVAL);
  EXPECT_EQ(notifier_->Store(2, 0, data), EINVAL);
  EXPECT_EQ(notifier_->Store(2, 0, {}), EINVAL);
  bool called = false;
  EXPECT_EQ(
      notifier_->Retrieve(2, 0, 0, [&](int, uint64_t, auto) { called = true; }),
      EINVAL);
  EXPECT_EQ(notifier_->Prune({}), EINVAL);
  peer_.ExpectSilence();
  EXPECT_FALSE(called);
  EXPECT_EQ(notifier_->Store(2, 0, data.first(65536)), 0);
  EXPECT_EQ(Next<proto::NotifyStore>().data.size(), 65536u);
}

class NotifyMinorTest : public NotifyTest,
                        public ::testing::WithParamInterface<uint32_t> {};

TEST_P(NotifyMinorTest, OnlyWhatTheVersionHas) {
  const uint32_t minor = GetParam();
  StartWith(minor);
  const std::string data = "data";
  const std::vector<uint64_t> nodes = {2};
  int expected = 0;
  auto expect = [&](uint32_t since, int error, const char* what) {
    const bool has = minor >= since;
    EXPECT_EQ(error, has ? 0 : EOPNOTSUPP) << what << " in 7." << minor;
    if (has) {
      ++expected;
      EXPECT_TRUE(peer_.AwaitNotification().came) << what;
    }
  };
  expect(11, notifier_->PollWakeup(1), "POLL");
  expect(12, notifier_->InvalInode(1, 0, 0), "INVAL_INODE");
  expect(12, notifier_->InvalEntry(1, "x"), "INVAL_ENTRY");
  expect(15, notifier_->Store(1, 0, std::as_bytes(std::span(data))), "STORE");
  expect(15, notifier_->Retrieve(1, 0, 1, [](int, uint64_t, auto) {}),
         "RETRIEVE");
  expect(18, notifier_->Delete(1, 2, "x"), "DELETE");
  expect(38, notifier_->ExpireEntry(1, "x"), "INVAL_ENTRY, expired");
  expect(40, notifier_->Resend(), "RESEND");
  expect(44, notifier_->IncEpoch(), "INC_EPOCH");
  expect(45, notifier_->Prune(nodes), "PRUNE");
  peer_.ExpectSilence();
}

INSTANTIATE_TEST_SUITE_P(Minors, NotifyMinorTest,
                         ::testing::Values(1, 10, 11, 12, 14, 15, 17, 18, 37,
                                           38, 39, 40, 43, 44, 45));

TEST_F(NotifyTest, OnlyWithTheCapability) {
  StartWith(45, kAll & ~abi::FUSE_HAS_EXPIRE_ONLY & ~abi::FUSE_HAS_RESEND);
  EXPECT_EQ(notifier_->ExpireEntry(1, "x"), EOPNOTSUPP);
  EXPECT_EQ(notifier_->Resend(), EOPNOTSUPP);
  EXPECT_EQ(notifier_->InvalEntry(1, "x"), 0);
  Next<proto::NotifyInvalEntry>();
  peer_.ExpectSilence();
}

TEST_F(NotifyTest, AfterTheEnd) {
  StartWith();
  int ended = 0;
  auto done = [&](int error, uint64_t, auto bytes) {
    EXPECT_EQ(error, ENODEV);
    EXPECT_TRUE(bytes.empty());
    ++ended;
  };
  EXPECT_EQ(notifier_->Retrieve(2, 0, 1, done), 0);
  session_->Stop();
  Wait();
  EXPECT_EQ(ended, 1);
  session_.reset();
  const std::vector<uint64_t> nodes = {2};
  const std::string data = "data";
  EXPECT_EQ(notifier_->InvalInode(1, 0, 0), ENODEV);
  EXPECT_EQ(notifier_->InvalEntry(1, "x"), ENODEV);
  EXPECT_EQ(notifier_->ExpireEntry(1, "x"), ENODEV);
  EXPECT_EQ(notifier_->Delete(1, 2, "x"), ENODEV);
  EXPECT_EQ(notifier_->Store(1, 0, std::as_bytes(std::span(data))), ENODEV);
  EXPECT_EQ(notifier_->Retrieve(2, 0, 1, done), ENODEV);
  EXPECT_EQ(notifier_->PollWakeup(1), ENODEV);
  EXPECT_EQ(notifier_->Resend(), ENODEV);
  EXPECT_EQ(notifier_->IncEpoch(), ENODEV);
  EXPECT_EQ(notifier_->Prune(nodes), ENODEV);
  EXPECT_EQ(ended, 1);
}

TEST_F(NotifyTest, FromAnyThread) {
  fs_->hooks.Lookup = [&](const LookupRequest& request, EntryReply reply) {
    // From a handler too.
    EXPECT_EQ(request.connection().notifier()->InvalInode(9, -1, 0), 0);
    std::move(reply).Error(ENOENT);
  };
  StartWith(45, kAll, {.workers = 2});
  constexpr int kThreads = 4;
  constexpr int kEach = 200;
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        EXPECT_EQ(notifier_->InvalInode(100 + thread, i, 1), 0);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(peer_.Ask(LookupMessage("x")).error(), ENOENT);
  }
  // Of each thread, in its order.
  std::map<uint64_t, int64_t> next;
  int own = 0;
  for (int i = 0; i < kThreads * kEach + 50; ++i) {
    const auto inode = Next<proto::NotifyInvalInode>();
    if (inode.ino == 9) {
      ++own;
    } else {
      ASSERT_EQ(inode.off, next[inode.ino]++);
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(own, 50);
  peer_.ExpectSilence();
}

// A socket that nobody reads refuses them after a while; nothing hangs.
TEST_F(NotifyTest, IntoAFullSocket) {
  StartWith();
  const std::string data(1 << 20, 's');
  int error = 0;
  Within(kPatience, "a notification", [&] {
    for (int i = 0; i < 100 && error == 0; ++i) {
      error = notifier_->Store(3, 0, std::as_bytes(std::span(data)));
    }
  });
  EXPECT_EQ(error, EAGAIN);
  EXPECT_EQ(notifier_->refused(), 1u);
}

}  // namespace
}  // namespace barefuse::testing
