#include "proto/describe.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <type_traits>

#include "proto/encode_reply.h"
#include "proto/fields.h"
#include "proto/negotiation.h"

namespace barefuse::proto {
namespace {

// Appends to a buffer until it is full, and says so at its end.
class Text {
 public:
  explicit Text(std::span<char> buffer) : buffer_(buffer) {}

  void Append(std::string_view text) {
    size_t room = buffer_.size() - size_;
    if (text.size() > room) cut_ = true;
    size_t n = std::min(room, text.size());
    if (n != 0) std::memcpy(buffer_.data() + size_, text.data(), n);
    size_ += n;
  }
  void Append(char c) { Append(std::string_view(&c, 1)); }

  template <class Integer>
  void Integral(Integer value, int base = 10) {
    char digits[72];
    auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
    Append({digits, static_cast<size_t>(end - digits)});
  }

  // In quotes, with everything but printable ASCII escaped.
  void Quoted(std::string_view bytes) {
    Append('"');
    for (char c : bytes) {
      auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        Append('\\');
        Append(c);
      } else if (byte >= 0x20 && byte < 0x7f) {
        Append(c);
      } else {
        constexpr char kHex[] = "0123456789abcdef";
        char escaped[] = {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
        Append({escaped, sizeof escaped});
      }
    }
    Append('"');
  }

  std::string_view Finish() {
    constexpr std::string_view kCut = "...";
    if (cut_ && buffer_.size() >= kCut.size()) {
      std::memcpy(buffer_.data() + buffer_.size() - kCut.size(), kCut.data(),
                  kCut.size());
    }
    return {buffer_.data(), size_};
  }

 private:
  std::span<char> buffer_;
  size_t size_ = 0;
  bool cut_ = false;
};

// " key=value" for every field.
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
  void Name(std::string_view key, std::string_view value) {
    Key(key);
    text_.Quoted(value);
  }
  void Data(std::string_view key, Bytes bytes) {
    constexpr size_t kShown = 16;
    Key(key);
    size_t shown = std::min(kShown, bytes.size());
    text_.Quoted({reinterpret_cast<const char*>(bytes.data()), shown});
    if (shown < bytes.size()) text_.Append("..");
  }
  void Time(std::string_view key, uint64_t seconds, uint32_t nanoseconds) {
    Key(key);
    text_.Integral(static_cast<int64_t>(seconds));
    if (nanoseconds == 0) return;
    text_.Append('.');
    char digits[10];
    auto end = std::to_chars(digits, digits + sizeof digits, nanoseconds).ptr;
    for (auto i = end - digits; i < 9; ++i) text_.Append('0');
    text_.Append({digits, static_cast<size_t>(end - digits)});
  }
  void Flags(std::string_view key, uint64_t value, FlagNames names) {
    if (value == 0 && names.data() != kOpenFlags) return;
    Key(key);
    bool first = true;
    if (names.data() == kOpenFlags && (value & O_ACCMODE) == O_RDONLY) {
      Flag("O_RDONLY", &first);
    }
    for (const FlagName& flag : names) {
      if ((value & flag.mask) != flag.mask) continue;
      Flag(flag.name, &first);
      value &= ~flag.mask;
    }
    if (value != 0) Unknown(value, &first);
  }
  void Capabilities(std::string_view key, uint64_t value) {
    Key(key);
    bool first = true;
    for (const Capability& capability : proto::Capabilities()) {
      if ((value & capability.flag) == 0) continue;
      std::string_view name = capability.name;
      name.remove_prefix(std::strlen("FUSE_"));
      Flag(name, &first);
      value &= ~capability.flag;
    }
    if (value != 0 || first) Unknown(value, &first);
  }

 private:
  void Key(std::string_view key) {
    text_.Append(' ');
    text_.Append(key);
    text_.Append('=');
  }
  void Flag(std::string_view name, bool* first) {
    if (!*first) text_.Append('|');
    *first = false;
    text_.Append(name);
  }
  void Unknown(uint64_t value, bool* first) {
    Flag("0x", first);
    text_.Integral(value, 16);
  }

