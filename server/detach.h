// Long requests leave their worker's slot.
#ifndef BAREFUSE_SERVER_DETACH_H_
#define BAREFUSE_SERVER_DETACH_H_

#include "server/slot.h"

namespace barefuse {

// Moves the request of `slot`, which a handler owns, to a slot of the session's
// parking pool, and gives that; the worker has its own slot back. Names and
// data of the request are elsewhere from then on. Gives `slot` itself where the
// request is parked already, and nullptr, having done nothing, where there is
// no room or the session is ending.
Slot* Detach(Slot* slot);

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_DETACH_H_
