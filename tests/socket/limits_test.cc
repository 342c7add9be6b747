// The options of a session in INIT's reply, and what they hold requests to.
#include <errno.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/socket/socket_test.h"

namespace barefuse::testing {
namespace {

class LimitsTest : public SocketTest {
 protected:
  // The status of a session with these options, whose kernel has sent INIT.
  absl::Status Refusal(SessionOptions options) {
    SocketPeer peer;
    peer.Send(peer.InitMessage(45, kAll));
    options.log = Lines::SinkTo(log_);
    absl::Status status;
    Within(kPatience, "Serve", [&] {
      status = Session::Serve(std::make_shared<HookFileSystem>(),
                              peer.TakeServerEnd(), options)
                   .status();
    });
    return status;
  }
};

TEST_F(LimitsTest, TheDefaults) {
  Start();
  EXPECT_EQ(init_.major, 7u);
  EXPECT_EQ(init_.minor, 45u);
  EXPECT_EQ(init_.max_readahead, 128u << 10) << "the kernel's offer";
  EXPECT_EQ(init_.max_write, 1u << 20);
  EXPECT_EQ(init_.max_pages, 256u);
  EXPECT_EQ(init_.max_background, 64u);
  EXPECT_EQ(init_.congestion_threshold, 48u);
  EXPECT_EQ(init_.request_timeout, 0u);
  EXPECT_EQ(init_.time_gran, 1u);
}

TEST_F(LimitsTest, WhatIsAskedFor) {
  Start({.max_write = 256 << 10,
         .max_readahead = 4096,
         .max_background = 17,
         .congestion_threshold = 5,
         .request_timeout = absl::Seconds(100)});
  EXPECT_EQ(init_.max_readahead, 4096u);
  EXPECT_EQ(init_.max_write, 256u << 10);
  EXPECT_EQ(init_.max_pages, 64u);
  EXPECT_EQ(init_.max_background, 17u);
  EXPECT_EQ(init_.congestion_threshold, 5u);
  EXPECT_EQ(init_.request_timeout, 100u);
  EXPECT_NE(init_.flags2 & (abi::FUSE_REQUEST_TIMEOUT >> 32), 0u);
}

TEST_F(LimitsTest, PagesLowerTheSize) {
  Start({.max_pages = 8});
  EXPECT_EQ(init_.max_pages, 8u);
  EXPECT_EQ(init_.max_write, 8u * 4096);
}

TEST_F(LimitsTest, NoMorePagesThanTheSizeNeeds) {
  Start({.max_write = 4096, .max_pages = 256});
  EXPECT_EQ(init_.max_pages, 1u);
  EXPECT_EQ(init_.max_write, 4096u);
}

TEST_F(LimitsTest, WithoutMaxPagesTheKernelTakes32) {
  Start({}, 45, kAll & ~abi::FUSE_MAX_PAGES);
  EXPECT_EQ(init_.max_write, 32u * 4096);
  EXPECT_EQ(init_.flags & abi::FUSE_MAX_PAGES, 0u);
}

TEST_F(LimitsTest, TheThresholdIsThreeQuarters) {
  Start({.max_background = 1000});
  EXPECT_EQ(init_.max_background, 1000u);
  EXPECT_EQ(init_.congestion_threshold, 750u);
}

TEST_F(LimitsTest, AnOlderMinorIsKept) {
  Start({.max_minor = 12}, 45);
  EXPECT_EQ(init_.minor, 12u);
  EXPECT_EQ(init_size_, 24u);
}

TEST_F(LimitsTest, NothingIsGrantedThatWasNotOffered) {
  Start({.request_timeout = absl::Seconds(100)}, 45, 0);
  EXPECT_EQ(init_.flags, 0u);
  EXPECT_EQ(init_.flags2, 0u);
  EXPECT_EQ(init_.request_timeout, 0u);
  EXPECT_EQ(init_.max_stack_depth, 0u);
}

TEST_F(LimitsTest, BadOptionsAreRefusedWithASentence) {
  const struct {
    SessionOptions options;
    std::string_view names;  // what the message speaks of
  } cases[] = {
      {{.slots_per_worker = 0}, "slots"},
      {{.slots_per_worker = 1}, "slots"},
      {{.slots_per_worker = 4097}, "slots"},
      {{.offload_threads = 1025}, "offload"},
      {{.busy_poll = absl::Seconds(2)}, "poll"},
      {{.busy_poll = -absl::Seconds(1)}, "poll"},
      {{.max_minor = 0}, "minor"},
      {{.max_minor = 46}, "minor"},
      {{.max_write = 0}, "max_write"},
      {{.max_write = 4095}, "max_write"},
      {{.max_write = (1 << 20) + 1}, "max_write"},
      {{.max_pages = 257}, "max_pages"},
      {{.request_timeout = -absl::Seconds(1)}, "timeout"},
      {{.request_timeout = absl::InfiniteDuration()}, "timeout"},
      {{.request_timeout = absl::Seconds(70000)}, "timeout"},
      {{.backing_depth = 2}, "depth"},
  };
  for (const auto& it : cases) {
    const absl::Status status = Refusal(it.options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
        << it.names << " " << it.options.max_write << ": " << status;
    EXPECT_NE(std::string(status.message()).find(it.names), std::string::npos)
        << status;
  }
  EXPECT_TRUE(Refusal({.slots_per_worker = 2}).ok());
  EXPECT_TRUE(Refusal({.workers = 3, .slots_per_worker = 4096}).ok());
}

// --- Sizes that requests ask for ---

class AskedTest : public SocketTest,
                  public ::testing::WithParamInterface<uint32_t> {
 protected:
  uint32_t most() const { return GetParam(); }
  // What a reply carries at most: a slot has room for 128 KiB at least.
  uint32_t room() const { return std::max(most(), 128u << 10); }

  void StartWith() {
    Start({.workers = 1, .max_write = most()});
    ASSERT_EQ(init_.max_write, most());
  }
};

TEST_P(AskedTest, Read) {
  StartWith();
  for (uint32_t size :
       {0u, 1u, most() - 1, most(), room() + 1, 1u << 31, UINT32_MAX}) {
    const Received reply = peer_.Ask(ReadMessage(size));
    ASSERT_EQ(reply.error(), 0) << size;
    ASSERT_EQ(reply.body.size(), std::min(size, room())) << size;
  }
}

TEST_P(AskedTest, Readdir) {
  fs_->hooks.Readdir = [](const ReaddirRequest& request, DirectoryReply reply) {
    uint64_t next = request->offset + 1;
    while (next < 100000 && reply.Add("name", 2, DT_REG, next)) ++next;
    std::move(reply).Ok();
  };
  fs_->hooks.Readdirplus = [](const ReaddirplusRequest&,
                              DirectoryPlusReply reply) {
    uint64_t next = 1;
    while (next < 100000 && reply.Fits("name") &&
           reply.Add(HookFileSystem::Entry(), "name", DT_REG, next)) {
      ++next;
    }
    std::move(reply).Ok();
  };
  StartWith();
  for (uint32_t opcode : {abi::FUSE_READDIR, abi::FUSE_READDIRPLUS}) {
    const uint32_t record = opcode == abi::FUSE_READDIR ? 32 : 160;
    for (uint32_t size :
         {0u, 1u, record - 1, record, most(), room() + 1, UINT32_MAX}) {
      abi::fuse_read_in in{};
      in.size = size;
      const Received reply = peer_.Ask(peer_.Message(opcode).Struct(in));
      ASSERT_EQ(reply.error(), 0) << size;
      const uint32_t fits = std::min(size, room());
      EXPECT_EQ(reply.body.size(), std::min(fits / record, 99999u) * record)
          << size;
    }
  }
}

TEST_P(AskedTest, Xattrs) {
  const std::string value(100, 'v');
  fs_->hooks.Getxattr = [&](const GetxattrRequest&, XattrReply reply) {
    std::move(reply).OkCopy(value);
  };
  fs_->hooks.Listxattr = [&](const ListxattrRequest&, XattrReply reply) {
    EXPECT_LE(reply.buffer().size(), room());
    std::move(reply).Ok(std::min<size_t>(reply.buffer().size(), 100));
  };
  StartWith();
  for (uint32_t size : {0u, 99u, 100u, 65536u, UINT32_MAX}) {
    const abi::fuse_getxattr_in in{size, 0};
    const Received reply =
        peer_.Ask(peer_.Message(abi::FUSE_GETXATTR).Struct(in).Name("user.x"));
    if (size == 0) {
      EXPECT_EQ(reply.As<abi::fuse_getxattr_out>().size, 100u);
    } else if (size == 99) {
      EXPECT_EQ(reply.error(), ERANGE);
    } else {
      EXPECT_EQ(reply.body, value);
    }
    EXPECT_EQ(peer_.Ask(peer_.Message(abi::FUSE_LISTXATTR).Struct(in)).error(),
              0);
  }
}

TEST_P(AskedTest, Ioctl) {
  StartWith();
  for (uint32_t size : {0u, 10u, most(), UINT32_MAX}) {
    abi::fuse_ioctl_in in{};
    in.out_size = size;
    const Received reply =
        peer_.Ask(peer_.Message(abi::FUSE_IOCTL, 2).Struct(in));
    if (reply.error() != 0) {
      ADD_FAILURE() << size << ": " << reply.error();
      continue;
    }
    EXPECT_LE(reply.body.size(), sizeof(abi::fuse_ioctl_out) + room());
    if (size <= 10) {
      EXPECT_EQ(reply.body.size(), sizeof(abi::fuse_ioctl_out) + size);
    }
  }
}

TEST_P(AskedTest, Write) {
  StartWith();
  const Received most_reply = peer_.Ask(WriteMessage(std::string(most(), 'w')));
  EXPECT_EQ(most_reply.As<abi::fuse_write_out>().size, most());
  // A size that is a lie.
  abi::fuse_write_in in{};
  in.size = UINT32_MAX;
  EXPECT_EQ(peer_.Ask(peer_.Message(abi::FUSE_WRITE, 2).Struct(in).Raw("data"))
                .error(),
            EIO);
  peer_.ExpectSilence();
}

INSTANTIATE_TEST_SUITE_P(MaxWrite, AskedTest,
                         ::testing::Values(4096, 65536, 1 << 20));

}  // namespace
}  // namespace barefuse::testing
