#include "tests/golden/golden.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/describe.h"
#include "proto/encode_reply.h"
#include "proto/encode_request.h"

namespace barefuse::testing {
namespace {

constexpr std::string_view kKinds[] = {"request", "reply", "notification"};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool ParseBytes(std::string_view line, std::vector<std::byte>* bytes) {
  int high = -1;
  for (char c : line) {
    if (c == ' ') continue;
    const int digit = HexDigit(c);
    if (digit < 0) return false;
    if (high < 0) {
      high = digit;
    } else {
      bytes->push_back(static_cast<std::byte>(high << 4 | digit));
      high = -1;
    }
  }
  return high < 0;
}

bool ParseField(std::string_view key, const std::string& value,
                Golden* golden) {
  const uint64_t number = std::strtoull(value.c_str(), nullptr, 0);
  const auto small = static_cast<uint32_t>(number);
  if (key == "kind") {
    for (size_t i = 0; i < std::size(kKinds); ++i) {
      if (value == kKinds[i]) {
        golden->kind = static_cast<GoldenKind>(i);
        return true;
      }
    }
    return false;
  }
  if (key == "opcode") golden->opcode = small;
  if (key == "minor") golden->dialect.minor = small;
  if (key == "kernel_minor") golden->dialect.kernel_minor = small;
  if (key == "flags") golden->dialect.flags = number;
  if (key == "asked") golden->asked = small;
  if (key == "text") golden->text = value;
  return true;
}

}  // namespace

std::string Format(const Golden& golden) {
  std::ostringstream file;
  file << "# " << golden.origin << "\n"
       << "kind: " << kKinds[static_cast<size_t>(golden.kind)] << "\n"
       << "opcode: " << golden.opcode << "\n"
       << "minor: " << golden.dialect.minor << "\n"
       << "kernel_minor: " << golden.dialect.kernel_minor << "\n"
       << "flags: 0x" << std::hex << golden.dialect.flags << std::dec << "\n";
  if (golden.kind == GoldenKind::kReply) {
    file << "asked: " << golden.asked << "\n";
  }
  file << "text: " << golden.text << "\nbytes:";
  for (size_t i = 0; i < golden.bytes.size(); ++i) {
    if (i % 32 == 0) {
      file << "\n";
    } else if (i % 4 == 0) {
      file << " ";
    }
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x",
                  static_cast<unsigned>(golden.bytes[i]));
    file << hex;
  }
  file << "\n";
  return file.str();
}

bool Parse(std::string_view file, Golden* golden) {
  std::istringstream lines{std::string(file)};
  bool in_bytes = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) {
      golden->origin = line.substr(2);
    } else if (line == "bytes:") {
      in_bytes = true;
    } else if (in_bytes) {
      if (!ParseBytes(line, &golden->bytes)) return false;
    } else {
      const size_t colon = line.find(": ");
      if (colon == line.npos ||
          !ParseField(std::string_view(line).substr(0, colon),
                      line.substr(colon + 2), golden)) {
        return false;
      }
    }
  }
  return in_bytes;
}

std::string Describe(const Golden& golden) {
  char line[proto::kDescribeBuffer];
  switch (golden.kind) {
    case GoldenKind::kRequest: {
      proto::Request request;
      if (!proto::DecodeRequest(golden.bytes, golden.dialect, &request).ok()) {
        return "";
      }
      return std::string(DescribeRequest(request, line));
    }
    case GoldenKind::kReply: {
      proto::ReplyMessage reply;
      if (!proto::DecodeReply(golden.bytes, {golden.opcode, golden.asked},
                              golden.dialect, &reply)
               .ok()) {
        return "";
      }
      return std::string(DescribeReply(golden.opcode, reply, line));
    }
    case GoldenKind::kNotification: {
      proto::AnyNotification notification;
      if (!DecodeNotification(golden.bytes, golden.dialect, &notification)
               .ok()) {
        return "";
      }
      return std::string(DescribeNotification(notification, line));
    }
  }
  return "";
}

std::vector<std::byte> Reencode(const Golden& golden) {
  std::vector<std::byte> buffer(golden.bytes.size() + 4096);
  proto::Encoded encoded;
  switch (golden.kind) {
    case GoldenKind::kRequest: {
      proto::Request request;
      (void)proto::DecodeRequest(golden.bytes, golden.dialect, &request);
      encoded = EncodeRequest(request, golden.dialect, buffer);
      break;
    }
    case GoldenKind::kReply: {
      proto::ReplyMessage reply;
      (void)proto::DecodeReply(golden.bytes, {golden.opcode, golden.asked},
                               golden.dialect, &reply);
      encoded = EncodeReply(reply, golden.dialect, buffer);
      break;
    }
    case GoldenKind::kNotification: {
      proto::AnyNotification notification;
      (void)DecodeNotification(golden.bytes, golden.dialect, &notification);
      encoded = EncodeNotification(notification, golden.dialect, buffer);
      break;
    }
  }
  buffer.resize(encoded.size);
  return buffer;
}

}  // namespace barefuse::testing
