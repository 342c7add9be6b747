#include "proto/describe.h"

#include <string.h>

#include <type_traits>

#include "proto/field_json.h"
#include "proto/field_text.h"
#include "proto/reply_fields.h"
#include "proto/request_fields.h"
#include "proto/text.h"

namespace barefuse::proto {
namespace {

// The fields of whichever alternative there is.
template <class Visitor, class Variant>
void FieldsOf(Visitor& visitor, const Variant& variant) {
  std::visit(
      [&visitor](const auto& value) {
        using Value = std::decay_t<decltype(value)>;
        if constexpr (!std::is_same_v<Value, std::monostate> &&
                      !std::is_same_v<Value, internal::EndOfList>) {
          Fields(visitor, value);
        }
      },
      variant);
}

bool HasCaller(const abi::fuse_in_header& header) {
  const Operation* operation = FindOperation(header.opcode);
  return operation != nullptr && operation->caller == Caller::kCaller;
}

// "#12 LOOKUP"
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

// {"unique":12,"op":"LOOKUP"
void StartJson(FieldJson& json, uint64_t unique, uint32_t opcode) {
  json.Open('{');
  json.Number("unique", unique);
  if (const Operation* operation = FindOperation(opcode)) {
    json.Name("op", operation->name);
  } else {
    json.Number("op", opcode);
  }
}

template <class Variant>
void FieldsObject(FieldJson& json, std::string_view key,
                  const Variant& variant) {
  json.Key(key);
  json.Open('{');
  FieldsOf(json, variant);
  json.Close('}');
}

// Half an object is none.
std::string_view FinishJson(FieldJson& json, const Text& text) {
  json.Close('}');
  return text.cut() ? std::string_view() : text.view();
}

// "ENOENT", or nullptr for a number without a name.
const char* ErrorName(int32_t error) {
  return error < 0 && error >= -kMaxErrno ? strerrorname_np(-error) : nullptr;
}

std::string_view CodeName(const AnyNotification& notification) {
  return std::visit(
      [](const auto& n) -> std::string_view {
        return NotificationName(NotificationCode<std::decay_t<decltype(n)>>);
      },
      notification);
}

}  // namespace

std::string_view DescribeRequest(const Request& request, std::span<char> buffer,
                                 Format format) {
  const abi::fuse_in_header& header = request.header;
  Text text(buffer);
  if (format == Format::kText) {
    Start(text, header.unique, header.opcode);
    FieldText fields(text);
    fields.Number("node", header.nodeid);
    if (HasCaller(header)) {
      fields.Number("uid", header.uid);
      fields.Number("gid", header.gid);
      fields.Number("pid", header.pid);
    }
    FieldsOf(fields, request.operation);
    return text.Finish();
  }
  FieldJson json(text);
  StartJson(json, header.unique, header.opcode);
  json.Number("node", header.nodeid);
  if (HasCaller(header)) {
    json.Key("caller");
    json.Open('{');
    json.Number("uid", header.uid);
    json.Number("gid", header.gid);
    json.Number("pid", header.pid);
    json.Close('}');
  }
  FieldsObject(json, "args", request.operation);
  return FinishJson(json, text);
}

std::string_view DescribeReply(uint32_t opcode, const ReplyMessage& reply,
                               std::span<char> buffer, Format format) {
  const abi::fuse_out_header& header = reply.header;
  const char* error = header.error != 0 ? ErrorName(header.error) : nullptr;
  Text text(buffer);
  if (format == Format::kText) {
    Start(text, header.unique, opcode);
    text.Append(" = ");
    if (error != nullptr) {
      text.Append(error);
    } else if (header.error != 0) {
      text.Append("error ");
      text.Integral(header.error);
    } else {
      text.Append("OK");
      FieldText fields(text);
      FieldsOf(fields, reply.body);
    }
    return text.Finish();
  }
  FieldJson json(text);
  StartJson(json, header.unique, opcode);
  if (error != nullptr) {
    json.Name("error", error);
  } else if (header.error != 0) {
    json.Signed("error", header.error);
  } else {
    FieldsObject(json, "result", reply.body);
  }
  return FinishJson(json, text);
}

std::string_view DescribeNotification(const AnyNotification& notification,
                                      std::span<char> buffer, Format format) {
  Text text(buffer);
  if (format == Format::kText) {
    text.Append("NOTIFY ");
    text.Append(CodeName(notification));
    FieldText fields(text);
    FieldsOf(fields, notification);
    return text.Finish();
  }
  FieldJson json(text);
  json.Open('{');
  json.Name("notify", CodeName(notification));
  FieldsObject(json, "args", notification);
  return FinishJson(json, text);
}

}  // namespace barefuse::proto
