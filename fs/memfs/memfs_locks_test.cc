// Locks, who waits for them, and what lets them go.
#include <errno.h>

#include "fs/memfs/memfs_fixture.h"

namespace barefuse::memfs {
namespace {

class Locks : public MemfsFixture {
 protected:
  static MemfsOptions Options() {
    MemfsOptions options;
    options.max_slot_waiters = 3;
    return options;
  }
  Locks() : MemfsFixture(Options()) {
    EXPECT_EQ(Create(kRoot, "f", &file_, &fh_), 0);
  }
  struct Want {
    uint64_t owner;
    uint32_t type;
    uint64_t start = 0;
    uint64_t end = INT64_MAX;
    bool flock = false;
    uint64_t fh = 0;  // 0: fh_
  };
  testing::MessageBuilder LockMessage(uint32_t opcode, const Want& want) {
    abi::fuse_lk_in in{};
    in.fh = want.fh == 0 ? fh_ : want.fh;
    in.owner = want.owner;
    in.lk = {want.start, want.end, want.type,
             static_cast<uint32_t>(1000 + want.owner)};
    in.lk_flags = want.flock ? abi::FUSE_LK_FLOCK : 0;
    testing::MessageBuilder message = Message(opcode, file_);
    return message.Struct(in);
  }
  int Set(const Want& want) { return Ask(LockMessage(abi::FUSE_SETLK, want)); }
  abi::fuse_file_lock Get(const Want& want) {
    abi::fuse_lk_out out{};
    EXPECT_EQ(AskFor(LockMessage(abi::FUSE_GETLK, want), &out), 0);
    return out.lk;
  }
  // Asks and does not wait; gives the number of the request.
  uint64_t Wait(const Want& want) {
    testing::MessageBuilder message = LockMessage(abi::FUSE_SETLKW, want);
    EXPECT_TRUE(server_.Send(message.Bytes()));
    return message.header().unique;
  }
  // What has been answered since: (number of the request, error).
  std::vector<std::pair<uint64_t, int>> Answers() {
    std::vector<std::pair<uint64_t, int>> answers;
    for (const testing::RawReply& reply : server_.Take()) {
      answers.emplace_back(reply.header.unique, reply.error());
    }
    return answers;
  }
  void SendFlush(uint64_t owner) {
    abi::fuse_flush_in in{};
    in.fh = fh_;
    in.lock_owner = owner;
    EXPECT_TRUE(
        server_.Send(Message(abi::FUSE_FLUSH, file_).Struct(in).Bytes()));
  }

