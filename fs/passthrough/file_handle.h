// What tells an inode of the source from all others, now and later.
#ifndef BAREFUSE_FS_PASSTHROUGH_FILE_HANDLE_H_
#define BAREFUSE_FS_PASSTHROUGH_FILE_HANDLE_H_

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "server/unique_fd.h"

namespace barefuse {

// A file handle as name_to_handle_at(2) gives it, with which an inode is opened
// again without a descriptor being kept. Where the filesystem has none, or a
// longer one, it is the inode number: that tells inodes apart only while each
// is held open ("pinned"). A value, compared and hashed by its bytes.
class FileHandle {
 public:
  static constexpr size_t kMaxBytes = 24;

  FileHandle() = default;
  // Of the inode that the O_PATH descriptor `fd` is of, and whose device and
  // number are these; those alone where `pinned`.
  static FileHandle Of(int fd, uint64_t device, uint64_t ino, bool pinned);

  bool pinned() const { return type_ == kPinned; }
  // An O_PATH descriptor of the inode on the mount that `mount` is a directory
  // of, or an empty one and errno; ESTALE: the inode is gone. Takes
  // CAP_DAC_READ_SEARCH. Not for pinned ones.
  UniqueFd Open(int mount) const;

  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(bytes_), size_};
  }
  bool operator==(const FileHandle& other) const {
    return type_ == other.type_ && bytes() == other.bytes();
  }
  template <class H>
  friend H AbslHashValue(H h, const FileHandle& handle) {
    h = H::combine_contiguous(std::move(h), handle.bytes_, handle.size_);
    return H::combine(std::move(h), handle.type_, handle.size_);
  }

 private:
  static constexpr int32_t kPinned = -1;

  int32_t type_ = kPinned;
  uint8_t size_ = 0;
  unsigned char bytes_[kMaxBytes] = {};
};

}  // namespace barefuse

#endif  // BAREFUSE_FS_PASSTHROUGH_FILE_HANDLE_H_
