// RETRIEVE, and the NOTIFY_REPLY that it brings.
#include <errno.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/socket/notify_test.h"

namespace barefuse::testing {
namespace {

class RetrieveTest : public NotifyTest {};

TEST_F(RetrieveTest, BringsData) {
  StartWith();
  std::atomic<int> calls{0};
  std::string data;
  uint64_t offset = 0;
  ASSERT_EQ(notifier_->Retrieve(
                2, 4096, 100,
                [&](int error, uint64_t at, auto bytes) {
                  EXPECT_EQ(error, 0);
                  offset = at;
                  data.assign(reinterpret_cast<const char*>(bytes.data()),
                              bytes.size());
                  ++calls;
                }),
            0);
  const auto retrieve = Next<proto::NotifyRetrieve>();
  EXPECT_EQ(retrieve.nodeid, 2u);
  EXPECT_EQ(retrieve.offset, 4096u);
  EXPECT_EQ(retrieve.size, 100u);
  EXPECT_EQ(retrieve.notify_unique % 2, 1u) << "even ones are the kernel's";
  AnswerRetrieve(retrieve.notify_unique, 4096, "fifty");
  ASSERT_TRUE(Eventually([&] { return calls > 0; }));
  EXPECT_EQ(data, "fifty");
  EXPECT_EQ(offset, 4096u);
  // The same once more, one that nobody has asked for, an even one, one that
  // lies of its size: all without effect and without reply.
  AnswerRetrieve(retrieve.notify_unique, 4096, "again");
  AnswerRetrieve(999999, 0, "x");
  AnswerRetrieve(4, 0, "x");
  abi::fuse_notify_retrieve_in lie{};
  lie.size = 1u << 31;
  Send(peer_.Message(abi::FUSE_NOTIFY_REPLY, 2).Struct(lie).Raw("short"));
  Send(peer_.Message(abi::FUSE_NOTIFY_REPLY, 2).Raw("short"));
  peer_.ExpectSilence();
  EXPECT_EQ(calls, 1);
}

TEST_F(RetrieveTest, IsCutToAMessage) {
  StartWith(45, kAll, {.max_write = 65536});
  std::atomic<size_t> size{0};
  ASSERT_EQ(notifier_->Retrieve(
                2, 0, UINT32_MAX,
                [&](int, uint64_t, auto bytes) { size = bytes.size(); }),
            0);
  const auto retrieve = Next<proto::NotifyRetrieve>();
  EXPECT_EQ(retrieve.size, 65536u);
  AnswerRetrieve(retrieve.notify_unique, 0, std::string(65536, 'x'));
  EXPECT_TRUE(Eventually([&] { return size == 65536; }));
}

TEST_F(RetrieveTest, IsBounded) {
  StartWith();
  std::atomic<int> answered{0};
  std::atomic<int> ended{0};
  auto done = [&](int error, uint64_t, auto) {
    ++(error == 0 ? answered : ended);
    EXPECT_TRUE(error == 0 || error == ENODEV) << error;
  };
  std::vector<uint64_t> uniques;
  for (size_t i = 0; i < Notifier::kMostRetrievals; ++i) {
    ASSERT_EQ(notifier_->Retrieve(2, i, 1, done), 0);
    uniques.push_back(Next<proto::NotifyRetrieve>().notify_unique);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(notifier_->Retrieve(2, 0, 1, done), EAGAIN);
  }
  peer_.ExpectSilence();
  EXPECT_EQ(std::set<uint64_t>(uniques.begin(), uniques.end()).size(),
            Notifier::kMostRetrievals);
  // In another order.
  for (size_t i = uniques.size(); i-- > 100;) {
    AnswerRetrieve(uniques[i], i, "x");
  }
  const int expected = static_cast<int>(Notifier::kMostRetrievals) - 100;
  EXPECT_TRUE(Eventually([&] { return answered == expected; })) << answered;
  EXPECT_EQ(notifier_->Retrieve(2, 0, 1, done), 0);
  Next<proto::NotifyRetrieve>();
  // The end answers the others.
  CloseAndWait();
  session_.reset();
  EXPECT_EQ(answered, expected);
  EXPECT_EQ(ended, 101);
}

TEST_F(RetrieveTest, ACallbackMayAskAgain) {
  StartWith();
  std::atomic<int> calls{0};
  std::function<void()> ask = [&] {
    EXPECT_EQ(notifier_->Retrieve(2, 0, 10,
                                  [&](int error, uint64_t, auto) {
                                    if (error == 0 && ++calls < 10) ask();
                                  }),
              0);
  };
  ask();
  for (int i = 0; i < 10; ++i) {
    AnswerRetrieve(Next<proto::NotifyRetrieve>().notify_unique, 0, "x");
  }
  EXPECT_TRUE(Eventually([&] { return calls == 10; }));
}

}  // namespace
}  // namespace barefuse::testing
