#include "proto/negotiation.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace barefuse::proto {
namespace {

// Refused is what the core does not do: it has no splice, no ring transport, no
// mappings of DAX windows; and it does not tell ids that are missing from ids.
// clang-format off
constexpr Capability kCapabilities[] = {
    {abi::FUSE_ASYNC_READ, "FUSE_ASYNC_READ", 6, true},
    {abi::FUSE_POSIX_LOCKS, "FUSE_POSIX_LOCKS", 7, true},
    {abi::FUSE_FILE_OPS, "FUSE_FILE_OPS", 9, false},
    {abi::FUSE_ATOMIC_O_TRUNC, "FUSE_ATOMIC_O_TRUNC", 9, true},
    {abi::FUSE_EXPORT_SUPPORT, "FUSE_EXPORT_SUPPORT", 10, true},
    {abi::FUSE_BIG_WRITES, "FUSE_BIG_WRITES", 9, true},
    {abi::FUSE_DONT_MASK, "FUSE_DONT_MASK", 12, true},
    {abi::FUSE_SPLICE_WRITE, "FUSE_SPLICE_WRITE", 14, false},
    {abi::FUSE_SPLICE_MOVE, "FUSE_SPLICE_MOVE", 14, false},
    {abi::FUSE_SPLICE_READ, "FUSE_SPLICE_READ", 14, false},
    {abi::FUSE_FLOCK_LOCKS, "FUSE_FLOCK_LOCKS", 17, true},
    {abi::FUSE_HAS_IOCTL_DIR, "FUSE_HAS_IOCTL_DIR", 18, true},
    {abi::FUSE_AUTO_INVAL_DATA, "FUSE_AUTO_INVAL_DATA", 20, true},
    {abi::FUSE_DO_READDIRPLUS, "FUSE_DO_READDIRPLUS", 21, true},
    {abi::FUSE_READDIRPLUS_AUTO, "FUSE_READDIRPLUS_AUTO", 21, true},
    {abi::FUSE_ASYNC_DIO, "FUSE_ASYNC_DIO", 22, true},
    {abi::FUSE_WRITEBACK_CACHE, "FUSE_WRITEBACK_CACHE", 23, true},
    {abi::FUSE_NO_OPEN_SUPPORT, "FUSE_NO_OPEN_SUPPORT", 23, true},
    {abi::FUSE_PARALLEL_DIROPS, "FUSE_PARALLEL_DIROPS", 25, true},
    {abi::FUSE_HANDLE_KILLPRIV, "FUSE_HANDLE_KILLPRIV", 26, true},
    {abi::FUSE_POSIX_ACL, "FUSE_POSIX_ACL", 26, true},
    {abi::FUSE_ABORT_ERROR, "FUSE_ABORT_ERROR", 27, true},
    {abi::FUSE_MAX_PAGES, "FUSE_MAX_PAGES", 28, true},
    {abi::FUSE_CACHE_SYMLINKS, "FUSE_CACHE_SYMLINKS", 28, true},
    {abi::FUSE_NO_OPENDIR_SUPPORT, "FUSE_NO_OPENDIR_SUPPORT", 29, true},
    {abi::FUSE_EXPLICIT_INVAL_DATA, "FUSE_EXPLICIT_INVAL_DATA", 30, true},
    {abi::FUSE_MAP_ALIGNMENT, "FUSE_MAP_ALIGNMENT", 31, false},
    {abi::FUSE_SUBMOUNTS, "FUSE_SUBMOUNTS", 32, true},
    {abi::FUSE_HANDLE_KILLPRIV_V2, "FUSE_HANDLE_KILLPRIV_V2", 33, true},
    {abi::FUSE_SETXATTR_EXT, "FUSE_SETXATTR_EXT", 33, true},
    {abi::FUSE_INIT_EXT, "FUSE_INIT_EXT", 36, true},
    {abi::FUSE_INIT_RESERVED, "FUSE_INIT_RESERVED", 36, false},
    {abi::FUSE_SECURITY_CTX, "FUSE_SECURITY_CTX", 36, true},
    {abi::FUSE_HAS_INODE_DAX, "FUSE_HAS_INODE_DAX", 36, false},
    {abi::FUSE_CREATE_SUPP_GROUP, "FUSE_CREATE_SUPP_GROUP", 38, true},
    {abi::FUSE_HAS_EXPIRE_ONLY, "FUSE_HAS_EXPIRE_ONLY", 38, true},
    {abi::FUSE_DIRECT_IO_ALLOW_MMAP, "FUSE_DIRECT_IO_ALLOW_MMAP", 39, true},
    {abi::FUSE_PASSTHROUGH, "FUSE_PASSTHROUGH", 40, true},
    {abi::FUSE_NO_EXPORT_SUPPORT, "FUSE_NO_EXPORT_SUPPORT", 40, true},
    {abi::FUSE_HAS_RESEND, "FUSE_HAS_RESEND", 40, true},
    {abi::FUSE_ALLOW_IDMAP, "FUSE_ALLOW_IDMAP", 41, true},
    {abi::FUSE_OVER_IO_URING, "FUSE_OVER_IO_URING", 42, false},
    {abi::FUSE_REQUEST_TIMEOUT, "FUSE_REQUEST_TIMEOUT", 43, true},
};
// clang-format on

// Capabilities in bit order, so that the row of a bit is at its index.
constexpr bool InBitOrder() {
  uint64_t flag = 1;
  for (const Capability& capability : kCapabilities) {
    if (capability.flag != flag) return false;
    flag <<= 1;
  }
  return true;
}
static_assert(InBitOrder());

// Without FUSE_MAX_PAGES a request carries at most this much.
constexpr uint32_t kDefaultMaxPages = 32;
// The kernel takes no less.
constexpr uint32_t kMinMaxWrite = 4096;

// What `wishes` themselves rule out: writeback cache and passthrough exclude
// each other (the kernel would drop passthrough without a word). Passthrough
// needs somebody to say so before this; here the cache wins.
uint64_t Excluded(uint64_t wanted) {
  return (wanted & abi::FUSE_WRITEBACK_CACHE) != 0 ? abi::FUSE_PASSTHROUGH : 0;
}

}  // namespace

