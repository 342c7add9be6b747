// A visitor of fields (proto/request_fields.h) that writes JSON members.
#ifndef BAREFUSE_PROTO_FIELD_JSON_H_
#define BAREFUSE_PROTO_FIELD_JSON_H_

#include <string_view>
#include <utility>

#include "proto/field_text.h"

namespace barefuse::proto {

class FieldJson {
 public:
  explicit FieldJson(Text& text) : text_(text) {}

  void Number(std::string_view key, uint64_t value) {
    Key(key);
    text_.Integral(value);
  }
  void Signed(std::string_view key, int64_t value) {
    Key(key);
    text_.Integral(value);
  }
  // Modes and masks are numbers to a program.
  void Octal(std::string_view key, uint32_t value) { Number(key, value); }
  void Hex(std::string_view key, uint64_t value) { Number(key, value); }
  void Name(std::string_view key, std::string_view value) {
    Key(key);
    String(value);
  }
  // {"size": all of it, "head": the first bytes in hexadecimal}
  void Data(std::string_view key, Bytes bytes) {
    Key(key);
    DataObject(bytes);
  }
  // Seconds.
  void Duration(std::string_view key, uint64_t seconds, uint32_t nanoseconds) {
    Key(key);
    text_.Seconds(seconds, nanoseconds);
  }
  void Timestamp(std::string_view key, int64_t seconds, uint32_t nanoseconds) {
    Key(key);
    text_.Append('"');
    text_.Timestamp(seconds, nanoseconds);
    text_.Append('"');
  }
  // An array of names; flags without a name as one more, in hexadecimal.
  void Flags(std::string_view key, uint64_t value, FlagNames names) {
    Key(key);
    Open('[');
    Rest(ForEachFlag(value, names, [this](auto name) { Element(name); }));
    Close(']');
  }
  void Capabilities(std::string_view key, uint64_t value) {
    Key(key);
    Open('[');
    Rest(ForEachCapability(value, [this](auto name) { Element(name); }));
    Close(']');
  }
  template <class Item>
  void List(std::string_view key, size_t size, Item item) {
    Key(key);
    Open('[');
    for (size_t i = 0; i < size && i < kShownItems; ++i) {
      Separate();
      Show(item(i));
    }
    Close(']');
  }
  void Contexts(std::string_view key, const Extensions& extensions) {
    Key(key);
    Open('[');
    ExtensionReader reader(extensions);
    while (reader.Next()) {
      if (reader.kind() != ExtensionReader::Kind::kSecurityContext) continue;
      Separate();
      Open('{');
      Name("name", reader.context().name);
      Data("value", reader.context().value);
      Close('}');
    }
    Close(']');
  }

  // --- The objects around the fields ---

  void Open(char bracket) {
    text_.Append(bracket);
    first_ = true;
  }
  void Close(char bracket) {
    text_.Append(bracket);
    first_ = false;
  }
  void Key(std::string_view key) {
    Separate();
    text_.Append('"');
    text_.Append(key);  // ours, nothing to escape
    text_.Append("\":");
  }

 private:
  void Separate() {
    if (!std::exchange(first_, false)) text_.Append(',');
  }
  void Element(std::string_view name) {
    Separate();
    String(name);
  }
  void Rest(uint64_t value) {
    if (value == 0) return;
    Separate();
    text_.Append("\"0x");
    text_.Integral(value, 16);
    text_.Append('"');
  }
  void Show(uint64_t value) { text_.Integral(value); }
  void Show(std::pair<uint64_t, uint64_t> value) {
    text_.Append('[');
    text_.Integral(value.first);
    text_.Append(',');
    text_.Integral(value.second);
    text_.Append(']');
  }
  void DataObject(Bytes bytes) {
    Open('{');
    Number("size", bytes.size());
    Key("head");
    text_.Append('"');
    for (std::byte byte : bytes.first(std::min(kShownBytes, bytes.size()))) {
      text_.HexByte(static_cast<unsigned char>(byte));
    }
    text_.Append('"');
    Close('}');
  }
  // UTF-8 as it is; what is none, byte for byte as a lone surrogate.
  void String(std::string_view bytes);

  Text& text_;
  bool first_ = true;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_FIELD_JSON_H_
