// Messages for people and programs: as one line of text, or as one JSON object.
// Made from the decoded structs, so that what is shown is what was understood.
#ifndef BAREFUSE_PROTO_DESCRIBE_H_
#define BAREFUSE_PROTO_DESCRIBE_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "proto/notifications.h"
#include "proto/replies.h"
#include "proto/requests.h"

namespace barefuse::proto {

// Text is like strace's: "#12 LOOKUP node=1 uid=0 gid=0 pid=7 name="a"" and
// "#12 LOOKUP = ENOENT". Flags are names, timestamps are UTC, data is its first
// bytes. Everything that is not printable ASCII is escaped as \xNN, so that a
// name cannot break out of its line. Where `buffer` is full the line is cut off
// and ends in "...".
//
// JSON is {"unique":12,"op":"LOOKUP","node":1,"caller":{"uid":0,...},
// "args":{...}}, for replies {"unique":12,"op":"LOOKUP","error":"ENOENT"} or
// "result":{...}, for notifications {"notify":"POLL","args":{...}}. Bytes of
// names that are not UTF-8 become lone surrogates (\udc80 .. \udcff, as
// Python's surrogateescape has it); data is hexadecimal. Where `buffer` is too
// small the result is empty, since half an object is none.
//
// The result points into `buffer`.
enum class Format { kText, kJson };

// Enough for any message as JSON whose names and data are short, and for most
// lines.
inline constexpr size_t kDescribeBuffer = 4096;

// `request` has been decoded.
std::string_view DescribeRequest(const Request& request, std::span<char> buffer,
                                 Format format = Format::kText);

// `opcode` is the request's.
std::string_view DescribeReply(uint32_t opcode, const ReplyMessage& reply,
                               std::span<char> buffer,
                               Format format = Format::kText);

std::string_view DescribeNotification(const AnyNotification& notification,
                                      std::span<char> buffer,
                                      Format format = Format::kText);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DESCRIBE_H_
