#include "fs/memfs/xattrs.h"

#include <errno.h>
#include <sys/xattr.h>

namespace barefuse::memfs {

Xattrs::~Xattrs() {
  for (const auto& [name, value] : values_) space_.GiveBack(Cost(name, value));
}

int Xattrs::Set(std::string_view name, std::string_view value, uint32_t flags) {
  if ((flags & ~uint32_t{XATTR_CREATE | XATTR_REPLACE}) != 0) return EINVAL;
  if (name.empty() || name.size() > kNameMax) return ERANGE;
  if (value.size() > kValueMax) return E2BIG;
  auto it = values_.find(name);
  if (it != values_.end() && (flags & XATTR_CREATE) != 0) return EEXIST;
  if (it == values_.end() && (flags & XATTR_REPLACE) != 0) return ENODATA;
  if (it == values_.end() && list_size_ + name.size() + 1 > kListMax) {
    return ENOSPC;
  }
  if (!space_.Take(Cost(name, value))) return ENOSPC;
  if (it != values_.end()) {
    space_.GiveBack(Cost(name, it->second));
    it->second = value;
    return 0;
  }
  values_.emplace(name, value);
  list_size_ += name.size() + 1;
  return 0;
}

int Xattrs::Remove(std::string_view name) {
  auto it = values_.find(name);
  if (it == values_.end()) return ENODATA;
  space_.GiveBack(Cost(name, it->second));
  list_size_ -= name.size() + 1;
  values_.erase(it);
  return 0;
}

const std::string* Xattrs::Find(std::string_view name) const {
  auto it = values_.find(name);
  return it == values_.end() ? nullptr : &it->second;
}

std::string Xattrs::List(bool trusted) const {
  std::string list;
  list.reserve(list_size_);
  for (const auto& [name, value] : values_) {
    if (!trusted && name.starts_with("trusted.")) continue;
    list.append(name).push_back('\0');
  }
  return list;
}

}  // namespace barefuse::memfs
