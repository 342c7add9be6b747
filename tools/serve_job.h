// What Serve hands to whoever does the work. Private to tools/.
#ifndef BAREFUSE_TOOLS_SERVE_JOB_H_
#define BAREFUSE_TOOLS_SERVE_JOB_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/session.h"
#include "server/unique_fd.h"
#include "tools/background.h"
#include "tools/serve.h"
#include "tools/serve_log.h"

namespace barefuse {

struct ServeJob {
  ServeOptions options;
  MakeFileSystem make;
  std::shared_ptr<ServeLog> log;
  UniqueFd signals;  // signalfd(2) of those that end the program
  std::optional<Background> background;
};

// Waits until one of two descriptors has something to read, or its other end is
// gone: whether it is the first; then the second may be ready too.
bool AwaitReadable(int fd, int other);

// Goes to the background, if that is where to go.
void Settle(ServeJob& job);

// The exit status of a session that has ended; what there is to say is said.
int ReportEnd(const StopReason& reason, const ServeLog& log);

// Writes to where --stats says. What goes wrong is said.
void WriteStatistics(const ServeJob& job, const std::string& json);

// Serves from two processes: this one mounts, waits for signals and unmounts,
// and another one serves, from a sandbox. Gives the exit status. Unavailable:
// there can be no sandbox here, and nothing has happened.
absl::StatusOr<int> ServeConfined(ServeJob& job);

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_SERVE_JOB_H_
