// Messages as a line of text, made from the decoded structs.
#ifndef BAREFUSE_PROTO_DESCRIBE_H_
#define BAREFUSE_PROTO_DESCRIBE_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "proto/dialect.h"
#include "proto/requests.h"

namespace barefuse::proto {

// A line is cut off, and ends in "...", where `buffer` is full. The result
// points into `buffer`. Bytes that are not printable are escaped, so that a
// name cannot break out of its line.

// "#12 LOOKUP node=1 uid=0 gid=0 pid=7 name="a"".
std::string_view DescribeRequest(const Request& request,
                                 std::span<char> buffer);

// "#12 LOOKUP = OK nodeid=3 ..." or "#12 LOOKUP = ENOENT". `head` is the header
// and the fixed struct of the reply to `opcode`, `data_size` counts the bytes
// of data that go with it.
std::string_view DescribeReply(uint32_t opcode, Bytes head, size_t data_size,
                               const Dialect& dialect, std::span<char> buffer);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_DESCRIBE_H_
