#include "fs/passthrough/credentials.h"

#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/extensions.h"

namespace barefuse {
namespace {

// The calling thread's effective capabilities, changed by the raw system call:
// glibc has no wrapper, and libcap would be one dependency more.
class EffectiveCapabilities {
 public:
  EffectiveCapabilities() {
    header_.version = _LINUX_CAPABILITY_VERSION_3;
    header_.pid = 0;
    valid_ = syscall(SYS_capget, &header_, data_) == 0;
  }
  bool Has(unsigned capability) const {
    return valid_ && (data_[capability / 32].effective & Bit(capability)) != 0;
  }
  // Only what is permitted is raised.
  void Raise(unsigned capability) {
    data_[capability / 32].effective |=
        data_[capability / 32].permitted & Bit(capability);
  }
  void Drop(unsigned capability) {
    data_[capability / 32].effective &= ~Bit(capability);
  }
  bool Apply() { return valid_ && syscall(SYS_capset, &header_, data_) == 0; }

 private:
  static uint32_t Bit(unsigned capability) { return 1u << capability % 32; }

  __user_cap_header_struct header_{};
  __user_cap_data_struct data_[_LINUX_CAPABILITY_U32S_3]{};
  bool valid_ = false;
};

}  // namespace

std::optional<uint32_t> GroupOf(const proto::Extensions& extensions) {
  proto::ExtensionReader reader(extensions);
  while (reader.Next()) {
    if (reader.kind() == proto::ExtensionReader::Kind::kGroups &&
        reader.groups().size() != 0) {
      return reader.groups()[0];
    }
  }
  return std::nullopt;
}

bool IsOwn(const std::optional<Ids>& ids) {
  return ids.has_value() && (ids->uid == 0 || ids->uid == geteuid());
}

ScopedIds::ScopedIds(const std::optional<Ids>& ids,
                     std::optional<uint32_t> group) {
  if (!ids.has_value() || geteuid() != 0) return;
  if (group.has_value()) {
    // The system call is for this thread alone, where the C library's function
    // is for all.
    const gid_t groups[] = {*group};
    grouped_ = syscall(SYS_setgroups, 1, groups) == 0;
  }
  if (ids->uid == 0 && ids->gid == getegid()) return;
  changed_ = true;
  // The group first: setting the user takes the right to set the group away.
  setfsgid(ids->gid);
  setfsuid(ids->uid);
  // They tell what is, and not whether they were obeyed.
  constexpr auto kNobody = static_cast<uid_t>(-1);
  ok_ = static_cast<uid_t>(setfsuid(kNobody)) == ids->uid &&
        static_cast<gid_t>(setfsgid(kNobody)) == ids->gid &&
        ids->uid != kNobody && ids->gid != kNobody;
  if (ids->uid == 0) return;
  // Leaving uid 0 has dropped the capabilities that concern files.
  EffectiveCapabilities capabilities;
  capabilities.Raise(CAP_DAC_OVERRIDE);
  capabilities.Raise(CAP_DAC_READ_SEARCH);
  capabilities.Raise(CAP_MKNOD);
  capabilities.Apply();
}

ScopedIds::~ScopedIds() {
  if (changed_) {
    // Back at uid 0 the kernel raises them again.
    setfsuid(0);
    setfsgid(getegid());
  }
  if (grouped_) syscall(SYS_setgroups, 0, nullptr);
}

ScopedWithout::ScopedWithout(unsigned capability, bool wanted)
    : capability_(capability) {
  if (!wanted) return;
  EffectiveCapabilities capabilities;
  if (!capabilities.Has(capability)) return;
  capabilities.Drop(capability);
  dropped_ = capabilities.Apply();
}

ScopedWithout::~ScopedWithout() {
  if (!dropped_) return;
  EffectiveCapabilities capabilities;
  capabilities.Raise(capability_);
  capabilities.Apply();
}

ScopedKillPriv::ScopedKillPriv(const ProcFds& proc,
                               const std::optional<Ids>& ids, int fd) {
  struct stat info;
  if (!ids.has_value() || ids->uid == 0 || geteuid() != 0 ||
      fstat(fd, &info) != 0 || (info.st_mode & (S_ISUID | S_ISGID)) == 0) {
    return;
  }
  if ((info.st_mode & S_ISGID) != 0) {
    grouped_ = true;
    setfsgid(proc.IsInGroup(*ids, info.st_gid) ? info.st_gid : ids->gid);
  }
  fsetid_.emplace(CAP_FSETID, true);
}

ScopedKillPriv::~ScopedKillPriv() {
  if (grouped_) setfsgid(getegid());
}

}  // namespace barefuse
