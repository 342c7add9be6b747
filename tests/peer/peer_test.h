// Runs checks on servers: one GoogleTest case for each pair, with a mount of
// its own.
#ifndef BAREFUSE_TESTS_PEER_PEER_TEST_H_
#define BAREFUSE_TESTS_PEER_PEER_TEST_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cctype>
#include <optional>
#include <ostream>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/peer/check.h"
#include "tests/peer/server.h"

namespace barefuse::peer {

inline void PrintTo(const Server& server, std::ostream* out) {
  *out << server.name;
}
inline void PrintTo(const Check& check, std::ostream* out) {
  *out << check.name;
}

class PeerTest : public ::testing::TestWithParam<std::tuple<Server, Check>> {
 public:
  static std::string CaseName(
      const ::testing::TestParamInfo<std::tuple<Server, Check>>& info) {
    std::string name = std::get<Server>(info.param).name + "_" +
                       std::get<Check>(info.param).name;
    for (char& c : name) {
      if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    }
    return name;
  }

  // Built once, when the first case needs them.
  static const Examples& TheExamples() {
    static const Examples examples;
    return examples;
  }

 protected:
  void Run(const std::vector<Difference>& differences) {
    const auto& [server, check] = GetParam();
    if (server.is_example && !TheExamples().missing().empty()) {
      const char* ci = getenv("CI");
      if (ci != nullptr && std::string_view(ci) == "true") {
        FAIL() << "CI=true, and " << TheExamples().missing();
      }
      GTEST_SKIP() << TheExamples().missing();
    }
    testing::TempDir dir;
    Place place = {dir.MakeDir("src"), dir.MakeDir("mnt")};
    const std::vector<std::string> command = server.command(place);
    if (command.empty()) place.mnt = place.source;
    std::optional<Running> running;
    if (!command.empty()) running.emplace(command, place.mnt);
    EXPECT_EQ(Complaint(check, server.name, differences, check.outcome(place)),
              "");
    if (!running.has_value()) return;
    EXPECT_EQ(running->End(), "");
  }
};

}  // namespace barefuse::peer

#endif  // BAREFUSE_TESTS_PEER_PEER_TEST_H_
