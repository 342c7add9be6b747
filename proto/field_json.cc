#include "proto/field_json.h"

namespace barefuse::proto {
namespace {

// The length of the UTF-8 sequence at the front of `bytes`, 0 where there is
// none: neither overlong forms nor surrogates nor what is above U+10FFFF.
size_t Utf8Length(std::string_view bytes) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned lead = at(0);
  const size_t length = lead < 0x80                    ? 1
                        : lead >= 0xc2 && lead <= 0xdf ? 2
                        : lead >= 0xe0 && lead <= 0xef ? 3
                        : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                       : 0;
  if (length == 0 || length > bytes.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const bool wrong =
      (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f) ||
      (lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f);
  return wrong ? 0 : length;
}

}  // namespace

void FieldJson::String(std::string_view bytes) {
  text_.Append('"');
  while (!bytes.empty()) {
    const auto byte = static_cast<unsigned char>(bytes[0]);
    size_t length = Utf8Length(bytes);
    if (byte == '"' || byte == '\\') {
      text_.Append('\\');
      text_.Append(bytes[0]);
    } else if (byte < 0x20 || byte == 0x7f) {
      text_.Append("\\u00");
      text_.HexByte(byte);
    } else if (length == 0) {
      text_.Append("\\udc");
      text_.HexByte(byte);
      length = 1;
    } else {
      text_.Append({bytes.data(), length});
    }
    bytes.remove_prefix(length);
  }
  text_.Append('"');
}

}  // namespace barefuse::proto
