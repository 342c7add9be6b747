// Messages over a socket: the way there and back, and the end.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "tests/socket/socket_test.h"
#include "tests/testing/files.h"

namespace barefuse::testing {
namespace {

class TransportTest : public SocketTest {};

TEST_F(TransportTest, MessagesThatAreNoneArePassedOver) {
  Start({.workers = 1});
  const std::vector<std::byte> good = peer_.Message(abi::FUSE_STATFS).Bytes();
  for (size_t size : {size_t{0}, size_t{1}, size_t{39}}) {
    EXPECT_TRUE(peer_.Send(std::span(good).first(size)));
    peer_.ExpectSilence();
  }
  MessageBuilder lies = peer_.Message(abi::FUSE_STATFS);
  lies.header().len = 4000;
  EXPECT_TRUE(peer_.Send(lies));
  MessageBuilder nobody = peer_.Message(abi::FUSE_STATFS);
  nobody.header().unique = 0;
  EXPECT_TRUE(peer_.Send(nobody));
  peer_.ExpectSilence();
  EXPECT_GE(session_->statistics().dropped_messages, 4u);
}

// Its end is cut off by the buffer, so that its length is wrong.
TEST_F(TransportTest, AMessageLargerThanAnyBufferIsPassedOver) {
  Start({.workers = 1, .max_write = 4096});
  std::vector<std::byte> huge(2 << 20);
  MessageBuilder message = peer_.Message(abi::FUSE_LOOKUP);
  message.header().len = static_cast<uint32_t>(huge.size());
  const std::vector<std::byte> header = message.Bytes();
  std::copy(header.begin(), header.end(), huge.begin());
  EXPECT_TRUE(peer_.Send(huge));
  peer_.ExpectSilence();
  EXPECT_EQ(session_->statistics().dropped_messages, 1u);
  EXPECT_EQ(fs_->Entered(abi::FUSE_LOOKUP), 0u);
}

TEST_F(TransportTest, ManyInFlightAreEachAnsweredOnce) {
  for (int round = 0; round < 4; ++round) {
    if (session_ == nullptr) Start({.workers = 3});
    std::set<uint64_t> uniques;
    for (int i = 0; i < 256; ++i) uniques.insert(Send(ReadMessage(100)));
    while (!uniques.empty()) {
      const Received reply = peer_.Receive();
      ASSERT_TRUE(reply.came);
      EXPECT_EQ(reply.body, std::string(100, HookFileSystem::kByte));
      EXPECT_EQ(uniques.erase(reply.header.unique), 1u);
    }
    peer_.ExpectSilence();
  }
  EXPECT_EQ(session_->statistics()
                .operations[proto::OperationIndex(abi::FUSE_READ)]
                .requests,
            1024u);
}

TEST_F(TransportTest, RepliesAreGivenLaterInAnyOrderFromOtherThreads) {
  std::mutex mutex;
  std::map<uint64_t, DataReply> replies;
  fs_->hooks.Read = [&](const ReadRequest& request, DataReply reply) {
    std::lock_guard<std::mutex> lock(mutex);
    replies.emplace(request.unique(), std::move(reply));
  };
  Start({.workers = 2, .slots_per_worker = 64});
  std::vector<uint64_t> uniques;
  for (int i = 0; i < 64; ++i) uniques.push_back(Send(ReadMessage(8)));
  ASSERT_TRUE(Eventually([&] {
    std::lock_guard<std::mutex> lock(mutex);
    return replies.size() == 64;
  }));
  peer_.ExpectSilence();
  // The last first, from four threads.
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t i = uniques.size(); i-- > 0;) {
        if (i % 4 != thread) continue;
        std::unique_lock<std::mutex> lock(mutex);
        DataReply reply = std::move(replies.extract(uniques[i]).mapped());
        lock.unlock();
        std::move(reply).OkCopy(std::to_string(uniques[i]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t unique : uniques) {
    EXPECT_EQ(peer_.Await(unique).body, std::to_string(unique).substr(0, 8));
  }
  peer_.ExpectSilence();
}

TEST_F(TransportTest, AMebibyteThereAndBack) {
  std::string taken;
  fs_->hooks.Write = [&](const WriteRequest& request, WriteReply reply) {
    taken.assign(reinterpret_cast<const char*>(request->data.data()),
                 request->data.size());
    std::move(reply).Ok(taken.size());
  };
  fs_->hooks.Read = [&](const ReadRequest&, DataReply reply) {
    std::move(reply).OkCopy(taken);
  };
  Start({.workers = 1});
  ASSERT_EQ(init_.max_write, 1u << 20);
  for (int round = 0; round < 8; ++round) {
    std::string data(1 << 20, '\0');
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = static_cast<char>(i * 7 + i / 251 + round);
    }
    const Received written = peer_.Ask(WriteMessage(data));
    EXPECT_EQ(written.As<abi::fuse_write_out>().size, 1u << 20);
    EXPECT_TRUE(taken == data);
    EXPECT_TRUE(peer_.Ask(ReadMessage(1 << 20)).body == data);
  }
}

// A reply that is dropped is answered all the same.
TEST_F(TransportTest, ADroppedReplyIsEio) {
  fs_->hooks.Lookup = [](const LookupRequest&, EntryReply) {};
  Start();
  EXPECT_EQ(peer_.Ask(LookupMessage("x")).error(), EIO);
  peer_.ExpectSilence();
  EXPECT_EQ(session_->statistics().dropped_replies, 1u);
}

class FullSocketTest : public SocketTest {
 protected:
  static constexpr size_t kMany = 20000;

