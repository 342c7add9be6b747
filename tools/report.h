// What a session counted, for people and programs.
#ifndef BAREFUSE_TOOLS_REPORT_H_
#define BAREFUSE_TOOLS_REPORT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/session.h"

namespace barefuse {

// One JSON object: "stop", "detail" where there is more to say of that,
// "operations" by name with "requests" and "errors" (those that came), and the
// totals of Statistics by name.
std::string StatisticsJson(const Statistics& statistics,
                           const StopReason& reason);

// Writes `text` to `path` as a whole: somebody who reads it sees all or the
// file that was there before. "-" is standard output.
absl::Status WriteFile(const std::string& path, std::string_view text);

// Whether WriteFile will be able to write to `path` as far as can be told now;
// also for "" and "-".
absl::Status CheckWritable(const std::string& path);

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_REPORT_H_
