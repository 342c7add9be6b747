#include "server/log.h"

#include <sys/uio.h>
#include <unistd.h>

namespace barefuse {

void LogToStderr(LogLevel level, std::string_view line) {
  if (level == LogLevel::kDebug) return;
  // One write, so that lines of several threads do not mix.
  static constexpr std::string_view kPrefix = "barefuse: ";
  static constexpr std::string_view kEnd = "\n";
  auto part = [](std::string_view text) {
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  iovec parts[] = {part(kPrefix), part(line), part(kEnd)};
  // Nobody is left to tell where this fails.
  [[maybe_unused]] ssize_t n = writev(STDERR_FILENO, parts, 3);
}

}  // namespace barefuse
