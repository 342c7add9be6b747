// Acting as somebody else, on one thread, for a moment.
#ifndef BAREFUSE_FS_PASSTHROUGH_CREDENTIALS_H_
#define BAREFUSE_FS_PASSTHROUGH_CREDENTIALS_H_

#include <linux/capability.h>

#include <cstdint>
#include <optional>

#include "server/request.h"

namespace barefuse {

// The group, beside the caller's own, in which a creating request is made: the
// parent directory's, where the caller is a member of it (the extension of
// FUSE_CREATE_SUPP_GROUP).
std::optional<uint32_t> GroupOf(const proto::Extensions& extensions);

// What the thread does to files while this lives is done as `ids`, who are in
// `group` too: what it creates is theirs. The right to pass over permissions
// stays, since the kernel has checked them (default_permissions). Does nothing
// where the process is not root, or `ids` are its own or nobody's. Not movable,
// for one thread.
class ScopedIds {
 public:
  explicit ScopedIds(const std::optional<Ids>& ids,
                     std::optional<uint32_t> group = std::nullopt);
  ~ScopedIds();
  ScopedIds(const ScopedIds&) = delete;
  ScopedIds& operator=(const ScopedIds&) = delete;

 private:
  bool changed_ = false;
  bool grouped_ = false;
};

// Whether what is done for the caller must clear set-user-id bits, as the
// caller's own doing would.
template <class Op>
bool ClearsSuid(const Request<Op>& request) {
  const std::optional<Ids> ids = request.ids();
  return ids.has_value() && ids->uid != 0;
}

// Without CAP_FSETID while this lives: writes and truncations clear set-user-id
// and set-group-id bits and capabilities, as they do for ordinary users.
class ScopedNoFsetid {
 public:
  // Does nothing unless `wanted`.
  explicit ScopedNoFsetid(bool wanted = true);
  ~ScopedNoFsetid();
  ScopedNoFsetid(const ScopedNoFsetid&) = delete;
  ScopedNoFsetid& operator=(const ScopedNoFsetid&) = delete;

 private:
  bool dropped_ = false;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_CREDENTIALS_H_
