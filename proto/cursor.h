// A checked reader over the bytes of one span of a message.
#ifndef BAREFUSE_PROTO_CURSOR_H_
#define BAREFUSE_PROTO_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "proto/error.h"
#include "proto/requests.h"

namespace barefuse::proto {

// Reads from the front of `bytes`. The first fault sticks: reads after it
// give zeros and empty views, so a decode function reads straight on and the
// caller asks once at the end. Never reads outside the bytes.
class Cursor {
 public:
  // `base` is where `bytes` starts in the message, for fault offsets.
  Cursor(Bytes bytes, size_t base) : bytes_(bytes), base_(base) {}

  bool ok() const { return fault_ == Fault::kNone; }
  Fault fault() const { return fault_; }
  // Where the fault was found, in bytes from the start of the message.
  uint32_t offset() const { return static_cast<uint32_t>(base_ + position_); }
  size_t left() const { return bytes_.size() - position_; }

  void Fail(Fault fault) {
    if (ok()) fault_ = fault;
  }

  // A struct by copy.
  template <class T>
  void Struct(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (ok() && sizeof(T) <= left()) {
      // The size is known to the compiler: no call.
      std::memcpy(value, bytes_.data() + position_, sizeof(T));
      position_ += sizeof(T);
    } else {
      *value = T{};
      Fail(Fault::kTooShort);
    }
  }

  // The first `size` bytes of a struct; what an older kernel does not send is
  // zero. Requires size <= sizeof(T).
  template <class T>
  void Prefix(T* value, size_t size) {
    if (size == sizeof(T)) return Struct(value);
    *value = T{};
    if (!ok()) return;
    if (size > left()) return Fail(Fault::kTooShort);
    // An empty span's data() may be null, which memcpy does not take.
    if (size != 0) std::memcpy(value, bytes_.data() + position_, size);
    position_ += size;
  }

  // A name: NUL-terminated, at least one byte, at most `max`, without slash.
  std::string_view Name(size_t max) {
    std::string_view name = CString(max);
    if (!ok()) return name;
    if (name.empty()) return Reject(name, Fault::kEmptyName);
    if (std::memchr(name.data(), '/', name.size()) != nullptr) {
      return Reject(name, Fault::kSlashInName);
    }
    return name;
  }

  // A string without NUL of at most `max` bytes and its NUL.
  std::string_view CString(size_t max) {
    if (!ok()) return {};
    const char* start =
        reinterpret_cast<const char*>(bytes_.data()) + position_;
    const void* nul = left() == 0 ? nullptr : std::memchr(start, 0, left());
    if (nul == nullptr) {
      Fail(Fault::kMissingNul);
      return {};
    }
    size_t length = static_cast<size_t>(static_cast<const char*>(nul) - start);
    if (length > max) {
      Fail(Fault::kNameTooLong);
      return {};
    }
    position_ += length + 1;
    return {start, length};
  }

  // `count` bytes, where `count` came from the wire.
  Bytes Take(uint64_t count) {
    if (!ok()) return {};
    if (count > left()) {
      Fail(Fault::kCountTooLarge);
      return {};
    }
    Bytes taken = bytes_.subspan(position_, static_cast<size_t>(count));
    position_ += static_cast<size_t>(count);
    return taken;
  }

  Bytes Rest() { return Take(left()); }

  // The next bytes, still to be read. Requires count <= left().
  Bytes Peek(size_t count) const { return bytes_.subspan(position_, count); }
  // Passes over bytes. Requires count <= left().
  void Skip(size_t count) { position_ += count; }

  // Nothing may be left.
  void End() {
    if (ok() && left() != 0) Fail(Fault::kTrailingBytes);
  }

 private:
  std::string_view Reject(std::string_view name, Fault fault) {
    position_ -= name.size() + 1;  // the fault is where the name starts
    Fail(fault);
    return {};
  }

  Bytes bytes_;
  size_t base_;
  size_t position_ = 0;
  Fault fault_ = Fault::kNone;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_CURSOR_H_
