#include "server/dispatch.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>

#include "tests/testing/local_server.h"

namespace barefuse {
namespace {

using barefuse::testing::LocalServer;
using barefuse::testing::MessageBuilder;
using barefuse::testing::RawReply;

// Answers a few operations and keeps what it is told.
class Recorder : public FileSystem {
 public:
  void Lookup(const LookupRequest& request, EntryReply reply) override {
    name = request->name;
    ids = request.ids();
    abi::fuse_entry_out entry{};
    entry.nodeid = 33;
    std::move(reply).Ok(entry);
  }
  void Forget(NodeId node, uint64_t lookups) override {
    forgotten.emplace_back(node, lookups);
  }
  void Getattr(const GetattrRequest&, AttrReply reply) override {
    kept.emplace_back(std::move(reply));
  }
  void Read(const ReadRequest& request, DataReply reply) override {
    EXPECT_EQ(reply.buffer().size(), request->size);
    std::memset(reply.buffer().data(), 'r', reply.buffer().size());
    std::move(reply).Ok(reply.buffer().size());
  }
  void Write(const WriteRequest& request, WriteReply reply) override {
    ids = request.ids();
    std::move(reply).Ok(request->data.size());
  }
  void Unlink(const UnlinkRequest&, EmptyReply) override {}  // dropped
  void Getxattr(const GetxattrRequest&, XattrReply reply) override {
    std::move(reply).OkCopy("value");
  }
  void Open(const OpenRequest&, OpenReply reply) override {
    reply.KeepCache();
    reply.NoFlush();
    reply.Passthrough(backing_id);
    std::move(reply).Ok(9);
  }
  void Destroy() override { destroyed = true; }

  std::string name;
  std::optional<Ids> ids;
  std::vector<std::pair<NodeId, uint64_t>> forgotten;
  std::vector<AttrReply> kept;
  int32_t backing_id = 0;
  bool destroyed = false;
};

class DispatchTest : public ::testing::Test {
 protected:
  template <class T>
  T BodyOf(const std::optional<RawReply>& reply) {
    T out{};
    EXPECT_TRUE(reply.has_value());
    if (!reply.has_value()) return out;
    EXPECT_EQ(reply->header.error, 0);
    EXPECT_EQ(reply->body.size(), sizeof(T));
    std::memcpy(&out, reply->body.data(),
                std::min(sizeof out, reply->body.size()));
    return out;
  }
  MessageBuilder Open() {
    return MessageBuilder(abi::FUSE_OPEN).Struct(abi::fuse_open_in{});
  }

  std::shared_ptr<Recorder> fs_ = std::make_shared<Recorder>();
  LocalServer server_{fs_};
};

TEST_F(DispatchTest, CallsTheFunctionOfTheOperation) {
  auto reply = server_.Ask(MessageBuilder(abi::FUSE_LOOKUP, 1, 8).Name("a"));
  EXPECT_EQ(BodyOf<abi::fuse_entry_out>(reply).nodeid, 33u);
  EXPECT_EQ(reply->header.unique, 8u);
  EXPECT_EQ(reply->header.len, 16u + sizeof(abi::fuse_entry_out));
  EXPECT_EQ(fs_->name, "a");
  ASSERT_TRUE(fs_->ids.has_value());
  EXPECT_EQ(fs_->ids->uid, 1000u);
}

TEST_F(DispatchTest, AnswersWhatTheFileSystemDoesNotHaveWithEnosys) {
  EXPECT_EQ(server_
                .Ask(MessageBuilder(abi::FUSE_FALLOCATE)
                         .Struct(abi::fuse_fallocate_in{}))
                ->error(),
            ENOSYS);
  EXPECT_EQ(server_.Ask(MessageBuilder(99))->error(), ENOSYS);
  EXPECT_EQ(server_.pool().counters().unknown.value(), 1u);
}

TEST_F(DispatchTest, AnswersAMalformedBodyWithEioAndGoesOn) {
  EXPECT_EQ(
      server_.Ask(MessageBuilder(abi::FUSE_LOOKUP).Raw("no nul"))->error(),
      EIO);
  EXPECT_EQ(server_.pool().counters().malformed.value(), 1u);
  EXPECT_NE(server_.log().find("no terminating NUL"), std::string::npos);
  EXPECT_TRUE(server_.Ask(MessageBuilder(abi::FUSE_LOOKUP).Name("b")));
  EXPECT_EQ(fs_->name, "b");
}

TEST_F(DispatchTest, DropsWhatNobodyWaitsFor) {
  MessageBuilder liar(abi::FUSE_LOOKUP);
  liar.Name("x").header().len = 4000;
  ASSERT_TRUE(server_.Send(liar.Bytes()));
  ASSERT_TRUE(server_.Send(MessageBuilder(abi::FUSE_STATFS, 1, 0).Bytes()));
  ASSERT_TRUE(server_.Send(MessageBuilder(abi::FUSE_FORGET).Raw("12").Bytes()));
  EXPECT_TRUE(server_.Take().empty());
  EXPECT_EQ(server_.pool().counters().dropped_messages.value(), 3u);
}

TEST_F(DispatchTest, NeverAnswersForgets) {
  ASSERT_TRUE(server_.Send(MessageBuilder(abi::FUSE_FORGET, 5)
                               .Struct(abi::fuse_forget_in{2})
                               .Bytes()));
  ASSERT_TRUE(server_.Send(MessageBuilder(abi::FUSE_BATCH_FORGET)
                               .Struct(abi::fuse_batch_forget_in{2, 0})
                               .Struct(abi::fuse_forget_one{6, 1})
                               .Struct(abi::fuse_forget_one{7, 3})
                               .Bytes()));
  ASSERT_TRUE(server_.Send(MessageBuilder(abi::FUSE_INTERRUPT)
                               .Struct(abi::fuse_interrupt_in{4})
                               .Bytes()));
  EXPECT_TRUE(server_.Take().empty());
  const std::vector<std::pair<NodeId, uint64_t>> expected = {
      {5, 2}, {6, 1}, {7, 3}};
  EXPECT_EQ(fs_->forgotten, expected);
}

TEST_F(DispatchTest, ASecondInitIsAnError) {
  abi::fuse_init_in init{};
  init.major = 7;
  EXPECT_EQ(
      server_.Ask(MessageBuilder(abi::FUSE_INIT, 0).Struct(init))->error(),
      EIO);
}

TEST_F(DispatchTest, DestroyIsHandedOnAndAnswered) {
  auto reply = server_.Ask(MessageBuilder(abi::FUSE_DESTROY, 0));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->header.error, 0);
  EXPECT_TRUE(fs_->destroyed);
}

TEST_F(DispatchTest, ADroppedReplyIsEioAndCounted) {
  EXPECT_EQ(server_.Ask(MessageBuilder(abi::FUSE_UNLINK).Name("x"))->error(),
            EIO);
  EXPECT_EQ(server_.connection().dropped_replies(), 1u);
  EXPECT_NE(server_.log().find("dropped its reply"), std::string::npos);
}

TEST_F(DispatchTest, AnAnswerMayComeLaterFromAnotherThread) {
  auto getattr =
      MessageBuilder(abi::FUSE_GETATTR).Struct(abi::fuse_getattr_in{});
  ASSERT_TRUE(server_.Send(getattr.Bytes()));
  EXPECT_TRUE(server_.Take().empty());
  std::thread([&] { std::move(fs_->kept[0]).Error(ENXIO); }).join();
  std::vector<RawReply> replies = server_.Take();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].error(), ENXIO);
}

