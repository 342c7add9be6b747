#include "tools/serve_log.h"

#include <stdio.h>
#include <syslog.h>

namespace barefuse {

void ServeLog::operator()(LogLevel level, std::string_view line) const {
  if (level == LogLevel::kDebug && debug_) {
    fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  } else if (!background_) {
    LogToStderr(level, line);
  } else if (level != LogLevel::kDebug) {
    const int priority = level == LogLevel::kError     ? LOG_ERR
                         : level == LogLevel::kWarning ? LOG_WARNING
                                                       : LOG_INFO;
    syslog(LOG_DAEMON | priority, "%.*s", static_cast<int>(line.size()),
           line.data());
  }
}

}  // namespace barefuse
