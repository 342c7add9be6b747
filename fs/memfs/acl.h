// POSIX access control lists, as acl(5) and the kernel's fs/posix_acl.c have
// them, in the form of the extended attributes system.posix_acl_*.
#ifndef BAREFUSE_FS_MEMFS_ACL_H_
#define BAREFUSE_FS_MEMFS_ACL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace barefuse::memfs {

// A list that is valid: the entries for owner, owning group and others are
// there once each, and a mask wherever there are named users or groups.
class Acl {
 public:
  // ACL_* of <linux/posix_acl.h>; entries are in the order of these, those of
  // one tag in the order of their ids.
  enum Tag : uint16_t {
    kUserObj = 0x01,
    kUser = 0x02,
    kGroupObj = 0x04,
    kGroup = 0x08,
    kMask = 0x10,
    kOther = 0x20,
  };
  struct Entry {
    uint16_t tag;
    uint16_t permissions;  // 0 .. 7
    uint32_t id;           // of kUser and kGroup
  };

  // The value of an extended attribute. Nothing where it is not a valid list,
  // and where it is one without any entry, which stands for none:
  // `*is_empty` tells.
  static std::optional<Acl> Parse(std::string_view value, bool* is_empty);
  // Its value as an extended attribute.
  std::string Value() const;

  // The nine permission bits that show in the file's mode: the mask, where
  // there is one, is shown as the group's.
  uint32_t Mode() const;
  // Whether it says no more than nine permission bits can.
  bool EqualsMode() const { return entries_.size() == 3; }

  // chmod(2): the entries that the bits of `mode` show.
  void Chmod(uint32_t mode);
  // As the list of a new file that is created with `mode`: no entry allows
  // more than the mode asks for.
  void LimitTo(uint32_t mode);

  size_t size() const { return entries_.size(); }

 private:
  explicit Acl(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  // The entry whose permissions are the group bits of the mode.
  uint16_t GroupTag() const;

  std::vector<Entry> entries_;
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_ACL_H_
