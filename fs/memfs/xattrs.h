// The extended attributes of one inode.
#ifndef BAREFUSE_FS_MEMFS_XATTRS_H_
#define BAREFUSE_FS_MEMFS_XATTRS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "fs/memfs/space.h"

namespace barefuse::memfs {

// Names and values, counted in a Space. Not thread-safe. errno values are
// positive.
class Xattrs {
 public:
  // XATTR_SIZE_MAX, XATTR_LIST_MAX and XATTR_NAME_MAX of <linux/limits.h>.
  static constexpr size_t kValueMax = 65536;
  static constexpr size_t kListMax = 65536;
  static constexpr size_t kNameMax = 255;

  // `space` outlives it.
  explicit Xattrs(Space& space) : space_(space) {}
  ~Xattrs();
  Xattrs(const Xattrs&) = delete;
  Xattrs& operator=(const Xattrs&) = delete;

  // `flags` are XATTR_CREATE and XATTR_REPLACE. EEXIST, ENODATA, E2BIG (the
  // value), ERANGE (the name), ENOSPC (too many names, or no space), EINVAL.
  int Set(std::string_view name, std::string_view value, uint32_t flags);
  // ENODATA.
  int Remove(std::string_view name);
  // nullptr: there is none. Valid until the next change.
  const std::string* Find(std::string_view name) const;
  bool empty() const { return values_.empty(); }

  // Names, each with a NUL, as listxattr(2) gives them; those that start with
  // "trusted." only where `trusted`.
  std::string List(bool trusted) const;

 private:
  static uint64_t Cost(std::string_view name, std::string_view value) {
    return 64 + name.size() + value.size();
  }

  Space& space_;
  size_t list_size_ = 0;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_XATTRS_H_
