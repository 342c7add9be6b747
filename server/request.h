// A request as a handler sees it.
#ifndef BAREFUSE_SERVER_REQUEST_H_
#define BAREFUSE_SERVER_REQUEST_H_

#include <cstdint>
#include <optional>
#include <variant>

#include "proto/requests.h"
#include "server/connection.h"
#include "server/slot.h"

namespace barefuse {

// The kernel's name for an inode of the filesystem: what the reply to LOOKUP
// said. FUSE_ROOT_ID (1) is the mount's root.
using NodeId = uint64_t;

// Who asked. Where FUSE_ALLOW_IDMAP is on, only what creates something tells:
// uid and gid are -1 else.
struct Ids {
  static constexpr uint32_t kUntold = ~0u;

  uint32_t uid;
  uint32_t gid;
  uint32_t pid;  // of the calling thread, 0 where it is in another namespace
};

// One request of the type `Op` (proto/requests.h). `req->offset` and the like
// are the operation's own fields, with the kernel's names.
//
// A handle, cheap to copy. It, and the names and data that it shows, are valid
// until the reply to the request is given or dropped.
template <class Op>
class Request {
 public:
  explicit Request(Slot& slot)
      : slot_(&slot), op_(std::get_if<Op>(&slot.request.operation)) {}

  const Op* operator->() const { return op_; }
  const Op& operator*() const { return *op_; }

  NodeId node() const { return header().nodeid; }
  uint64_t unique() const { return header().unique; }

  // Nothing where the kernel asks on nobody's behalf: RELEASE, FORGET and
  // writes from the page cache carry zeros, which are not root's.
  std::optional<Ids> ids() const {
    if (proto::OperationOf<Op>().caller == proto::Caller::kNone) return {};
    if constexpr (std::is_same_v<Op, proto::Write>) {
      if ((op_->write_flags & abi::FUSE_WRITE_CACHE) != 0) return {};
    }
    return Ids{header().uid, header().gid, header().pid};
  }

  // Whether the caller was interrupted by a signal; see ReplyBase.
  bool interrupted() const { return slot_->interrupt.interrupted(); }

  // Whether this thread is for handlers that may wait for something; see
  // ReplyBase::CallAgain.
  bool may_block() const { return slot_->may_block; }

  Connection& connection() const { return slot_->pool->connection(); }

 private:
  const abi::fuse_in_header& header() const { return slot_->request.header; }

  Slot* slot_;
  const Op* op_;
};

#define BAREFUSE_REQUEST_NAME(NAME, Type, ...) \
  using Type##Request = Request<proto::Type>;
BAREFUSE_OPERATIONS(BAREFUSE_REQUEST_NAME)
#undef BAREFUSE_REQUEST_NAME

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_REQUEST_H_