  uint64_t file_ = 0;
  uint64_t fh_ = 0;
};

using Pairs = std::vector<std::pair<uint64_t, int>>;

TEST_F(Locks, ExcludeOthers) {
  EXPECT_EQ(Set({1, F_WRLCK, 10, 19}), 0);
  EXPECT_EQ(Set({2, F_RDLCK, 0, 9}), 0);
  EXPECT_EQ(Set({2, F_RDLCK, 0, 10}), EAGAIN);
  const abi::fuse_file_lock held = Get({2, F_RDLCK, 5, 15});
  EXPECT_EQ(held.start, 10u);
  EXPECT_EQ(held.end, 19u);
  EXPECT_EQ(held.type, uint32_t{F_WRLCK});
  EXPECT_EQ(held.pid, 1001u);
  EXPECT_EQ(Get({2, F_RDLCK, 20, 30}).type, uint32_t{F_UNLCK});
  EXPECT_EQ(Set({1, F_UNLCK, 10, 19}), 0);
  EXPECT_EQ(Set({2, F_RDLCK, 0, 10}), 0);
}

TEST_F(Locks, RangesAreChecked) {
  EXPECT_EQ(Set({1, F_WRLCK, 5, 4}), EINVAL);
  EXPECT_EQ(Set({1, F_WRLCK, 5, UINT64_MAX}), EINVAL);
  EXPECT_EQ(Set({1, 77}), EINVAL);
  EXPECT_EQ(Ask(LockMessage(abi::FUSE_GETLK, {1, F_WRLCK, 5, 4})), EINVAL);
  Want want{1, F_WRLCK};
  want.fh = 12345;
  EXPECT_EQ(Set(want), EBADF);
}

TEST_F(Locks, ThoseOfFlockAreOthers) {
  EXPECT_EQ(Set({1, F_WRLCK}), 0);
  EXPECT_EQ(Set({2, F_WRLCK, 0, INT64_MAX, true}), 0);
  EXPECT_EQ(Set({3, F_RDLCK, 0, INT64_MAX, true}), EAGAIN);
}

TEST_F(Locks, WaitersGetThemInTheirOrder) {
  EXPECT_EQ(Set({1, F_WRLCK}), 0);
  const uint64_t first = Wait({2, F_RDLCK});
  const uint64_t second = Wait({3, F_WRLCK});
  const uint64_t third = Wait({4, F_RDLCK});
  EXPECT_TRUE(Answers().empty());
  // One more would take the last slot.
  EXPECT_EQ(Ask(LockMessage(abi::FUSE_SETLKW, {5, F_RDLCK})), ENOLCK);
  ASSERT_TRUE(server_.Send(LockMessage(abi::FUSE_SETLK, {1, F_UNLCK}).Bytes()));
  Pairs answers = Answers();
  ASSERT_EQ(answers.size(), 3u);
  std::sort(answers.begin(), answers.end());
  EXPECT_EQ(answers[0], std::pair(first, 0));
  EXPECT_EQ(answers[1], std::pair(third, 0));
  SendFlush(2);
  EXPECT_EQ(Answers().size(), 1u);
  SendFlush(4);
  answers = Answers();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0] == std::pair(second, 0) ||
              answers[1] == std::pair(second, 0));
}

TEST_F(Locks, ASignalEndsTheWaiting) {
  EXPECT_EQ(Set({1, F_WRLCK}), 0);
  const uint64_t waiter = Wait({2, F_WRLCK});
  const uint64_t other = Wait({3, F_WRLCK});
  testing::MessageBuilder interrupt = Message(abi::FUSE_INTERRUPT, 0);
  ASSERT_TRUE(
      server_.Send(interrupt.Struct(abi::fuse_interrupt_in{waiter}).Bytes()));
  EXPECT_EQ(Answers(), (Pairs{{waiter, EINTR}}));
  SendFlush(1);
  Pairs answers = Answers();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].first == other ? answers[0] : answers[1],
            std::pair(other, 0));
}

TEST_F(Locks, TheLastCloseTakesTheOpenFilesAway) {
  uint64_t other = 0;
  ASSERT_EQ(Open(file_, O_RDWR, &other), 0);
  Want open_file{7, F_WRLCK, 0, 9};
  open_file.fh = other;
  EXPECT_EQ(Set(open_file), 0);
  Want flock{8, F_WRLCK, 0, INT64_MAX, true};
  flock.fh = other;
  EXPECT_EQ(Set(flock), 0);
  EXPECT_EQ(Set({1, F_RDLCK}), EAGAIN);
  EXPECT_EQ(Release(file_, other), 0);
  EXPECT_EQ(Set({1, F_RDLCK}), 0);
  EXPECT_EQ(Set({1, F_WRLCK, 0, INT64_MAX, true}), 0);
}

TEST_F(Locks, FlockLetsGoBeforeItChanges) {
  EXPECT_EQ(Set({1, F_RDLCK, 0, INT64_MAX, true}), 0);
  EXPECT_EQ(Set({2, F_RDLCK, 0, INT64_MAX, true}), 0);
  EXPECT_EQ(Set({1, F_WRLCK, 0, INT64_MAX, true}), EAGAIN);
  EXPECT_EQ(Set({2, F_WRLCK, 0, INT64_MAX, true}), 0) << "1 has lost its own";
}

TEST_F(Locks, NobodyWaitsForAFilesystemThatIsGone) {
  EXPECT_EQ(Set({1, F_WRLCK}), 0);
  Wait({2, F_WRLCK});
  EXPECT_EQ(Ask(Message(abi::FUSE_DESTROY, 0)), -1) << "two answers";
  EXPECT_EQ(Answers().size(), 0u);
}

}  // namespace
}  // namespace barefuse::memfs
