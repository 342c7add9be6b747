#include "proto/encode_request.h"

#include <limits>

#include "proto/extensions.h"
#include "proto/request_layout.h"
#include "proto/writer.h"

namespace barefuse::proto {
namespace {

// Makes the bytes of one request. The header and the fixed struct hold counts
// of what comes behind them, so they are filled in at the end.
class RequestWriter {
 public:
  RequestWriter(std::span<std::byte> buffer, const Dialect& dialect,
                const Operation& operation)
      : writer_(buffer), dialect_(dialect), operation_(operation) {
    writer_.Skip(sizeof(abi::fuse_in_header));
  }

  // `value` must live until End(), or nothing may follow.
  template <class T>
  void Fixed(T& value) {
    fixed_ = &value;
    fixed_size_ = dialect_.SentSize(operation_);
    fixed_place_ = writer_.Skip(fixed_size_);
    writer_.At(fixed_place_, fixed_, fixed_size_);
  }
  void Init(abi::fuse_init_in& value) { Fixed(value); }
  void Name(std::string_view& name) { writer_.Name(name, dialect_.name_max); }
  void Attribute(std::string_view& name) {
    if (name.empty()) return writer_.Fail(Fault::kEmptyName);
    writer_.CString(name, dialect_.name_max);
  }
  void Text(std::string_view& text) { writer_.CString(text, kLongNameMax); }
  void Data(Bytes& data, uint32_t& size) {
    Count(data.size(), size);
    writer_.Raw(data);
  }
  template <class T>
  void Array(WireArray<T>& items, uint32_t& count) {
    Count(items.size(), count);
    // Not what is no whole item, if there is such a rest.
    writer_.Raw(items.bytes().first(items.size() * sizeof(T)));
  }
  void Extensions(proto::Extensions& extensions) {
    const size_t size = extensions.bytes.size();
    size_t bad;
    const bool possible =
        dialect_.HasExtensionLength() || dialect_.Has(abi::FUSE_SECURITY_CTX);
    if ((size != 0 && !possible) || !CheckExtensions(extensions.bytes, &bad) ||
        (dialect_.HasExtensionLength() &&
         (size % 8 != 0 || size / 8 > std::numeric_limits<uint16_t>::max()))) {
      return writer_.Fail(Fault::kBadExtension);
    }
    extension_size_ = size;
    writer_.Raw(extensions.bytes);
  }

  Encoded End(abi::fuse_in_header header) {
    if (fixed_ != nullptr && operation_.payload != Payload::kNone) {
      writer_.At(fixed_place_, fixed_, fixed_size_);
    }
    if (header.unique == 0 && operation_.owed == Owed::kReply) {
      writer_.Fail(Fault::kZeroUnique);
    }
    header.opcode = operation_.opcode;
    header.len = static_cast<uint32_t>(writer_.size());
    header.total_extlen = static_cast<uint16_t>(
        dialect_.HasExtensionLength() ? extension_size_ / 8 : 0);
    writer_.At(0, &header, sizeof header);
    return writer_.result();
  }

 private:
  void Count(size_t found, uint32_t& count) {
    if (found > std::numeric_limits<uint32_t>::max()) {
      return writer_.Fail(Fault::kCountTooLarge);
    }
    count = static_cast<uint32_t>(found);
  }

  Writer writer_;
  const Dialect& dialect_;
  const Operation& operation_;
  const void* fixed_ = nullptr;
  size_t fixed_place_ = 0;
  size_t fixed_size_ = 0;
  size_t extension_size_ = 0;
};

}  // namespace

Encoded EncodeRequest(const Request& request, const Dialect& dialect,
                      std::span<std::byte> buffer) {
  return std::visit(
      [&](auto op) -> Encoded {
        using Op = decltype(op);
        if constexpr (kIsOperation<Op>) {
          RequestWriter writer(buffer, dialect, OperationOf<Op>());
          Layout(writer, op);
          return writer.End(request.header);
        } else {
          return {Fault::kUnknownOpcode, 0};
        }
      },
      request.operation);
}

}  // namespace barefuse::proto
