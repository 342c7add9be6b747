// Text in a fixed buffer.
#ifndef BAREFUSE_PROTO_TEXT_H_
#define BAREFUSE_PROTO_TEXT_H_

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace barefuse::proto {

// Appends until the buffer is full, and remembers that it was.
class Text {
 public:
  explicit Text(std::span<char> buffer) : buffer_(buffer) {}

  void Append(std::string_view text) {
    const size_t n = std::min(buffer_.size() - size_, text.size());
    if (n < text.size()) cut_ = true;
    if (n != 0) std::memcpy(buffer_.data() + size_, text.data(), n);
    size_ += n;
  }
  void Append(char c) { Append(std::string_view(&c, 1)); }

  // With leading zeros up to `width` digits.
  template <class Integer>
  void Integral(Integer value, int base = 10, size_t width = 1) {
    char digits[72];
    const char* end =
        std::to_chars(digits, digits + sizeof digits, value, base).ptr;
    const auto size = static_cast<size_t>(end - digits);
    for (size_t i = size; i < width; ++i) Append('0');
    Append({digits, size});
  }

  // "\x1f" and the like.
  void HexByte(unsigned char byte) {
    Integral(static_cast<unsigned>(byte), 16, 2);
  }

  // "1.500000000". What is a second or more of nanoseconds is carried over.
  void Seconds(uint64_t seconds, uint32_t nanoseconds) {
    Integral(seconds + nanoseconds / kNanoseconds);
    Append('.');
    Integral(nanoseconds % kNanoseconds, 10, 9);
  }

  // Seconds since 1970 as "2026-11-24T13:07:00.000000001Z".
  void Timestamp(int64_t seconds, uint32_t nanoseconds);

  bool cut() const { return cut_; }
  std::string_view view() const { return {buffer_.data(), size_}; }
  // The text; where it was cut it ends in "...".
  std::string_view Finish() {
    constexpr std::string_view kCut = "...";
    if (cut_ && buffer_.size() >= kCut.size()) {
      std::memcpy(buffer_.data() + buffer_.size() - kCut.size(), kCut.data(),
                  kCut.size());
    }
    return view();
  }

 private:
  static constexpr uint32_t kNanoseconds = 1'000'000'000;

  std::span<char> buffer_;
  size_t size_ = 0;
  bool cut_ = false;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_TEXT_H_