std::span<const Capability> Capabilities() { return kCapabilities; }

std::string_view CapabilityName(uint64_t flag) {
  size_t bit = static_cast<size_t>(std::countr_zero(flag));
  return bit < std::size(kCapabilities) ? kCapabilities[bit].name : "?";
}

std::string_view VerdictText(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGranted:
      return "granted";
    case Verdict::kNotOffered:
      return "the kernel does not offer it";
    case Verdict::kNotImplemented:
      return "this core does not implement it";
    case Verdict::kNotWanted:
      return "the filesystem does not ask for it";
    case Verdict::kExcluded:
      return "excluded by FUSE_WRITEBACK_CACHE";
    case Verdict::kTooNew:
      return "it is newer than the agreed version";
  }
  return "?";
}

Verdict Negotiated::VerdictOf(uint64_t flag) const {
  return verdicts[static_cast<size_t>(std::countr_zero(flag)) & 63];
}

Negotiated Negotiate(const abi::fuse_init_in& offer, const Wishes& wishes) {
  Negotiated result;
  result.offer = offer;
  abi::fuse_init_out& reply = result.reply;
  reply.major = abi::FUSE_KERNEL_VERSION;
  reply.minor = abi::FUSE_KERNEL_MINOR_VERSION;
  if (offer.major < abi::FUSE_KERNEL_VERSION) return result;
  if (offer.major > abi::FUSE_KERNEL_VERSION) {
    // The kernel speaks 7 too: it reads no more than the major and sends a
    // second INIT.
    result.outcome = InitOutcome::kTryAgain;
    return result;
  }
  result.outcome = InitOutcome::kAgreed;
  Dialect& dialect = result.dialect;
  dialect.minor =
      std::min({offer.minor, wishes.max_minor, abi::FUSE_KERNEL_MINOR_VERSION});
  dialect.kernel_minor = offer.minor;

  uint64_t offered = offer.flags;
  if ((offered & abi::FUSE_INIT_EXT) != 0) {
    offered |= uint64_t{offer.flags2} << 32;
  }
  // The extension of the flags is not a wish of anybody's.
  const uint64_t wanted = wishes.capabilities | abi::FUSE_INIT_EXT;
  const uint64_t excluded = Excluded(wanted & offered);
  uint64_t granted = 0;
  for (const Capability& capability : kCapabilities) {
    Verdict verdict = Verdict::kGranted;
    if ((wanted & capability.flag) == 0) {
      verdict = Verdict::kNotWanted;
    } else if (!capability.implemented) {
      verdict = Verdict::kNotImplemented;
    } else if ((offered & capability.flag) == 0) {
      verdict = Verdict::kNotOffered;
    } else if (capability.since > dialect.minor) {
      verdict = Verdict::kTooNew;
    } else if ((excluded & capability.flag) != 0) {
      verdict = Verdict::kExcluded;
    } else {
      granted |= capability.flag;
    }
    result.verdicts[static_cast<size_t>(std::countr_zero(capability.flag))] =
        verdict;
  }

  dialect.flags = granted;
  reply.minor = dialect.minor;
  reply.flags = static_cast<uint32_t>(granted);
  reply.flags2 = static_cast<uint32_t>(granted >> 32);
  reply.max_readahead = std::min(offer.max_readahead, wishes.max_readahead);
  reply.max_background = wishes.max_background;
  reply.congestion_threshold =
      std::min(wishes.congestion_threshold, wishes.max_background);
  reply.time_gran = wishes.time_gran;

  // Before 7.5 the reply has no room for it, and the kernel takes a page.
  uint32_t max_write = dialect.minor < 5
                           ? kMinMaxWrite
                           : std::max(wishes.max_write, kMinMaxWrite);
  const uint32_t page = std::max(wishes.page_size, kMinMaxWrite);
  uint32_t pages = max_write / page + (max_write % page != 0 ? 1 : 0);
  if (wishes.max_pages != 0)
    pages = std::min<uint32_t>(pages, wishes.max_pages);
  if (dialect.Has(abi::FUSE_MAX_PAGES)) {
    pages = std::min(pages, 0xffffu);
    reply.max_pages = static_cast<uint16_t>(pages);
  } else {
    pages = std::min(pages, kDefaultMaxPages);
  }
  // Never more than the pages of a request hold, and all of them: a READ may
  // ask for so much.
  reply.max_write = static_cast<uint32_t>(std::min<uint64_t>(
      uint64_t{pages} * page, std::numeric_limits<uint32_t>::max()));
  // The kernel sends long names once a request may span several pages.
  dialect.name_max = pages > 1 && dialect.Has(abi::FUSE_MAX_PAGES)
                         ? kLongNameMax
                         : kShortNameMax;

  if (dialect.Has(abi::FUSE_PASSTHROUGH)) {
    // The kernel counts this mount as a layer too.
    reply.max_stack_depth = wishes.backing_depth + 1;
  }
  if (dialect.Has(abi::FUSE_REQUEST_TIMEOUT)) {
    reply.request_timeout = wishes.request_timeout;
  }
  return result;
}

}  // namespace barefuse::proto
