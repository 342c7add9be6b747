#include "proto/negotiation.h"

#include <gtest/gtest.h>

namespace barefuse::proto {
namespace {

constexpr uint64_t kEverything = (uint64_t{1} << 43) - 1;

abi::fuse_init_in Offer(uint32_t minor, uint64_t flags) {
  abi::fuse_init_in offer{};
  offer.major = 7;
  offer.minor = minor;
  offer.max_readahead = 128 << 10;
  offer.flags = static_cast<uint32_t>(flags);
  offer.flags2 = static_cast<uint32_t>(flags >> 32);
  return offer;
}

Negotiated Agree(const abi::fuse_init_in& offer, const Wishes& wishes) {
  Negotiated terms = Negotiate(offer, wishes);
  EXPECT_EQ(terms.outcome, InitOutcome::kAgreed);
  return terms;
}

TEST(Negotiate, TakesTheLowerMinor) {
  EXPECT_EQ(Agree(Offer(31, 0), {}).dialect.minor, 31u);
  EXPECT_EQ(Agree(Offer(31, 0), {}).reply.minor, 31u);
  EXPECT_EQ(Agree(Offer(99, 0), {}).dialect.minor, 45u);
  EXPECT_EQ(Agree(Offer(45, 0), {}).reply.major, 7u);
}

TEST(Negotiate, GrantsNothingNewerThanTheAgreedMinor) {
  Wishes wishes;
  wishes.capabilities = kEverything;
  wishes.max_minor = 21;
  Negotiated terms = Agree(Offer(45, kEverything), wishes);
  EXPECT_EQ(terms.dialect.minor, 21u);
  EXPECT_EQ(terms.dialect.kernel_minor, 45u);
  EXPECT_TRUE(terms.Has(abi::FUSE_DO_READDIRPLUS));
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_ASYNC_DIO), Verdict::kTooNew);
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_PASSTHROUGH), Verdict::kTooNew);
  EXPECT_EQ(terms.reply.flags2, 0u);
  wishes.max_minor = 4;
  EXPECT_EQ(Agree(Offer(45, kEverything), wishes).max_transfer(), 4096u);
}

TEST(Negotiate, AnswersOtherMajorsAsTheProtocolSays) {
  abi::fuse_init_in offer = Offer(1, kEverything);
  offer.major = 8;
  Negotiated newer = Negotiate(offer, {});
  EXPECT_EQ(newer.outcome, InitOutcome::kTryAgain);
  EXPECT_EQ(newer.reply.major, 7u);
  offer.major = 6;
  EXPECT_EQ(Negotiate(offer, {}).outcome, InitOutcome::kRejected);
}

TEST(Negotiate, GrantsWhatIsOfferedWantedAndImplemented) {
  Wishes wishes;
  wishes.capabilities = abi::FUSE_ASYNC_READ | abi::FUSE_PASSTHROUGH |
                        abi::FUSE_OVER_IO_URING | abi::FUSE_DONT_MASK;
  Negotiated terms =
      Agree(Offer(45, kEverything & ~abi::FUSE_DONT_MASK), wishes);
  EXPECT_TRUE(terms.Has(abi::FUSE_ASYNC_READ));
  EXPECT_TRUE(terms.Has(abi::FUSE_PASSTHROUGH));
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_PASSTHROUGH), Verdict::kGranted);
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_DONT_MASK), Verdict::kNotOffered);
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_POSIX_ACL), Verdict::kNotWanted);
  // The transport on the ring is another one's job: refused, not ignored.
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_OVER_IO_URING), Verdict::kNotImplemented);
  EXPECT_FALSE(terms.Has(abi::FUSE_OVER_IO_URING));
  EXPECT_EQ(terms.reply.flags | uint64_t{terms.reply.flags2} << 32,
            terms.dialect.flags);
}

TEST(Negotiate, TheUpperFlagsNeedInitExt) {
  Wishes wishes;
  wishes.capabilities = abi::FUSE_PASSTHROUGH;
  Negotiated terms =
      Agree(Offer(45, kEverything & ~abi::FUSE_INIT_EXT), wishes);
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_PASSTHROUGH), Verdict::kNotOffered);
  EXPECT_EQ(terms.reply.flags2, 0u);
  EXPECT_EQ(terms.reply.max_stack_depth, 0u);
}

