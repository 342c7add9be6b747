#include "fs/id_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace barefuse {
namespace {

TEST(IdTable, NeverGivesANumberTwice) {
  IdTable<int> table;
  const uint64_t first = table.Add(std::make_shared<int>(1));
  EXPECT_EQ(*table.Find(first), 1);
  EXPECT_EQ(*table.Remove(first), 1);
  EXPECT_EQ(table.Find(first), nullptr);
  EXPECT_EQ(table.Remove(first), nullptr);
  EXPECT_NE(table.Add(std::make_shared<int>(2)), first);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.Find(0), nullptr);
}

TEST(IdTable, GoesOnCountingWhenCleared) {
  IdTable<int> table;
  const uint64_t first = table.Add(std::make_shared<int>(1));
  table.Clear();
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.Find(first), nullptr);
  EXPECT_NE(table.Add(std::make_shared<int>(2)), first);
}

TEST(IdTable, ServesManyThreads) {
  IdTable<int> table;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&table, t] {
      for (int i = 0; i < 1000; ++i) {
        const uint64_t id = table.Add(std::make_shared<int>(t));
        EXPECT_EQ(*table.Find(id), t);
        EXPECT_EQ(*table.Remove(id), t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace barefuse
