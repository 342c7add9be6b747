// Going to the background once there is something to stay there for.
#ifndef BAREFUSE_TOOLS_BACKGROUND_H_
#define BAREFUSE_TOOLS_BACKGROUND_H_

#include <utility>

#include "absl/status/statusor.h"
#include "server/unique_fd.h"

namespace barefuse {

// Splits the process in two before any thread exists. The parent waits in the
// constructor's place and exits: with 0 once the child has called Detach, else
// with the status that the child ends with. The terminal stays the child's
// until then, so that it can say why it failed.
class Background {
 public:
  // Forks; only the child returns.
  static absl::StatusOr<Background> Start();

  // The work has begun: lets the parent go, leaves the session and the
  // terminal.
  void Detach();

  // Leaves the session and the terminal, with `null`, a descriptor of
  // /dev/null, in its place.
  static void LeaveTerminal(int null);

 private:
  explicit Background(UniqueFd parent) : parent_(std::move(parent)) {}

  UniqueFd parent_;
};

}  // namespace barefuse

#endif  // BAREFUSE_TOOLS_BACKGROUND_H_
