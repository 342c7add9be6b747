#include "tools/report.h"

#include <gtest/gtest.h>

namespace barefuse {
namespace {

TEST(Report, IsJsonWithWhatCame) {
  Statistics statistics;
  statistics.operations[abi::FUSE_LOOKUP] = {3, 1};
  statistics.read_bytes = 4096;
  const std::string json =
      StatisticsJson(statistics, {StopReason::Kind::kUnmounted, ""});
  EXPECT_EQ(json,
            R"({
  "stop": "unmounted",
  "operations": {
    "LOOKUP": {"requests": 3, "errors": 1}
  },
  "read_bytes": 4096,
  "written_bytes": 0,
  "malformed": 0,
  "unknown": 0,
  "dropped_messages": 0,
  "dropped_replies": 0,
  "refused_replies": 0,
  "backing_opens": 0,
  "backing_closes": 0,
  "passthrough_opens": 0
}
)");
}

TEST(Report, SaysMoreOfTheEndWhereThereIsMore) {
  const std::string json =
      StatisticsJson({}, {StopReason::Kind::kFailed, "read \"x\\y\"\n: bad"});
  EXPECT_EQ(json.find(R"({
  "stop": "failed",
  "detail": "read \"x\\y\"\u000a: bad",
  "operations": {)"),
            0u)
      << json;
}

}  // namespace
}  // namespace barefuse
