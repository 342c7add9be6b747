// Whether a text is JSON (RFC 8259), for tests of what writes it.
#ifndef BAREFUSE_TESTS_CODEC_JSON_CHECKER_H_
#define BAREFUSE_TESTS_CODEC_JSON_CHECKER_H_

#include <cctype>
#include <set>
#include <string>
#include <string_view>

namespace barefuse::testing {

// Parses one value and remembers whether all was well. Names of members must
// differ within an object.
class JsonChecker {
 public:
  explicit JsonChecker(std::string_view text) : text_(text) {}

  bool Check() { return Value() && at_ == text_.size(); }

 private:
  bool Is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool Take(char c) {
    if (!Is(c)) return false;
    ++at_;
    return true;
  }
  bool Digits() {
    const size_t start = at_;
    while (at_ < text_.size() && std::isdigit(Byte())) ++at_;
    return at_ > start;
  }
  unsigned char Byte() const { return static_cast<unsigned char>(text_[at_]); }

  bool Value() {
    if (Is('{')) return Object();
    if (Is('[')) return Array();
    if (Is('"')) return String(nullptr);
    return Number();
  }
  bool Number() {
    Take('-');
    const bool zero = Is('0');
    const size_t start = at_;
    if (!Digits() || (zero && at_ != start + 1)) return false;
    return !Take('.') || Digits();
  }
  bool String(std::string* value) {
    if (!Take('"')) return false;
    const size_t start = at_;
    while (at_ < text_.size() && !Is('"')) {
      if (Byte() < 0x20) return false;
      if (!Take('\\')) {
        ++at_;
      } else if (Take('u')) {
        for (int i = 0; i < 4; ++i, ++at_) {
          if (at_ >= text_.size() || !std::isxdigit(Byte())) return false;
        }
      } else if (!Take('"') && !Take('\\')) {
        return false;
      }
    }
    if (value != nullptr) *value = text_.substr(start, at_ - start);
    return Take('"');
  }
  bool Array() {
    Take('[');
    if (Take(']')) return true;
    do {
      if (!Value()) return false;
    } while (Take(','));
    return Take(']');
  }
  bool Object() {
    Take('{');
    if (Take('}')) return true;
    std::set<std::string> names;
    do {
      std::string name;
      if (!String(&name) || !names.insert(name).second || !Take(':') ||
          !Value()) {
        return false;
      }
    } while (Take(','));
    return Take('}');
  }

  std::string_view text_;
  size_t at_ = 0;
};

inline bool IsJson(std::string_view text) { return JsonChecker(text).Check(); }

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_CODEC_JSON_CHECKER_H_
