// Passthrough of libfuse's examples and ours, beside the directory itself,
// which says what a filesystem should do.
#include <gtest/gtest.h>

#include "tests/peer/passthrough_checks.h"
#include "tests/peer/peer_test.h"

namespace barefuse::peer {
namespace {

std::vector<Check> AllChecks() {
  std::vector<Check> all;
  for (auto* some : {TreeChecks, AttributeChecks, FileChecks, RightsChecks}) {
    for (Check& check : some()) all.push_back(std::move(check));
  }
  return all;
}

std::vector<std::string> Barefuse(const Place& at, const std::string& options) {
  return {testing::Runfile("tools/barefuse"),
          "passthrough",
          "--foreground",
          "-o" + options,
          at.source,
          at.mnt};
}

std::vector<Server> Servers() {
  return {
      {"none", [](const Place&) -> std::vector<std::string> { return {}; }},
      {"libfuse",
       [](const Place& at) -> std::vector<std::string> {
         return {PeerTest::TheExamples().Path("passthrough_ll"), "-f",
                 "-oallow_other,default_permissions,xattr,source=" + at.source,
                 at.mnt};
       },
       true},
      {"barefuse", [](const Place& at) { return Barefuse(at, "allow_other"); }},
      {"nopassthrough",
       [](const Place& at) {
         return Barefuse(at, "allow_other,nopassthrough");
       }},
  };
}

const std::vector<Difference>& Differences() {
  static const std::vector<Difference> differences = {
      {"libfuse", "rename to where nothing is", "EINVAL",
       "passthrough_ll takes no flags of renameat2(2)"},
      {"libfuse", "exchange", "EINVAL",
       "passthrough_ll takes no flags of renameat2(2)"},
      {"libfuse", "birth time", "none", "libfuse 3.14 has no STATX"},
      {"libfuse", "a file without a name gets one", "EOPNOTSUPP",
       "libfuse 3.14 has no TMPFILE"},
      {"libfuse", "a user's creations are the user's",
       "0:0 640, 0:0 755, 0:0 777, 0:0 600",
       "passthrough_ll creates as the user that it runs as"},
      {"libfuse", "a set-group-id directory hands its group on",
       "0:5678 640, 0:5678 2755",
       "passthrough_ll creates as the user that it runs as"},
      {"libfuse", "fcntl lock in the source", "ok",
       "passthrough_ll leaves fcntl locks to the kernel, within the mount"},
      {"barefuse", "fcntl lock in the source", "ok",
       "locks are left to the kernel, within the mount"},
      {"nopassthrough", "fcntl lock in the source", "ok",
       "locks are left to the kernel, within the mount"},
  };
  return differences;
}

using PassthroughPeerTest = PeerTest;

TEST_P(PassthroughPeerTest, GivesWhatIsExpected) { Run(Differences()); }

INSTANTIATE_TEST_SUITE_P(Peer, PassthroughPeerTest,
                         ::testing::Combine(::testing::ValuesIn(Servers()),
                                            ::testing::ValuesIn(AllChecks())),
                         PeerTest::CaseName);

TEST(PassthroughDifferencesTest, AreOfServersAndChecksThatThereAre) {
  std::vector<std::string> servers;
  for (const Server& server : Servers()) servers.push_back(server.name);
  EXPECT_EQ(Complaint(Differences(), servers, AllChecks()), "");
}

}  // namespace
}  // namespace barefuse::peer
