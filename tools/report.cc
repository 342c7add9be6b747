#include "tools/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "proto/operations.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

// `text` as a JSON string, without the quotes.
std::string Escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(
          &result, "\\u",
          absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad4));
    } else {
      result += c;
    }
  }
  return result;
}

absl::Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "write");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

std::string StatisticsJson(const Statistics& statistics,
                           const StopReason& reason) {
  std::string json = absl::StrCat("{\n  \"stop\": \"",
                                  ToAbsl(StopKindText(reason.kind)), "\"");
  if (!reason.detail.empty()) {
    absl::StrAppend(&json, ",\n  \"detail\": \"", Escaped(reason.detail), "\"");
  }
  absl::StrAppend(&json, ",\n  \"operations\": {");
  const char* separator = "\n";
  for (const proto::Operation& operation : proto::kOperations) {
    const auto& counted =
        statistics.operations[proto::OperationIndex(operation.opcode)];
    if (operation.name.empty() || counted.requests == 0) continue;
    absl::StrAppend(&json, separator, "    \"", ToAbsl(operation.name),
                    "\": {\"requests\": ", counted.requests,
                    ", \"errors\": ", counted.errors, "}");
    separator = ",\n";
  }
  absl::StrAppend(&json, "\n  }");
  auto total = [&json](const char* name, uint64_t value) {
    absl::StrAppend(&json, ",\n  \"", name, "\": ", value);
  };
  total("read_bytes", statistics.read_bytes);
  total("written_bytes", statistics.written_bytes);
  total("malformed", statistics.malformed);
  total("unknown", statistics.unknown);
  total("dropped_messages", statistics.dropped_messages);
  total("dropped_replies", statistics.dropped_replies);
  total("refused_replies", statistics.refused_replies);
  total("backing_opens", statistics.backing_opens);
  total("backing_closes", statistics.backing_closes);
  total("passthrough_opens", statistics.passthrough_opens);
  absl::StrAppend(&json, "\n}\n");
  return json;
}

absl::Status WriteFile(const std::string& path, std::string_view text) {
  if (path == "-") return WriteAll(STDOUT_FILENO, text);
  const std::string partial = absl::StrCat(path, ".part");
  UniqueFd fd(
      open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return ErrnoStatus(errno, partial);
  absl::Status status = WriteAll(fd.get(), text);
  if (status.ok() && rename(partial.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, path);
  }
  if (!status.ok()) unlink(partial.c_str());
  return status;
}

absl::Status CheckWritable(const std::string& path) {
  if (path.empty() || path == "-") return absl::OkStatus();
  const std::string partial = absl::StrCat(path, ".part");
  UniqueFd fd(open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return ErrnoStatus(errno, partial);
  unlink(partial.c_str());
  return absl::OkStatus();
}

}  // namespace barefuse
