// The INIT exchange as a pure function: what the kernel offers, what the
// filesystem wants and what the core implements make the terms of the session.
#ifndef BAREFUSE_PROTO_NEGOTIATION_H_
#define BAREFUSE_PROTO_NEGOTIATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel_abi/fuse.h"
#include "proto/dialect.h"

namespace barefuse::proto {

// One bit of INIT's flags.
struct Capability {
  uint64_t flag = 0;
  std::string_view name;  // "FUSE_PASSTHROUGH"
  uint8_t since = 0;      // the minor that brought it
  // Whether this core can keep what the flag promises. A capability that
  // changes the layout of messages, or sends operations that nothing here
  // serves, is not set however much it is wanted.
  bool implemented = false;
};

// Every capability of 7.45, by bit.
std::span<const Capability> Capabilities();

// The name of a single flag, or "?" for a bit without one.
std::string_view CapabilityName(uint64_t flag);

// What the filesystem and its user ask for.
struct Wishes {
  uint64_t capabilities = 0;     // granted where offered and implemented
  uint32_t max_write = 1 << 20;  // bytes of data in one WRITE
  uint16_t max_pages = 0;  // pages of one request; 0: what max_write needs
  uint32_t max_readahead = ~0u;  // bytes; the kernel's offer is the limit
  uint32_t page_size = 4096;     // bytes; the kernel counts max_pages in it
  // The newest minor to agree on, 1 .. 45.
  uint32_t max_minor = abi::FUSE_KERNEL_MINOR_VERSION;
  uint16_t max_background = 64;  // requests in flight on nobody's behalf
  uint16_t congestion_threshold = 48;
  uint32_t time_gran = 1;  // nanoseconds
  // What FUSE_PASSTHROUGH needs to know: 0 for backing files on a filesystem
  // that is not stacked itself, 1 where they may be on one layer more
  // (overlayfs, another passthrough mount). With 1, nothing can be stacked
  // above this mount.
  uint32_t backing_depth = 0;
  uint16_t request_timeout = 0;  // seconds; 0 is none
};

enum class Verdict : uint8_t {
  kGranted,
  kNotOffered,      // the kernel does not have it
  kNotImplemented,  // this core does not
  kNotWanted,       // the filesystem did not ask
  kExcluded,        // another wish excludes it
  kTooNew,          // it came after the minor that was agreed
};

// A sentence fragment: "the kernel does not offer it".
std::string_view VerdictText(Verdict verdict);

// What to do with an INIT request.
enum class InitOutcome : uint8_t {
  kAgreed,    // answer with `reply`, the session starts
  kTryAgain,  // the kernel's major is newer: answer with major 7, await
              // a second INIT
  kRejected,  // the kernel's major is older than 7: answer EPROTO
};

// The terms of a session. Immutable once made.
struct Negotiated {
  InitOutcome outcome = InitOutcome::kRejected;
  abi::fuse_init_in offer{};  // what the kernel sent
  abi::fuse_init_out reply{};
  Dialect dialect;
  std::array<Verdict, 64> verdicts{};  // by bit

  bool Has(uint64_t capability) const { return dialect.Has(capability); }
  Verdict VerdictOf(uint64_t flag) const;
  // Bytes of the largest READ, READDIR or WRITE data.
  uint32_t max_transfer() const { return reply.max_write; }
};

Negotiated Negotiate(const abi::fuse_init_in& offer, const Wishes& wishes);

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_NEGOTIATION_H_
