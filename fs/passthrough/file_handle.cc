#include "fs/passthrough/file_handle.h"

#include <errno.h>
#include <fcntl.h>

namespace barefuse {
namespace {

// struct file_handle has a flexible array, for which this leaves room.
struct Buffer {
  alignas(file_handle) unsigned char bytes[sizeof(file_handle) +
                                           FileHandle::kMaxBytes];
  file_handle* get() { return reinterpret_cast<file_handle*>(bytes); }
};

}  // namespace

FileHandle FileHandle::Of(int fd, uint64_t device, uint64_t ino, bool pinned) {
  FileHandle handle;
  Buffer buffer;
  buffer.get()->handle_bytes = kMaxBytes;
  int mount_id;
  if (!pinned &&
      name_to_handle_at(fd, "", buffer.get(), &mount_id, AT_EMPTY_PATH) == 0) {
    handle.type_ = buffer.get()->handle_type;
    handle.size_ = static_cast<uint8_t>(buffer.get()->handle_bytes);
    std::memcpy(handle.bytes_, buffer.get()->f_handle, handle.size_);
  } else {
    // One mount can show several devices (btrfs subvolumes, overlayfs).
    handle.size_ = sizeof device + sizeof ino;
    std::memcpy(handle.bytes_, &device, sizeof device);
    std::memcpy(handle.bytes_ + sizeof device, &ino, sizeof ino);
  }
  return handle;
}

UniqueFd FileHandle::Open(int mount) const {
  Buffer buffer;
  buffer.get()->handle_bytes = size_;
  buffer.get()->handle_type = type_;
  std::memcpy(buffer.get()->f_handle, bytes_, size_);
  return UniqueFd(open_by_handle_at(mount, buffer.get(), O_PATH | O_CLOEXEC));
}

}  // namespace barefuse
