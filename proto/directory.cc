#include "proto/directory.h"

#include <algorithm>

#include "proto/cursor.h"

namespace barefuse::proto {

bool DirectoryReader::Next(DirectoryEntry* entry) {
  if (!ok_ || position_ == records_.size()) return false;
  Cursor cursor(records_.subspan(position_), position_);
  abi::fuse_dirent dirent;
  cursor.Prefix(&entry->entry, entry_size_);
  cursor.Struct(&dirent);
  const Bytes name = cursor.Take(dirent.namelen);
  const size_t size = entry_size_ + abi::FUSE_NAME_OFFSET + name.size();
  const Bytes padding = cursor.Take((8 - size % 8) % 8);
  if (!cursor.ok() || name.empty() || name.size() > kNameMax ||
      dirent.off == last_) {
    return Fail();
  }
  auto has = [](Bytes bytes, char c) {
    return std::find(bytes.begin(), bytes.end(), static_cast<std::byte>(c)) !=
           bytes.end();
  };
  if (has(name, '/') || has(name, '\0') ||
      std::any_of(padding.begin(), padding.end(),
                  [](std::byte b) { return b != std::byte{0}; })) {
    return Fail();
  }
  entry->name = {reinterpret_cast<const char*>(name.data()), name.size()};
  entry->ino = dirent.ino;
  entry->next = last_ = dirent.off;
  entry->type = dirent.type;
  position_ += size + padding.size();
  return true;
}

}  // namespace barefuse::proto
