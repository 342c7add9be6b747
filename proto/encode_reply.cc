#include "proto/encode_reply.h"

#include <cerrno>

#include "proto/writer.h"

namespace barefuse::proto {
namespace {

class ReplyWriter {
 public:
  ReplyWriter(std::span<std::byte> buffer, const Dialect& dialect)
      : writer_(buffer), dialect_(dialect) {
    writer_.Skip(sizeof(abi::fuse_out_header));
  }

  template <class T>
  void Struct(T& value) {
    writer_.Struct(value, ReplySize(dialect_, value));
  }
  template <class T>
  void Whole(T& value) {
    writer_.Struct(value);
  }
  void Rest(Bytes& bytes) { writer_.Raw(bytes); }

  Encoded End(abi::fuse_out_header header) {
    header.len = static_cast<uint32_t>(writer_.size());
    writer_.At(0, &header, sizeof header);
    return writer_.result();
  }

 private:
  Writer writer_;
  const Dialect& dialect_;
};

}  // namespace

Encoded EncodeReply(const ReplyMessage& reply, const Dialect& dialect,
                    std::span<std::byte> buffer) {
  ReplyWriter writer(buffer, dialect);
  if (reply.header.error > 0 || reply.header.error < -kMaxErrno) {
    return {Fault::kErrorRange, 0};
  }
  if (reply.header.unique == 0) return {Fault::kZeroUnique, 0};
  if (reply.header.error == 0) {
    std::visit([&writer](auto body) { Layout(writer, body); }, reply.body);
  }
  return writer.End(reply.header);
}

void ReplyHead::FinishError(uint64_t unique, int error) {
  if (error < 1 || error > kMaxErrno) error = EIO;
  size_ = sizeof(abi::fuse_out_header);
  WriteHeader(unique, -error, size_);
}

}  // namespace barefuse::proto
