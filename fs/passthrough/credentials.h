// Acting as somebody else, on one thread, for a moment.
#ifndef BAREFUSE_FS_PASSTHROUGH_CREDENTIALS_H_
#define BAREFUSE_FS_PASSTHROUGH_CREDENTIALS_H_

#include <linux/capability.h>

#include <cstdint>
#include <optional>

#include "fs/passthrough/proc_fds.h"
#include "server/request.h"

namespace barefuse {

// The group, beside the caller's own, in which a creating request is made: the
// parent directory's, where the caller is a member of it (the extension of
// FUSE_CREATE_SUPP_GROUP).
std::optional<uint32_t> GroupOf(const proto::Extensions& extensions);

// What the thread does to files while this lives is done as `ids`, who are in
// `group` too: what it creates is theirs. The right to pass over permissions
// stays, since the kernel has checked them (default_permissions). Does nothing
// where the process is not root, or `ids` are its own or nobody's. For one
// thread.
class ScopedIds {
 public:
  explicit ScopedIds(const std::optional<Ids>& ids,
                     std::optional<uint32_t> group = std::nullopt);
  ~ScopedIds();
  ScopedIds(const ScopedIds&) = delete;
  ScopedIds& operator=(const ScopedIds&) = delete;

  // False: there are no such ids (-1), and nothing must be done as them.
  bool ok() const { return ok_; }

 private:
  bool ok_ = true;
  bool changed_ = false;
  bool grouped_ = false;
};

// Whether the server's own rights are no more than the caller's.
bool IsOwn(const std::optional<Ids>& ids);

// Without a capability (CAP_*) while this lives. For one thread.
class ScopedWithout {
 public:
  // Does nothing unless `wanted`.
  ScopedWithout(unsigned capability, bool wanted);
  ~ScopedWithout();
  ScopedWithout(const ScopedWithout&) = delete;
  ScopedWithout& operator=(const ScopedWithout&) = delete;

 private:
  const unsigned capability_;
  bool dropped_ = false;
};

// While this lives, what the thread does to the file `fd` takes set-user-id and
// set-group-id bits away as the caller's own doing would: without CAP_FSETID,
// and in the file's group if the caller is in it (setattr_should_drop_sgid,
// Linux 6.2). Does nothing where the process is not root. For one thread.
class ScopedKillPriv {
 public:
  // Nothing for root, who keeps the bits, nor on nobody's behalf.
  ScopedKillPriv(const ProcFds& proc, const std::optional<Ids>& ids, int fd);
  ~ScopedKillPriv();
  ScopedKillPriv(const ScopedKillPriv&) = delete;
  ScopedKillPriv& operator=(const ScopedKillPriv&) = delete;

 private:
  std::optional<ScopedWithout> fsetid_;
  bool grouped_ = false;
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_CREDENTIALS_H_
