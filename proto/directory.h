// The records of READDIR and READDIRPLUS: made by the server, read by the
// kernel.
#ifndef BAREFUSE_PROTO_DIRECTORY_H_
#define BAREFUSE_PROTO_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "kernel_abi/fuse.h"
#include "proto/dialect.h"
#include "proto/replies.h"
#include "proto/requests.h"

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
  // The entry has one size: READDIRPLUS is younger than the shorter one.
  bool AddPlus(const abi::fuse_entry_out& entry, std::string_view name,
               uint32_t type, uint64_t next) {
    return Record(&entry, sizeof entry, name, entry.attr.ino, type, next);
  }

  // Whether an entry whose name has `name_size` bytes would fit.
  bool Fits(size_t name_size) const {
    return RecordSize(0, name_size) <= left();
  }
  bool FitsPlus(size_t name_size) const {
    return RecordSize(sizeof(abi::fuse_entry_out), name_size) <= left();
  }

  // Whether a directory can have the name: not empty, no slash, no NUL, not too
  // long. For one that it cannot the kernel would refuse the whole reply, so it
  // is passed over: adding it is true and writes nothing.
  static bool IsName(std::string_view name) {
    return !name.empty() && name.size() <= kLongNameMax &&
           name.find_first_of(std::string_view("/\0", 2)) == name.npos;
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
    if (!IsName(name)) return true;
    size_t size = RecordSize(entry_size, name.size());
    if (size > left()) return false;
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

// One record.
struct DirectoryEntry {
  std::string_view name;
  uint64_t ino = 0;
  uint64_t next = 0;            // where READDIR goes on behind it
  uint32_t type = 0;            // DT_*
  abi::fuse_entry_out entry{};  // of READDIRPLUS
};

// Walks through the records of a reply. Stricter than the kernel, which passes
// over a record that is cut off and does not look at padding or offsets.
class DirectoryReader {
 public:
  // The longest name of an entry (FUSE_NAME_MAX of the kernel).
  static constexpr uint32_t kNameMax = kLongNameMax;

  // READDIR.
  explicit DirectoryReader(Bytes records) : records_(records) {}
  // READDIRPLUS.
  explicit DirectoryReader(const DirectoryPlusOut& reply)
      : records_(reply.records), entry_size_(sizeof(abi::fuse_entry_out)) {}

  // Goes to the next record. False at the end, or where one is not as it should
  // be: cut off, a name that is empty, too long, or has a slash or a NUL,
  // padding that is not zero, or the offset of the record before it.
  bool Next(DirectoryEntry* entry);
  bool ok() const { return ok_; }
  // Where the walk is, in bytes from the start of the records.
  size_t offset() const { return position_; }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }

  Bytes records_;
  size_t entry_size_ = 0;
  size_t position_ = 0;
  uint64_t last_ = 0;
  bool ok_ = true;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DIRECTORY_H_
