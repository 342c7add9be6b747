// Where a session says what nobody can be given as a return value.
#ifndef BAREFUSE_SERVER_LOG_H_
#define BAREFUSE_SERVER_LOG_H_

#include <cstdint>
#include <functional>
#include <string_view>

namespace barefuse {

enum class LogLevel : uint8_t {
  kDebug,    // one line for each request and reply
  kInfo,     // what was chosen, and why something wished for was not
  kWarning,  // something refused or dropped; the session goes on
  kError,    // the session, or a request, failed through a fault of a program
};

// Takes one line, without a line end. Called from any thread, several at a
// time; must not call back into the session.
using LogSink = std::function<void(LogLevel, std::string_view line)>;

// "barefuse: LINE" on standard error, nothing for kDebug.
void LogToStderr(LogLevel level, std::string_view line);

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_LOG_H_
