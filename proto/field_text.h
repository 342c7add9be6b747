// A visitor of fields (proto/request_fields.h) that writes " key=value".
#ifndef BAREFUSE_PROTO_FIELD_TEXT_H_
#define BAREFUSE_PROTO_FIELD_TEXT_H_

#include <fcntl.h>

#include <string_view>
#include <utility>

#include "proto/extensions.h"
#include "proto/flag_names.h"
#include "proto/negotiation.h"
#include "proto/requests.h"
#include "proto/text.h"

namespace barefuse::proto {

// How many items of a list, and bytes of data, are shown.
inline constexpr size_t kShownItems = 8;
inline constexpr size_t kShownBytes = 16;

// Calls flag(name) for each flag that is set, and gives what is left over.
// Access modes are values, not bits.
template <class Flag>
uint64_t ForEachFlag(uint64_t value, FlagNames names, Flag flag) {
  if (names.data() == kOpenFlags && (value & O_ACCMODE) == O_RDONLY) {
    flag(std::string_view("O_RDONLY"));
  }
  for (const FlagName& known : names) {
    if (known.mask == 0 || (value & known.mask) != known.mask) continue;
    flag(known.name);
    value &= ~known.mask;
  }
  return value;
}

template <class Flag>
uint64_t ForEachCapability(uint64_t value, Flag flag) {
  for (const Capability& capability : Capabilities()) {
    if ((value & capability.flag) == 0) continue;
    std::string_view name = capability.name;
    name.remove_prefix(std::string_view("FUSE_").size());
    flag(name);
    value &= ~capability.flag;
  }
  return value;
}

class FieldText {
 public:
  explicit FieldText(Text& text) : text_(text) {}

  void Number(std::string_view key, uint64_t value) {
    Key(key);
    text_.Integral(value);
  }
  void Signed(std::string_view key, int64_t value) {
    Key(key);
    text_.Integral(value);
  }
  void Octal(std::string_view key, uint32_t value) {
    Key(key);
    text_.Append('0');
    if (value != 0) text_.Integral(value, 8);
  }
  void Hex(std::string_view key, uint64_t value) {
    Key(key);
    text_.Append("0x");
    text_.Integral(value, 16);
  }
  void Name(std::string_view key, std::string_view value) {
    Key(key);
    Quoted(value);
  }
  void Data(std::string_view key, Bytes bytes) {
    Key(key);
    Shortened(bytes);
  }
  // A time span.
  void Duration(std::string_view key, uint64_t seconds, uint32_t nanoseconds) {
    Key(key);
    if (nanoseconds == 0) {
      text_.Integral(seconds);
    } else {
      text_.Seconds(seconds, nanoseconds);
    }
    text_.Append('s');
  }
  // A point in time; seconds before 1970 are negative.
  void Timestamp(std::string_view key, int64_t seconds, uint32_t nanoseconds) {
    Key(key);
    text_.Timestamp(seconds, nanoseconds);
  }
  void Flags(std::string_view key, uint64_t value, FlagNames names) {
    if (value == 0 && names.data() != kOpenFlags) return;
    Key(key);
    bool first = true;
    Rest(ForEachFlag(value, names, [&](auto name) { Flag(name, &first); }),
         &first);
  }
  void Capabilities(std::string_view key, uint64_t value) {
    Key(key);
    bool first = true;
    Rest(ForEachCapability(value, [&](auto name) { Flag(name, &first); }),
         &first);
    if (first) text_.Append('0');
  }
  // item(i) gives a number, or a pair of them.
  template <class Item>
  void List(std::string_view key, size_t size, Item item) {
    Key(key);
    text_.Append('[');
    for (size_t i = 0; i < size && i < kShownItems; ++i) {
      if (i != 0) text_.Append(' ');
      Show(item(i));
    }
    if (size > kShownItems) text_.Append(" ..");
    text_.Append(']');
  }
  void Contexts(std::string_view key, const Extensions& extensions) {
    ExtensionReader reader(extensions);
    while (reader.Next()) {
      if (reader.kind() != ExtensionReader::Kind::kSecurityContext) continue;
      Key(key);
      Quoted(reader.context().name);
      text_.Append(':');
      Shortened(reader.context().value);
    }
  }

 private:
  void Key(std::string_view key) {
    text_.Append(' ');
    text_.Append(key);
    text_.Append('=');
  }
  void Show(uint64_t value) { text_.Integral(value); }
  void Show(std::pair<uint64_t, uint64_t> value) {
    text_.Integral(value.first);
    text_.Append(':');
    text_.Integral(value.second);
  }
  void Flag(std::string_view name, bool* first) {
    if (!std::exchange(*first, false)) text_.Append('|');
    text_.Append(name);
  }
  void Rest(uint64_t value, bool* first) {
    if (value == 0) return;
    Flag("0x", first);
    text_.Integral(value, 16);
  }
  void Shortened(Bytes bytes) {
    const size_t shown = std::min(kShownBytes, bytes.size());
    Quoted({reinterpret_cast<const char*>(bytes.data()), shown});
    if (shown < bytes.size()) text_.Append("..");
  }
  void Quoted(std::string_view bytes) {
    text_.Append('"');
    for (char c : bytes) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        text_.Append('\\');
        text_.Append(c);
      } else if (byte >= 0x20 && byte < 0x7f) {
        text_.Append(c);
      } else {
        text_.Append("\\x");
        text_.HexByte(byte);
      }
    }
    text_.Append('"');
  }

  Text& text_;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_FIELD_TEXT_H_
