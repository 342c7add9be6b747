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

// Where a kind of handle has its numbers. Kinds are told apart by type and
// size, which the kernel never gives another meaning, since handles outlive it.
struct Layout {
  int32_t type;
  uint8_t size;
  uint8_t ino, ino_size;  // where, and how many bytes
  uint8_t generation;     // 4 bytes
};
constexpr Layout kLayouts[] = {
    {0x01, 8, 0, 4, 4},    // FILEID_INO32_GEN: ext4, f2fs, small xfs
    {0x01, 12, 4, 8, 0},   // tmpfs
    {0x81, 12, 0, 8, 8},   // xfs
    {0x4d, 20, 0, 8, 16},  // btrfs; between the two, the subvolume
};
constexpr int kInoBits = 31;

const Layout* LayoutOf(int32_t type, size_t size) {
  for (const Layout& layout : kLayouts) {
    if (layout.type == type && layout.size == size) return &layout;
  }
  return nullptr;
}

}  // namespace

std::optional<uint64_t> FileHandle::Packed(const FileHandle& root) const {
  const Layout* layout = LayoutOf(type_, size_);
  if (layout == nullptr || type_ != root.type_ || size_ != root.size_) {
    return std::nullopt;
  }
  // Both are little-endian in the handle as in memory, where this runs.
  uint64_t ino = 0;
  uint32_t generation = 0;
  std::memcpy(&ino, bytes_ + layout->ino, layout->ino_size);
  std::memcpy(&generation, bytes_ + layout->generation, sizeof generation);
  if (ino >> kInoBits != 0) return std::nullopt;
  const uint64_t packed = uint64_t{generation} << kInoBits | ino;
  // What is in neither must be the root's too.
  return Unpacked(packed, root) == *this ? std::optional(packed) : std::nullopt;
}

FileHandle FileHandle::Unpacked(uint64_t packed, const FileHandle& root) {
  FileHandle handle = root;
  const Layout* layout = LayoutOf(root.type_, root.size_);
  if (layout == nullptr) return handle;
  const uint64_t ino = packed & ((uint64_t{1} << kInoBits) - 1);
  const auto generation = static_cast<uint32_t>(packed >> kInoBits);
  std::memcpy(handle.bytes_ + layout->ino, &ino, layout->ino_size);
  std::memcpy(handle.bytes_ + layout->generation, &generation,
              sizeof generation);
  return handle;
}

FileHandle FileHandle::Of(int fd, uint64_t device, uint64_t ino, bool pinned,
                          uint64_t name) {
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
    const uint64_t parts[] = {device, ino, name};
    static_assert(sizeof parts <= kMaxBytes);
    handle.size_ = sizeof parts;
    std::memcpy(handle.bytes_, parts, sizeof parts);
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
