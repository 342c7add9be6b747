#include "server/handshake.h"

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/describe.h"
#include "proto/encode_reply.h"

namespace barefuse {
namespace {

absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

// What became of each wish. Two that exclude each other are a mistake of the
// filesystem's, which everybody is told; the rest is for debugging.
void LogTerms(const proto::Negotiated& terms, const LogSink& log, bool debug) {
  for (const proto::Capability& capability : proto::Capabilities()) {
    const proto::Verdict verdict = terms.VerdictOf(capability.flag);
    const bool excluded = verdict == proto::Verdict::kExcluded;
    if (verdict == proto::Verdict::kNotWanted || (!excluded && !debug)) {
      continue;
    }
    log(excluded ? LogLevel::kWarning : LogLevel::kDebug,
        absl::StrCat("INIT ", ToAbsl(capability.name), ": ",
                     ToAbsl(proto::VerdictText(verdict))));
  }
}

void LogExchange(const proto::Request& request, const proto::ReplyHead& head,
                 const proto::Dialect& dialect, const LogSink& log) {
  char line[2048];
  log(LogLevel::kDebug, proto::DescribeRequest(request, line));
  proto::ReplyMessage reply;
  proto::DecodeReply(head.bytes(), {abi::FUSE_INIT, 0}, dialect, &reply).ok();
  log(LogLevel::kDebug, proto::DescribeReply(abi::FUSE_INIT, reply, line));
}

}  // namespace

absl::StatusOr<proto::Negotiated> Handshake(const Device& device,
                                            const HandshakeOptions& options) {
  const absl::Time deadline = absl::Now() + options.timeout;
  // Before INIT the kernel asks for the smallest buffer and one write.
  std::vector<std::byte> buffer(abi::FUSE_MIN_READ_BUFFER + (1 << 20));
  for (;;) {
    absl::StatusOr<size_t> size = device.Read(buffer, deadline - absl::Now());
    if (!size.ok()) return size.status();
    const proto::Bytes message = proto::Bytes(buffer).first(*size);
    if (options.tap) options.tap(Direction::kFromKernel, message, {});
    proto::Request request;
    proto::DecodeError error =
        proto::DecodeRequest(message, proto::Dialect{}, &request);
    proto::ReplyHead head;
    auto answer = [&]() -> absl::Status {
      if (options.tap) options.tap(Direction::kToKernel, head.bytes(), {});
      return device.Write(head.bytes());
    };
    const auto* init = std::get_if<proto::Init>(&request.operation);
    if (!error.ok() || init == nullptr) {
      const uint32_t opcode = error.ok() ? request.header.opcode : error.opcode;
      options.log(LogLevel::kWarning,
                  absl::StrCat("instead of INIT came ",
                               ToAbsl(proto::OperationName(opcode)),
                               " (opcode ", opcode, ")"));
      const proto::Operation* operation = proto::FindOperation(opcode);
      // An opcode that does not exist is owed an answer like any other.
      if ((!error.ok() && !error.answerable()) ||
          (operation != nullptr && operation->owed != proto::Owed::kReply)) {
        continue;
      }
      head.FinishError(request.header.unique, EIO);
      if (absl::Status status = answer(); !status.ok()) return status;
      continue;
    }
    proto::Negotiated terms = proto::Negotiate(*init, options.wishes);
    if (terms.outcome == proto::InitOutcome::kRejected) {
      head.FinishError(request.header.unique, EPROTO);
    } else {
      head.Encode(terms.dialect, terms.reply);
      head.Finish(request.header.unique, 0);
    }
    if (options.debug) LogExchange(request, head, terms.dialect, options.log);
    if (terms.outcome == proto::InitOutcome::kAgreed) {
      LogTerms(terms, options.log, options.debug);
    }
    if (absl::Status status = answer(); !status.ok()) return status;
    switch (terms.outcome) {
      case proto::InitOutcome::kAgreed:
        return terms;
      case proto::InitOutcome::kTryAgain:
        continue;
      case proto::InitOutcome::kRejected:
        return absl::FailedPreconditionError(
            absl::StrCat("the kernel speaks FUSE ", init->major, ".",
                         init->minor, ", which is older than 7.1"));
    }
  }
}

}  // namespace barefuse
