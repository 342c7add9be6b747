// The records of READDIR and READDIRPLUS.
#ifndef BAREFUSE_PROTO_DIRECTORY_H_
#define BAREFUSE_PROTO_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "kernel_abi/fuse.h"
#include "proto/dialect.h"

namespace barefuse::proto {

// Fills a buffer with records, each padded to 8 bytes, never beyond its end.
// The kernel reads them until one does not fit in what it asked for; an entry
// that was not added is asked for again, from the offset of the last that was.
class DirectoryWriter {
 public:
  DirectoryWriter() = default;
  explicit DirectoryWriter(std::span<std::byte> buffer) : buffer_(buffer) {}

  // Adds one entry of READDIR. `next` is where reading goes on after it; `type`
  // is DT_*. False: it does not fit, nothing was written.
  bool Add(std::string_view name, uint64_t ino, uint32_t type, uint64_t next) {
    return Record(nullptr, 0, name, ino, type, next);
  }

  // Adds one entry of READDIRPLUS. Where entry.nodeid is not 0 and the name is
  // neither "." nor "..", the kernel takes one lookup of the node.
  bool AddPlus(const Dialect& dialect, const abi::fuse_entry_out& entry,
               std::string_view name, uint32_t type, uint64_t next) {
    return Record(&entry, dialect.EntryOutSize(), name, entry.attr.ino, type,
                  next);
  }

  // Whether an entry whose name has `name_size` bytes would fit.
  bool Fits(size_t name_size) const {
    return RecordSize(0, name_size) <= left();
  }
  bool FitsPlus(const Dialect& dialect, size_t name_size) const {
    return RecordSize(dialect.EntryOutSize(), name_size) <= left();
  }

  size_t size() const { return size_; }
  size_t left() const { return buffer_.size() - size_; }

 private:
  static size_t RecordSize(size_t entry_size, size_t name_size) {
    return (entry_size + abi::FUSE_NAME_OFFSET + name_size + 7) & ~size_t{7};
  }

  bool Record(const abi::fuse_entry_out* entry, size_t entry_size,
              std::string_view name, uint64_t ino, uint32_t type,
              uint64_t next) {
    size_t size = RecordSize(entry_size, name.size());
    if (name.empty() || size > left()) return false;
    std::byte* to = buffer_.data() + size_;
    std::memset(to + size - 8, 0, 8);  // the padding
    if (entry_size != 0) std::memcpy(to, entry, entry_size);
    abi::fuse_dirent dirent{ino, next, static_cast<uint32_t>(name.size()),
                            type};
    std::memcpy(to + entry_size, &dirent, sizeof dirent);
    std::memcpy(to + entry_size + sizeof dirent, name.data(), name.size());
    size_ += size;
    return true;
  }

  std::span<std::byte> buffer_;
  size_t size_ = 0;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DIRECTORY_H_
