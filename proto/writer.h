// A checked writer into the bytes of a message, the counterpart of Cursor.
#ifndef BAREFUSE_PROTO_WRITER_H_
#define BAREFUSE_PROTO_WRITER_H_

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "proto/error.h"
#include "proto/requests.h"

namespace barefuse::proto {

// Appends to `buffer`. The first fault sticks, and nothing is written from then
// on. Never writes outside the buffer.
class Writer {
 public:
  explicit Writer(std::span<std::byte> buffer) : buffer_(buffer) {}

  bool ok() const { return fault_ == Fault::kNone; }
  size_t size() const { return size_; }
  void Fail(Fault fault) {
    if (ok()) fault_ = fault;
  }

  // Leaves room; At() fills it in.
  size_t Skip(size_t size) {
    const size_t place = size_;
    if (Fits(size)) size_ += size;
    return place;
  }
  // Requires that place + size lies in what has been written or skipped.
  void At(size_t place, const void* from, size_t size) {
    if (ok() && size != 0) std::memcpy(buffer_.data() + place, from, size);
  }
  // The first `size` bytes of a struct.
  template <class T>
  void Struct(const T& value, size_t size = sizeof(T)) {
    static_assert(std::is_trivially_copyable_v<T>);
    At(Skip(size), &value, size);
  }
  void Raw(Bytes bytes) { At(Skip(bytes.size()), bytes.data(), bytes.size()); }
  // A string and its NUL.
  void CString(std::string_view text, size_t max) {
    if (text.size() > max) return Fail(Fault::kNameTooLong);
    if (text.find('\0') != text.npos) return Fail(Fault::kNulInName);
    const size_t place = Skip(text.size() + 1);
    At(place, text.data(), text.size());
    At(place + text.size(), "", 1);
  }
  // A name of a directory entry.
  void Name(std::string_view name, size_t max) {
    if (name.empty()) return Fail(Fault::kEmptyName);
    if (name.find('/') != name.npos) return Fail(Fault::kSlashInName);
    CString(name, max);
  }

  Encoded result() const {
    return {fault_, ok() ? static_cast<uint32_t>(size_) : 0};
  }

 private:
  bool Fits(size_t size) {
    if (ok() && size > buffer_.size() - size_) Fail(Fault::kNoRoom);
    return ok();
  }

  std::span<std::byte> buffer_;
  size_t size_ = 0;
  Fault fault_ = Fault::kNone;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_WRITER_H_
