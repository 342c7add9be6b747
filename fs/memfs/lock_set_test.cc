#include "fs/memfs/lock_set.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

namespace barefuse::memfs {
namespace {

RangeLock Lock(uint64_t start, uint64_t end, uint32_t type, uint64_t owner) {
  return {start, end, type, static_cast<uint32_t>(owner), owner, owner};
}

TEST(LockSet, ReadersShareAndWritersDoNot) {
  LockSet locks;
  ASSERT_TRUE(locks.Set(Lock(0, 9, F_RDLCK, 1)));
  EXPECT_EQ(locks.Conflict(Lock(5, 20, F_RDLCK, 2)), nullptr);
  ASSERT_NE(locks.Conflict(Lock(5, 20, F_WRLCK, 2)), nullptr);
  EXPECT_EQ(locks.Conflict(Lock(5, 20, F_WRLCK, 2))->pid, 1u);
  EXPECT_EQ(locks.Conflict(Lock(10, 20, F_WRLCK, 2)), nullptr);
  EXPECT_EQ(locks.Conflict(Lock(5, 20, F_WRLCK, 1)), nullptr);
}

TEST(LockSet, WhatTouchesAndIsAlikeIsOne) {
  LockSet locks;
  ASSERT_TRUE(locks.Set(Lock(0, 9, F_RDLCK, 1)));
  ASSERT_TRUE(locks.Set(Lock(20, LockSet::kEnd, F_RDLCK, 1)));
  ASSERT_TRUE(locks.Set(Lock(10, 19, F_RDLCK, 1)));
  ASSERT_EQ(locks.locks().size(), 1u);
  EXPECT_EQ(locks.locks()[0].start, 0u);
  EXPECT_EQ(locks.locks()[0].end, LockSet::kEnd);
  ASSERT_TRUE(locks.Set(Lock(5, 5, F_UNLCK, 1)));
  EXPECT_EQ(locks.locks().size(), 2u);
  ASSERT_TRUE(locks.Set(Lock(0, LockSet::kEnd, F_UNLCK, 1)));
  EXPECT_TRUE(locks.empty());
}

TEST(LockSet, IsOnlySoLarge) {
  LockSet locks;
  for (uint64_t i = 0; i < LockSet::kMost; ++i) {
    ASSERT_TRUE(locks.Set(Lock(4 * i, 4 * i + 2, F_RDLCK, 1)));
  }
  EXPECT_FALSE(locks.Set(Lock(1 << 20, 1 << 20, F_RDLCK, 1)));
  // One would become two.
  EXPECT_FALSE(locks.Set(Lock(1, 1, F_UNLCK, 1)));
  EXPECT_EQ(locks.locks().size(), LockSet::kMost);
  EXPECT_TRUE(locks.Set(Lock(0, 2, F_UNLCK, 1)));
  EXPECT_TRUE(locks.Set(Lock(1 << 20, 1 << 20, F_RDLCK, 1)));
}

// Every byte by itself: who has it, and how.
TEST(LockSet, DoesWhatAnArrayDoes) {
  constexpr uint64_t kBytes = 64;
  constexpr uint64_t kOwners = 4;
  std::mt19937_64 random(7);
  LockSet locks;
  std::array<std::array<uint32_t, kOwners>, kBytes> model;
  for (auto& byte : model) byte.fill(F_UNLCK);
  auto conflict = [&model](const RangeLock& wanted) {
    for (uint64_t i = wanted.start; i <= wanted.end; ++i) {
      for (uint64_t owner = 0; owner < kOwners; ++owner) {
        if (owner == wanted.owner || model[i][owner] == F_UNLCK) continue;
        if (model[i][owner] == F_WRLCK || wanted.type == F_WRLCK) return true;
      }
    }
    return false;
  };
  for (int step = 0; step < 50000; ++step) {
    constexpr uint32_t kTypes[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    const uint64_t start = random() % kBytes;
    const RangeLock wanted =
        Lock(start, std::min(start + random() % 20, kBytes - 1),
             kTypes[random() % 3], random() % kOwners);
    const bool refused = wanted.type != F_UNLCK && conflict(wanted);
    ASSERT_EQ(locks.Conflict(wanted) != nullptr, refused);
    if (refused) continue;
    ASSERT_TRUE(locks.Set(wanted));
    for (uint64_t i = wanted.start; i <= wanted.end; ++i) {
      model[i][wanted.owner] = wanted.type;
    }
    // The same bytes, in as few ranges as can be.
    std::array<std::array<uint32_t, kOwners>, kBytes> have;
    for (auto& byte : have) byte.fill(F_UNLCK);
    for (const RangeLock& lock : locks.locks()) {
      ASSERT_LE(lock.start, lock.end);
      for (uint64_t i = lock.start; i <= lock.end; ++i) {
        ASSERT_EQ(have[i][lock.owner], uint32_t{F_UNLCK}) << "overlap";
        have[i][lock.owner] = lock.type;
      }
      if (lock.end + 1 < kBytes) {
        ASSERT_NE(model[lock.end + 1][lock.owner], lock.type) << "not merged";
      }
    }
    ASSERT_EQ(have, model);
  }
}

}  // namespace
}  // namespace barefuse::memfs
