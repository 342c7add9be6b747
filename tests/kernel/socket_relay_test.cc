// How a mount behind a socket ends.
#include "tests/testing/socket_relay.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/kernel/suite_memfs.h"
#include "tests/testing/kernel_test.h"

namespace barefuse {
namespace {

using testing::MountsBelow;
using testing::SocketRelay;

class SocketRelayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::CanMount()) return;
    MountOptions options;
    options.default_permissions = true;
    auto relay = SocketRelay::Mount(mountpoint_, options);
    ASSERT_TRUE(relay.ok()) << relay.status();
    relay_ = *std::move(relay);
  }
  void Serve() {
    auto memfs = Memfs::Create({});
    ASSERT_TRUE(memfs.ok());
    auto session = Session::Serve(*memfs, relay_->TakeServersEnd(), {});
    ASSERT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
  }

  testing::TempDir dir_;
  const std::string mountpoint_ = dir_.MakeDir("mnt");
  std::unique_ptr<SocketRelay> relay_;
  std::unique_ptr<Session> session_;
};

TEST_F(SocketRelayTest, WhatNeedsTheDeviceIsNotOffered) {
  Serve();
  EXPECT_EQ(session_->transport(), TransportKind::kSocket);
  EXPECT_FALSE(session_->terms().Has(abi::FUSE_PASSTHROUGH));
  EXPECT_FALSE(session_->terms().Has(abi::FUSE_OVER_IO_URING));
  EXPECT_TRUE(session_->terms().Has(abi::FUSE_HAS_RESEND));
}

TEST_F(SocketRelayTest, AnUnmountEndsTheSession) {
  Serve();
  testing::WriteFile(mountpoint_ + "/file", "content");
  ASSERT_TRUE(relay_->Unmount().ok());
  EXPECT_EQ(session_->Wait().kind, StopReason::Kind::kUnmounted);
}

TEST_F(SocketRelayTest, TheSessionsEndEndsTheConnection) {
  Serve();
  session_.reset();
  // The mount is there, and nobody behind it.
  struct stat info;
  EXPECT_TRUE(Eventually([&] {
    return stat((mountpoint_ + "/file").c_str(), &info) != 0 &&
           errno == ENOTCONN;
  }));
  EXPECT_EQ(MountsBelow(mountpoint_).size(), 1u);
  relay_.reset();
  EXPECT_TRUE(MountsBelow(mountpoint_).empty());
}

TEST_F(SocketRelayTest, ItsEndFreesWhoWaitsForAServerThatDoesNothing) {
  UniqueFd server = relay_->TakeServersEnd();  // never read
  auto waiter = std::async(std::launch::async, [&] {
    return TryOpen(mountpoint_ + "/file", O_RDONLY);
  });
  relay_.reset();
  const Error error = waiter.get();
  EXPECT_TRUE(error == ENOTCONN || error == ECONNABORTED || error == ENOENT)
      << error;
  EXPECT_TRUE(MountsBelow(mountpoint_).empty());
}

}  // namespace
}  // namespace barefuse