TEST(Negotiate, TellsTheKernelOneLayerMoreThanTheBackingFilesHave) {
  Wishes wishes;
  wishes.capabilities = abi::FUSE_PASSTHROUGH;
  EXPECT_EQ(Agree(Offer(45, kEverything), wishes).reply.max_stack_depth, 1u);
  wishes.backing_depth = 1;
  EXPECT_EQ(Agree(Offer(45, kEverything), wishes).reply.max_stack_depth, 2u);
  wishes.capabilities = 0;
  EXPECT_EQ(Agree(Offer(45, kEverything), wishes).reply.max_stack_depth, 0u);
}

TEST(Negotiate, WritebackCacheExcludesPassthroughAndSaysSo) {
  Wishes wishes;
  wishes.capabilities = abi::FUSE_PASSTHROUGH | abi::FUSE_WRITEBACK_CACHE;
  Negotiated terms = Agree(Offer(45, kEverything), wishes);
  EXPECT_TRUE(terms.Has(abi::FUSE_WRITEBACK_CACHE));
  EXPECT_FALSE(terms.Has(abi::FUSE_PASSTHROUGH));
  EXPECT_EQ(terms.VerdictOf(abi::FUSE_PASSTHROUGH), Verdict::kExcluded);
  EXPECT_EQ(VerdictText(Verdict::kExcluded),
            "excluded by FUSE_WRITEBACK_CACHE");
  // Where the cache is not to be had, passthrough is.
  terms = Agree(Offer(45, kEverything & ~abi::FUSE_WRITEBACK_CACHE), wishes);
  EXPECT_TRUE(terms.Has(abi::FUSE_PASSTHROUGH));
}

TEST(Negotiate, LimitsTransfersToThePagesOfARequest) {
  Wishes wishes;
  wishes.capabilities = abi::FUSE_MAX_PAGES;
  Negotiated terms = Agree(Offer(45, kEverything), wishes);
  EXPECT_EQ(terms.reply.max_pages, 256u);
  EXPECT_EQ(terms.max_transfer(), 1u << 20);
  EXPECT_EQ(terms.dialect.name_max, kLongNameMax);
  terms = Agree(Offer(45, kEverything & ~abi::FUSE_MAX_PAGES), wishes);
  EXPECT_EQ(terms.reply.max_pages, 0u);
  EXPECT_EQ(terms.max_transfer(), 128u << 10);
  EXPECT_EQ(terms.dialect.name_max, kShortNameMax);
}

TEST(Negotiate, TakesAsMuchAsPossibleAtItsWord) {
  Wishes wishes;
  wishes.capabilities = abi::FUSE_MAX_PAGES;
  wishes.max_write = ~0u;
  Negotiated terms = Agree(Offer(45, kEverything), wishes);
  EXPECT_EQ(terms.reply.max_pages, 65535u);
  EXPECT_EQ(terms.max_transfer(), 65535u * 4096u);
  wishes.page_size = 65536;
  EXPECT_EQ(Agree(Offer(45, kEverything), wishes).max_transfer(), 65535u << 16);
  wishes.page_size = 0;  // of no meaning; no division by it
  EXPECT_EQ(Agree(Offer(45, kEverything), wishes).reply.max_pages, 65535u);
}

TEST(Negotiate, LowersTheReadahead) {
  Wishes wishes;
  EXPECT_EQ(Agree(Offer(45, 0), wishes).reply.max_readahead, 128u << 10);
  wishes.max_readahead = 4096;
  EXPECT_EQ(Agree(Offer(45, 0), wishes).reply.max_readahead, 4096u);
}

TEST(Capabilities, HaveNames) {
  EXPECT_EQ(Capabilities().size(), 43u);
  EXPECT_EQ(CapabilityName(abi::FUSE_PASSTHROUGH), "FUSE_PASSTHROUGH");
  EXPECT_EQ(CapabilityName(uint64_t{1} << 60), "?");
}

}  // namespace
}  // namespace barefuse::proto