  // Asks for mebibytes whose replies nobody reads, until nobody reads what is
  // asked either: the socket is full for two seconds. Gives how many could be
  // sent, kMany where there was no end.
  size_t FillUp() {
    const int room = 16 << 10;
    Check(
        setsockopt(peer_.fd(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0,
        "SO_SNDBUF");
    for (size_t sent = 0; sent < kMany; ++sent) {
      const std::vector<std::byte> bytes = ReadMessage(1 << 20).Bytes();
      while (!peer_.SendNow(bytes)) {
        pollfd full{peer_.fd(), POLLOUT, 0};
        if (poll(&full, 1, 2000) == 0) return sent;
      }
    }
    return kMany;
  }
};

TEST_F(FullSocketTest, APeerThatDoesNotReadIsNotReadFrom) {
  // Handlers keep going on workers; the reserve must not read without bound
  // either.
  Start({.workers = 2,
         .slots_per_worker = 4,
         .parked_requests = 16,
         .stop_timeout = absl::Seconds(1)});
  const size_t sent = FillUp();
  EXPECT_LT(sent, kMany) << "the server reads what it cannot answer";
  const uint64_t taken = fs_->Entered(abi::FUSE_READ);
  EXPECT_LE(taken, 24u + 64) << "slots, parked, and what the socket holds";
  // It ends all the same.
  session_->Stop();
  EXPECT_EQ(Wait().kind, StopReason::Kind::kStopped);
}

TEST_F(FullSocketTest, RepliesGoOnWhenThePeerReadsAgain) {
  Start({.workers = 2, .slots_per_worker = 4, .parked_requests = 16});
  const size_t sent = FillUp();
  ASSERT_LT(sent, kMany);
  for (size_t i = 0; i < sent; ++i) {
    const Received reply = peer_.Receive();
    ASSERT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.body.size(), size_t{1} << 20);
  }
  peer_.ExpectSilence();
}

TEST_F(TransportTest, ThePeerGoesWithRequestsInFlight) {
  std::mutex mutex;
  std::vector<EntryReply> kept;
  fs_->hooks.Lookup = [&](const LookupRequest&, EntryReply reply) {
    std::lock_guard<std::mutex> lock(mutex);
    kept.push_back(std::move(reply));
  };
  Start({.workers = 2});
  for (int i = 0; i < 20; ++i) Send(LookupMessage("x"));
  ASSERT_TRUE(fs_->AwaitEntered(abi::FUSE_LOOKUP, 20));
  EXPECT_EQ(CloseAndWait().kind, StopReason::Kind::kUnmounted);
  session_.reset();
  // Replies outlive their session and do nothing; no SIGPIPE either.
  for (EntryReply& reply : kept) std::move(reply).Ok(HookFileSystem::Entry());
}

TEST_F(TransportTest, NoSigpipe) {
  // Its default action would end the test.
  signal(SIGPIPE, SIG_DFL);
  for (int round = 0; round < 20; ++round) {
    SocketPeer peer;
    peer.Send(peer.InitMessage(45, kAll));
    SessionOptions options;
    options.log = Lines::SinkTo(log_);
    auto session = Session::Serve(fs_, peer.TakeServerEnd(), options);
    ASSERT_TRUE(session.ok()) << session.status();
    for (int i = 0; i < 30; ++i) peer.Send(peer.Message(abi::FUSE_STATFS));
    peer.Close();
    const std::shared_ptr<Notifier> notifier =
        (*session)->connection().notifier();
    EXPECT_NE(notifier->InvalInode(1, 0, 0), 0);
    StopReason reason;
    Within(kPatience, "Wait", [&] { reason = (*session)->Wait(); });
    EXPECT_EQ(reason.kind, StopReason::Kind::kUnmounted) << reason.detail;
  }
}

TEST_F(TransportTest, StopEndsTheConnection) {
  Start();
  session_->Stop();
  const StopReason reason = Wait();
  EXPECT_EQ(reason.kind, StopReason::Kind::kStopped);
  EXPECT_EQ(reason.detail, "");
  EXPECT_TRUE(peer_.AwaitEnd()) << "the socket is still open";
}

TEST_F(TransportTest, AMountpointMayNameTheDescriptor) {
  peer_.Send(peer_.InitMessage(45, kAll));
  const uint64_t init = peer_.last_unique();
  UniqueFd end = peer_.TakeServerEnd();
  SessionOptions options;
  options.log = Lines::SinkTo(log_);
  auto session =
      Session::Mount(fs_, "/dev/fd/" + std::to_string(end.release()), options);
  ASSERT_TRUE(session.ok()) << session.status();
  session_ = *std::move(session);
  EXPECT_EQ(peer_.Await(init).error(), 0);
  EXPECT_EQ(peer_.Ping(), 0);
  EXPECT_EQ(CloseAndWait().kind, StopReason::Kind::kUnmounted);
}

TEST_F(TransportTest, OtherDescriptorsAreRefusedWithASentence) {
  TempDir dir;
  WriteFile(dir / "file", "");
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  UniqueFd writer(pipe_fds[1]);
  int stream[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream), 0);
  UniqueFd other(stream[1]);
  struct {
    std::string what;
    int fd;
  } cases[] = {
      {"file", open((dir / "file").c_str(), O_RDWR | O_CLOEXEC)},
      {"pipe", pipe_fds[0]},
      {"stream", stream[0]},
      {"null", open("/dev/null", O_RDWR | O_CLOEXEC)},
      {"directory", open("/", O_RDONLY | O_CLOEXEC)},
      {"closed", 4000},
  };
  for (const auto& it : cases) {
    SessionOptions options;
    options.log = Lines::SinkTo(log_);
    absl::Status status;
    Within(kPatience, "Serve of a " + it.what, [&] {
      status = Session::Serve(fs_, UniqueFd(it.fd), options).status();
    });
    EXPECT_FALSE(status.ok()) << it.what;
    EXPECT_GE(status.message().size(), 20u) << status;
  }
  EXPECT_FALSE(Session::Mount(fs_, "/dev/fd/4001", {}).ok());
}

TEST_F(TransportTest, ManySessionsInOneProcess) {
  const size_t descriptors = OpenDescriptors();
  const size_t threads = Threads();
  {
    constexpr int kSessions = 20;
    std::vector<std::unique_ptr<SocketPeer>> peers;
    std::vector<std::unique_ptr<Session>> sessions;
    for (int i = 0; i < kSessions; ++i) {
      peers.push_back(std::make_unique<SocketPeer>());
      SocketPeer& peer = *peers.back();
      // Each speaks a version of its own.
      peer.Send(peer.InitMessage(20 + i, kAll));
      SessionOptions options;
      options.workers = 1 + i % 2;
      options.log = Lines::SinkTo(log_);
      auto session = Session::Serve(std::make_shared<HookFileSystem>(),
                                    peer.TakeServerEnd(), options);
      ASSERT_TRUE(session.ok()) << session.status();
      sessions.push_back(*std::move(session));
      EXPECT_EQ(peer.Receive().As<abi::fuse_init_out>().minor, 20u + i);
    }
    for (int i = 0; i < kSessions; i += 2) peers[i]->Close();
    for (int i = 1; i < kSessions; i += 2) EXPECT_EQ(peers[i]->Ping(), 0);
    for (int i = 0; i < kSessions; ++i) {
      if (i % 2 == 1) sessions[i]->Stop();
      Within(kPatience, "Wait", [&] { sessions[i]->Wait(); });
    }
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(Threads(), threads);
}

}  // namespace
}  // namespace barefuse::testing
