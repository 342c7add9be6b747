// Messages of a real kernel, and by hand those that it does not send here:
// decoded, put into words, encoded again and compared to the byte.
#include "tests/golden/golden.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "proto/notifications.h"
#include "proto/operations.h"
#include "tests/codec/damage.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

namespace stdfs = std::filesystem;
using testing::Golden;
using testing::GoldenKind;

std::vector<std::string> Files() {
  std::vector<std::string> files;
  const std::string folder = testing::Runfile("tests/golden/messages");
  for (const auto& entry : stdfs::directory_iterator(folder)) {
    files.push_back(entry.path().filename().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Golden Load(const std::string& name) {
  Golden golden;
  EXPECT_TRUE(testing::Parse(
      testing::ReadFile(testing::Runfile("tests/golden/messages/" + name)),
      &golden))
      << name;
  return golden;
}

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, IsUnderstoodAndMadeAgain) {
  const Golden golden = Load(GetParam());
  EXPECT_FALSE(golden.origin.empty());
  EXPECT_EQ(testing::Describe(golden), golden.text);
  EXPECT_EQ(testing::Reencode(golden), golden.bytes);
}

// Any answer will do but a step outside, which a sanitizer sees.
TEST_P(GoldenTest, DamageToItIsAValueOrAnError) {
  Golden golden = Load(GetParam());
  int understood = 0;
  int tries = 0;
  testing::ForEachDamage(golden.bytes,
                         [&](const std::vector<std::byte>& bytes) {
                           Golden damaged = golden;
                           damaged.bytes = bytes;
                           ++tries;
                           if (!testing::Describe(damaged).empty())
                             ++understood;
                         });
  // The header's length and unique never survive all changes.
  EXPECT_LT(understood, tries);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenTest, ::testing::ValuesIn(Files()),
                         [](const auto& file) {
                           std::string name = file.param;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) {
                               c = '_';
                             }
                           }
                           return name;
                         });

TEST(GoldenFiles, AreOfEveryOperationAndNotification) {
  std::set<std::pair<GoldenKind, uint32_t>> have;
  for (const std::string& file : Files()) {
    const Golden golden = Load(file);
    have.emplace(golden.kind, golden.opcode);
  }
  for (const proto::Operation& operation : proto::kOperations) {
    if (operation.name.empty()) continue;
    EXPECT_EQ(have.count({GoldenKind::kRequest, operation.opcode}), 1u)
        << "no request " << operation.name;
    if (operation.owed == proto::Owed::kReply) {
      EXPECT_EQ(have.count({GoldenKind::kReply, operation.opcode}), 1u)
          << "no reply to " << operation.name;
    }
  }
  for (uint32_t code = abi::FUSE_NOTIFY_POLL; code <= abi::FUSE_NOTIFY_PRUNE;
       ++code) {
    EXPECT_EQ(have.count({GoldenKind::kNotification, code}), 1u)
        << "no notification " << proto::NotificationName(code);
  }
}

}  // namespace
}  // namespace barefuse