TEST_F(DispatchTest, ARepliesOwnerMayOutliveTheServer) {
  auto getattr =
      MessageBuilder(abi::FUSE_GETATTR).Struct(abi::fuse_getattr_in{});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(server_.Send(getattr.Bytes()));
  EXPECT_FALSE(server_.Send(getattr.Bytes()));  // all slots are taken
  std::move(fs_->kept[0]).Error(ENXIO);
  fs_->kept.erase(fs_->kept.begin() + 1);  // dropped, and so answered
  EXPECT_EQ(server_.Take().size(), 2u);
  EXPECT_EQ(server_.Close(), 2u);
  // Inert now; the last one takes the memory along (a leak checker sees).
  std::move(fs_->kept[1]).Error(ENXIO);
  fs_->kept.clear();
}

TEST_F(DispatchTest, GivesAsMuchRoomAsWasAskedFor) {
  abi::fuse_read_in in{};
  in.size = 10000;
  auto reply = server_.Ask(MessageBuilder(abi::FUSE_READ).Struct(in));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body, std::string(10000, 'r'));
}

TEST_F(DispatchTest, ClampsWhatIsAskedForToWhatAReplyCarries) {
  class Reader : public FileSystem {
    void Read(const ReadRequest&, DataReply reply) override {
      const size_t room = reply.buffer().size();
      std::move(reply).Ok(room);
    }
  };
  LocalServer server(std::make_shared<Reader>());
  abi::fuse_read_in in{};
  in.size = ~0u;
  auto reply = server.Ask(MessageBuilder(abi::FUSE_READ).Struct(in));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body.size(), 1u << 20);
}

TEST_F(DispatchTest, XattrsComeInTheFormAskedFor) {
  auto ask = [&](uint32_t size) {
    return server_.Ask(MessageBuilder(abi::FUSE_GETXATTR)
                           .Struct(abi::fuse_getxattr_in{size, 0})
                           .Name("user.x"));
  };
  EXPECT_EQ(BodyOf<abi::fuse_getxattr_out>(ask(0)).size, 5u);
  EXPECT_EQ(ask(5)->body, "value");
  EXPECT_EQ(ask(4)->error(), ERANGE);
}

TEST_F(DispatchTest, WritebackHasNoCaller) {
  abi::fuse_write_in in{};
  in.size = 1;
  ASSERT_TRUE(server_.Ask(MessageBuilder(abi::FUSE_WRITE).Struct(in).Raw("x")));
  EXPECT_TRUE(fs_->ids.has_value());
  in.write_flags = abi::FUSE_WRITE_CACHE;
  ASSERT_TRUE(server_.Ask(MessageBuilder(abi::FUSE_WRITE).Struct(in).Raw("x")));
  EXPECT_FALSE(fs_->ids.has_value());
}

TEST_F(DispatchTest, ABackingIdSetsPassthroughAndClearsWhatItExcludes) {
  fs_->backing_id = 4;
  // Without FUSE_PASSTHROUGH the id is not sent, and the flags stay.
  auto plain = BodyOf<abi::fuse_open_out>(server_.Ask(Open()));
  EXPECT_EQ(plain.backing_id, 0);
  EXPECT_EQ(plain.open_flags, abi::FOPEN_KEEP_CACHE | abi::FOPEN_NOFLUSH);

  LocalServer server(fs_, abi::FUSE_PASSTHROUGH);
  auto passed = BodyOf<abi::fuse_open_out>(server.Ask(Open()));
  EXPECT_EQ(passed.fh, 9u);
  EXPECT_EQ(passed.backing_id, 4);
  // No KEEP_CACHE: the pages of earlier opens are dropped.
  EXPECT_EQ(passed.open_flags, abi::FOPEN_PASSTHROUGH | abi::FOPEN_NOFLUSH);
}

}  // namespace
}  // namespace barefuse
