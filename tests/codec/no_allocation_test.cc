// The codec allocates nothing: every allocation of the program is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "proto/decode_reply.h"
#include "proto/decode_request.h"
#include "proto/describe.h"
#include "proto/encode_reply.h"
#include "proto/encode_request.h"
#include "proto/negotiation.h"
#include "tests/codec/random_messages.h"

namespace {
std::atomic<uint64_t> g_allocations{0};
}  // namespace

#if defined(__SANITIZE_ADDRESS__)
// The sanitizer has malloc; operator new is left to count.
void* operator new(size_t size) {
  ++g_allocations;
  void* memory = malloc(size);
  if (memory == nullptr) abort();
  return memory;
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
#else
// All of them end here, operator new's too.
extern "C" void* __libc_malloc(size_t size);
extern "C" void* malloc(size_t size) {
  ++g_allocations;
  return __libc_malloc(size);
}
#endif

namespace barefuse {
namespace {

using testing::RandomParts;

class NoAllocationTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  // How many allocations `work` makes.
  template <class Work>
  uint64_t Count(Work work) {
    const uint64_t before = g_allocations;
    work();
    return g_allocations - before;
  }

  proto::Dialect dialect_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(1 << 16);
  char line_[proto::kDescribeBuffer];
};

TEST_P(NoAllocationTest, OfRequestsAndReplies) {
  dialect_.flags = abi::FUSE_SECURITY_CTX;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    RandomParts parts(seed);
    const proto::Request made =
        testing::RandomRequest(GetParam(), dialect_, &parts);
    const proto::ReplyMessage answer = testing::RandomReply(made, &parts);
    EXPECT_EQ(Count([&] {
                proto::Encoded encoded = EncodeRequest(made, dialect_, buffer_);
                proto::Request request;
                (void)proto::DecodeRequest(
                    proto::Bytes(buffer_).first(encoded.size), dialect_,
                    &request);
                DescribeRequest(request, line_);
                DescribeRequest(request, line_, proto::Format::kJson);
              }),
              0u);
    EXPECT_EQ(Count([&] {
                proto::Encoded encoded = EncodeReply(answer, dialect_, buffer_);
                proto::ReplyMessage reply;
                (void)proto::DecodeReply(
                    proto::Bytes(buffer_).first(encoded.size),
                    proto::WhatIsAsked(made), dialect_, &reply);
                DescribeReply(GetParam(), reply, line_);
                DescribeReply(GetParam(), reply, line_, proto::Format::kJson);
              }),
              0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, NoAllocationTest,
                         ::testing::ValuesIn(testing::AllOpcodes()),
                         [](const auto& row) {
                           return std::string(proto::OperationName(row.param));
                         });

TEST_F(NoAllocationTest, OfNotifications) {
  for (uint32_t code = abi::FUSE_NOTIFY_POLL; code <= abi::FUSE_NOTIFY_PRUNE;
       ++code) {
    RandomParts parts(code);
    const proto::AnyNotification made =
        testing::RandomNotification(code, dialect_, &parts);
    EXPECT_EQ(
        Count([&] {
          proto::Encoded encoded = EncodeNotification(made, dialect_, buffer_);
          proto::AnyNotification notification;
          (void)DecodeNotification(proto::Bytes(buffer_).first(encoded.size),
                                   dialect_, &notification);
          DescribeNotification(notification, line_);
        }),
        0u);
  }
}

TEST_F(NoAllocationTest, OfNegotiation) {
  abi::fuse_init_in offer{};
  offer.major = 7;
  offer.minor = 45;
  offer.flags = ~0u;
  proto::Wishes wishes;
  wishes.capabilities = ~uint64_t{0};
  EXPECT_EQ(Count([&] { proto::Negotiate(offer, wishes); }), 0u);
}

// What would be the use of a counter that does not count?
TEST_F(NoAllocationTest, TheCounterCounts) {
  EXPECT_GE(Count([] {
              // The compiler may leave out what it sees through.
              int* volatile allocated = new int;
              delete allocated;
            }),
            1u);
}

}  // namespace
}  // namespace barefuse
