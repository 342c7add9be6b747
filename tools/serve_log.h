// Where a server's messages go. Private to tools/.
#ifndef BAREFUSE_TOOLS_SERVE_LOG_H_
#define BAREFUSE_TOOLS_SERVE_LOG_H_

#include <atomic>
#include <string_view>

#include "server/log.h"

namespace barefuse {

// To the terminal, and from the background to syslog. Any thread.
class ServeLog {
 public:
  // `debug`: also what is for looking for mistakes, on standard error always.
  explicit ServeLog(bool debug) : debug_(debug) {}

  void operator()(LogLevel level, std::string_view line) const;

  void GoToBackground() { background_ = true; }

 private:
  const bool debug_;
  std::atomic<bool> background_{false};
};

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_SERVE_LOG_H_
