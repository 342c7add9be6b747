// What is under way when a session ends: nothing is touched that is gone. These
// tests show most under a sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "server/session.h"
#include "tests/testing/hook_file_system.h"
#include "tests/testing/socket_peer.h"

namespace barefuse {
namespace {

using barefuse::testing::HookFileSystem;
using barefuse::testing::SocketPeer;
using barefuse::testing::Within;

constexpr int kRounds = 50;
constexpr std::chrono::seconds kEnd{20};

std::unique_ptr<Session> Serve(SocketPeer* peer,
                               std::shared_ptr<FileSystem> file_system,
                               SessionOptions options) {
  EXPECT_TRUE(peer->Send(peer->InitMessage(45, 0)));
  options.log = [](LogLevel, std::string_view) {};
  auto session = Session::Serve(std::move(file_system), peer->TakeServerEnd(),
                                std::move(options));
  EXPECT_TRUE(session.ok()) << session.status();
  return session.ok() ? *std::move(session) : nullptr;
}

TEST(End, NotificationsMayComeWhileTheSessionGoes) {
  for (int round = 0; round < kRounds; ++round) {
    SocketPeer peer;
    std::atomic<uint64_t> seen{0};
    auto session = Serve(&peer, std::make_shared<HookFileSystem>(),
                         {.workers = 1,
                          .stop_timeout = absl::Seconds(2),
                          .tap = [&seen](Direction, auto, auto) { ++seen; }});
    ASSERT_NE(session, nullptr);
    std::shared_ptr<Notifier> notifier = session->connection().notifier();
    std::thread sender([notifier] {
      while (notifier->PollWakeup(1) != ENODEV) {
      }
    });
    // The socket fills, and the sender waits for room in the middle of it.
    if (round % 2 == 0) peer.Close();
    Within(kEnd, "the end", [&] { session.reset(); });
    const uint64_t before = seen;
    sender.join();
    EXPECT_EQ(seen, before);
  }
}

TEST(End, RequestsMayBeDetachedWhileTheSessionGoes) {
  for (int round = 0; round < kRounds; ++round) {
    SocketPeer peer;
    auto fs = std::make_shared<HookFileSystem>();
    std::atomic<int> entered{0};
    // Detached from a thread of the pool for what may block, so that the worker
    // has nothing to do but end.
    fs->hooks.Fsync = [&entered](const FsyncRequest&, EmptyReply reply) {
      ++entered;
      for (int i = 0; i < 100; ++i) std::this_thread::yield();
      reply.Detach();
      std::move(reply).Ok();
    };
    fs->blocking = {abi::FUSE_FSYNC};
    auto session =
        Serve(&peer, fs, {.workers = 1, .stop_timeout = absl::Seconds(2)});
    ASSERT_NE(session, nullptr);
    for (int i = 0; i < 8; ++i) {
      peer.Send(peer.Message(abi::FUSE_FSYNC, 2).Struct(abi::fuse_fsync_in{}));
    }
    while (entered == 0) std::this_thread::yield();
    Within(kEnd, "the end", [&] { session.reset(); });
  }
}

}  // namespace
}  // namespace barefuse
