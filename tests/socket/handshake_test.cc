// The beginning of a session: INIT, and what comes before and instead of it.
#include <errno.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/socket/socket_test.h"

namespace barefuse::testing {
namespace {

class InitTest : public SocketTest,
                 public ::testing::WithParamInterface<uint32_t> {};

TEST_P(InitTest, IsAnsweredInTheKernelsVersion) {
  const uint32_t minor = GetParam();
  Start({}, minor);
  EXPECT_EQ(init_.major, 7u);
  EXPECT_EQ(init_.minor, minor);
  EXPECT_EQ(init_size_, minor < 5 ? 8u : minor < 23 ? 24u : 64u);
  EXPECT_EQ(session_->terms().dialect.minor, minor);
  EXPECT_EQ(session_->transport(), TransportKind::kSocket);

  // Replies have the sizes of that version.
  MessageBuilder getattr = peer_.Message(abi::FUSE_GETATTR);
  if (minor >= 9) getattr.Struct(abi::fuse_getattr_in{});
  EXPECT_EQ(peer_.Ask(getattr).body.size(), minor < 9 ? 96u : 104u);
  EXPECT_EQ(peer_.Ask(LookupMessage("x")).body.size(), minor < 9 ? 120u : 128u);
  EXPECT_EQ(peer_.Ask(peer_.Message(abi::FUSE_STATFS)).body.size(),
            minor < 4 ? 48u : 80u);
  EXPECT_EQ(CloseAndWait().kind, StopReason::Kind::kUnmounted);
}

INSTANTIATE_TEST_SUITE_P(EveryMinor, InitTest, ::testing::Range(1u, 46u));

class HandshakeTest : public SocketTest {
 protected:
  // Serve on a thread of its own, for what comes before INIT is agreed.
  absl::StatusOr<std::unique_ptr<Session>> ServeWhile(
      const std::function<void()>& talk) {
    absl::StatusOr<std::unique_ptr<Session>> session =
        absl::UnknownError("not served");
    SessionOptions options;
    options.log = Lines::SinkTo(log_);
    std::thread server(
        [&] { session = Session::Serve(fs_, peer_.TakeServerEnd(), options); });
    talk();
    Within(kPatience, "Serve", [&] { server.join(); });
    return session;
  }
  MessageBuilder InitOf(uint32_t major, uint32_t minor) {
    abi::fuse_init_in in{};
    in.major = major;
    in.minor = minor;
    in.max_readahead = 4096;
    return std::move(peer_.Message(abi::FUSE_INIT, 0).Struct(in));
  }
};

TEST_F(HandshakeTest, ANewerMajorIsAskedToTryAgain) {
  auto session = ServeWhile([&] {
    const Received first = peer_.Ask(InitOf(8, 3));
    EXPECT_EQ(first.error(), 0);
    EXPECT_EQ(first.As<abi::fuse_init_out>().major, 7u);
    const Received second = peer_.Ask(InitOf(7, 45));
    EXPECT_EQ(second.error(), 0);
    EXPECT_EQ(second.As<abi::fuse_init_out>().minor, 45u);
  });
  ASSERT_TRUE(session.ok()) << session.status();
  session_ = *std::move(session);
  EXPECT_EQ(peer_.Ping(), 0);
}

TEST_F(HandshakeTest, AnOlderMajorIsRefused) {
  auto session =
      ServeWhile([&] { EXPECT_EQ(peer_.Ask(InitOf(6, 1)).error(), EPROTO); });
  ASSERT_FALSE(session.ok());
  EXPECT_NE(session.status().message().find("6"), std::string::npos)
      << session.status();
}

TEST_F(HandshakeTest, AnEndBeforeInitIsAnError) {
  auto session = ServeWhile([&] { peer_.Close(); });
  EXPECT_FALSE(session.ok());
  EXPECT_FALSE(session.status().message().empty());
}

TEST_F(HandshakeTest, RequestsBeforeInitGetEio) {
  auto session = ServeWhile([&] {
    EXPECT_EQ(peer_.Ping(), EIO);
    EXPECT_EQ(peer_.Ask(LookupMessage("x")).error(), EIO);
    EXPECT_EQ(peer_.Ask(peer_.Message(9999)).error(), EIO);
    peer_.Send(ForgetMessage(2, 1));
    peer_.Send(std::span<const std::byte>());
    EXPECT_EQ(peer_.Ask(peer_.InitMessage(45, 0)).error(), 0);
  });
  ASSERT_TRUE(session.ok()) << session.status();
  session_ = *std::move(session);
  peer_.ExpectSilence();
  EXPECT_EQ(fs_->Entered(abi::FUSE_LOOKUP), 0u);
}

TEST_F(HandshakeTest, ASecondInitGetsEio) {
  Start();
  EXPECT_EQ(peer_.Ask(peer_.InitMessage(12, 0)).error(), EIO);
  peer_.ExpectSilence();
  EXPECT_EQ(session_->terms().dialect.minor, 45u);
}

}  // namespace
}  // namespace barefuse::testing