  Text& text_;
};

void Start(Text& text, uint64_t unique, uint32_t opcode) {
  text.Append('#');
  text.Integral(unique);
  text.Append(' ');
  if (const Operation* operation = FindOperation(opcode)) {
    text.Append(operation->name);
  } else {
    text.Append("opcode ");
    text.Integral(opcode);
  }
}

// The fixed struct of a reply, completed with zeros where it is a shorter one
// of an older version.
template <class T>
void ReplyFields(Text& text, Bytes body) {
  T out{};
  std::memcpy(&out, body.data(), std::min(sizeof out, body.size()));
  FieldText fields(text);
  Fields(fields, out);
}

void CreateFields(Text& text, Bytes body, const Dialect& dialect) {
  size_t entry = std::min(dialect.EntryOutSize(), body.size());
  ReplyFields<abi::fuse_entry_out>(text, body.first(entry));
  ReplyFields<abi::fuse_open_out>(text, body.subspan(entry));
}

void BodyFields(Text& text, ReplyKind kind, Bytes body,
                const Dialect& dialect) {
  switch (kind) {
    case ReplyKind::kInit:
      return ReplyFields<abi::fuse_init_out>(text, body);
    case ReplyKind::kEntry:
      return ReplyFields<abi::fuse_entry_out>(text, body);
    case ReplyKind::kAttr:
      return ReplyFields<abi::fuse_attr_out>(text, body);
    case ReplyKind::kStatx:
      return ReplyFields<abi::fuse_statx_out>(text, body);
    case ReplyKind::kOpen:
      return ReplyFields<abi::fuse_open_out>(text, body);
    case ReplyKind::kCreate:
      return CreateFields(text, body, dialect);
    case ReplyKind::kWrite:
      return ReplyFields<abi::fuse_write_out>(text, body);
    case ReplyKind::kStatfs:
      return ReplyFields<abi::fuse_statfs_out>(text, body);
    case ReplyKind::kXattr:
      return ReplyFields<abi::fuse_getxattr_out>(text, body);
    case ReplyKind::kLock:
      return ReplyFields<abi::fuse_lk_out>(text, body);
    case ReplyKind::kBmap:
      return ReplyFields<abi::fuse_bmap_out>(text, body);
    case ReplyKind::kIoctl:
      return ReplyFields<abi::fuse_ioctl_out>(text, body);
    case ReplyKind::kPoll:
      return ReplyFields<abi::fuse_poll_out>(text, body);
    case ReplyKind::kLseek:
      return ReplyFields<abi::fuse_lseek_out>(text, body);
    case ReplyKind::kCopyFileRange:
      return ReplyFields<abi::fuse_copy_file_range_out>(text, body);
    case ReplyKind::kNone:
    case ReplyKind::kEmpty:
    case ReplyKind::kData:
    case ReplyKind::kDirectory:
    case ReplyKind::kDirectoryPlus:
    case ReplyKind::kCuseInit:
      return;
  }
}

}  // namespace

std::string_view DescribeRequest(const Request& request,
                                 std::span<char> buffer) {
  Text text(buffer);
  const abi::fuse_in_header& header = request.header;
  Start(text, header.unique, header.opcode);
  FieldText fields(text);
  fields.Number("node", header.nodeid);
  const Operation* operation = FindOperation(header.opcode);
  if (operation != nullptr && operation->caller == Caller::kCaller) {
    fields.Number("uid", header.uid);
    fields.Number("gid", header.gid);
    fields.Number("pid", header.pid);
  }
  std::visit(
      [&](const auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (kOperationOf<Op> != nullptr) Fields(fields, op);
      },
      request.operation);
  return text.Finish();
}

std::string_view DescribeReply(uint32_t opcode, Bytes head, size_t data_size,
                               const Dialect& dialect, std::span<char> buffer) {
  Text text(buffer);
  abi::fuse_out_header header{};
  if (head.size() < sizeof header) return text.Finish();
  std::memcpy(&header, head.data(), sizeof header);
  Start(text, header.unique, opcode);
  text.Append(" = ");
  if (header.error != 0) {
    const char* name = strerrorname_np(-header.error);
    if (name != nullptr) {
      text.Append(name);
    } else {
      text.Append("error ");
      text.Integral(header.error);
    }
    return text.Finish();
  }
  text.Append("OK");
  Bytes body = head.subspan(sizeof header);
  const Operation* operation = FindOperation(opcode);
  if (operation != nullptr && !body.empty()) {
    BodyFields(text, operation->reply, body, dialect);
  }
  if (data_size != 0) FieldText(text).Number("data", data_size);
  return text.Finish();
}

}  // namespace barefuse::proto
