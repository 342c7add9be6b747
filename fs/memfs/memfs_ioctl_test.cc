// ioctl and poll.
#include <errno.h>
#include <linux/fs.h>
#include <poll.h>

#include "fs/memfs/ioctls.h"
#include "fs/memfs/memfs_fixture.h"

namespace barefuse::memfs {
namespace {

class Ioctls : public MemfsFixture {
 protected:
  static MemfsOptions Options(bool test_ioctls) {
    MemfsOptions options;
    options.test_ioctls = test_ioctls;
    return options;
  }
  explicit Ioctls(bool test_ioctls = false)
      : MemfsFixture(Options(test_ioctls)) {
    EXPECT_EQ(Create(kRoot, "f", &file_, &fh_), 0);
  }
  testing::MessageBuilder IoctlMessage(uint64_t node, uint64_t fh, uint32_t cmd,
                                       std::string_view in, uint32_t out_size,
                                       uint64_t arg = 0) {
    abi::fuse_ioctl_in fixed{};
    fixed.fh = fh;
    fixed.cmd = cmd;
    fixed.arg = arg;
    fixed.in_size = static_cast<uint32_t>(in.size());
    fixed.out_size = out_size;
    return Message(abi::FUSE_IOCTL, node).Struct(fixed).Raw(in);
  }
  template <class T>
  static std::string_view Bytes(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  // What came back behind fuse_ioctl_out.
  template <class T>
  int Get(uint64_t node, uint64_t fh, uint32_t cmd, T* out) {
    std::string body;
    const int error = Ask(IoctlMessage(node, fh, cmd, {}, sizeof *out), &body);
    if (error == 0 &&
        body.size() == sizeof(abi::fuse_ioctl_out) + sizeof *out) {
      std::memcpy(out, body.data() + sizeof(abi::fuse_ioctl_out), sizeof *out);
    }
    return error;
  }
  template <class T>
  int Put(uint64_t node, uint64_t fh, uint32_t cmd, const T& in) {
    return Ask(IoctlMessage(node, fh, cmd, Bytes(in), 0));
  }
  int SetFlags(uint32_t flags) {
    return Put(file_, fh_, FS_IOC_SETFLAGS, flags);
  }

  uint64_t file_ = 0;
  uint64_t fh_ = 0;
};

TEST_F(Ioctls, UnknownOnesAreNone) {
  EXPECT_EQ(Put(file_, fh_, 0x1234, 5), ENOTTY);
  EXPECT_EQ(Put(file_, fh_ + 9, MEMFS_IOC_SET_POLL, 5), EBADF);
  EXPECT_EQ(Put(file_, fh_, MEMFS_IOC_SET_POLL, 'x'), EINVAL);
  // Those for tests are off.
  EXPECT_EQ(Put(file_, fh_, MEMFS_IOC_POKE, memfs_poke{}), ENOTTY);
}

TEST_F(Ioctls, InfoSaysWhatIsKnown) {
  memfs_info info{};
  ASSERT_EQ(Write(file_, fh_, 5000, "x"), 0);
  ASSERT_EQ(Get(file_, fh_, MEMFS_IOC_GET_INFO, &info), 0);
  EXPECT_EQ(info.nodeid, file_);
  EXPECT_EQ(info.size, 5001u);
  EXPECT_EQ(info.allocated, 4096u);
  EXPECT_EQ(info.opens, 1u);
  EXPECT_EQ(info.lookups, 1u);
}

TEST_F(Ioctls, ImmutableFilesStayAsTheyAre) {
  ASSERT_EQ(SetFlags(FS_IMMUTABLE_FL), 0);
  uint32_t flags = 0;
  ASSERT_EQ(Get(file_, fh_, FS_IOC_GETFLAGS, &flags), 0);
  EXPECT_EQ(flags, uint32_t{FS_IMMUTABLE_FL});
  uint64_t fh = 0;
  EXPECT_EQ(Open(file_, O_WRONLY, &fh), EPERM);
  EXPECT_EQ(Open(file_, O_RDONLY, &fh), 0);
  EXPECT_EQ(Write(file_, fh_, 0, "x"), EPERM);
  EXPECT_EQ(Truncate(file_, 5), EPERM);
  EXPECT_EQ(Chmod(file_, 0), EPERM);
  EXPECT_EQ(Setxattr(file_, "user.x", "y"), EPERM);
  EXPECT_EQ(Unlink(kRoot, "f"), EPERM);
  EXPECT_EQ(Rename(kRoot, "f", kRoot, "g"), EPERM);
  EXPECT_EQ(Link(file_, kRoot, "g"), EPERM);
  ASSERT_EQ(SetFlags(0), 0);
  EXPECT_EQ(Unlink(kRoot, "f"), 0);
  EXPECT_EQ(SetFlags(FS_COMPR_FL), EOPNOTSUPP);
}

TEST_F(Ioctls, AppendOnlyFilesGrow) {
  ASSERT_EQ(SetFlags(FS_APPEND_FL), 0);
  uint64_t fh = 0;
  EXPECT_EQ(Open(file_, O_WRONLY, &fh), EPERM);
  EXPECT_EQ(Open(file_, O_WRONLY | O_APPEND | O_TRUNC, &fh), EPERM);
  ASSERT_EQ(Open(file_, O_WRONLY | O_APPEND, &fh), 0);
  EXPECT_EQ(Write(file_, fh, 0, "x"), 0);
  EXPECT_EQ(Truncate(file_, 0), EPERM);
  EXPECT_EQ(Unlink(kRoot, "f"), EPERM);
}

TEST_F(Ioctls, PollSaysWhatAProgramSays) {
  auto poll = [this](uint32_t flags) {
    abi::fuse_poll_out out{};
    EXPECT_EQ(AskFor(Message(abi::FUSE_POLL, file_)
                         .Struct(abi::fuse_poll_in{fh_, 99, flags, POLLIN}),
                     &out),
              0);
    return out.revents;
  };
  EXPECT_EQ(poll(0) & (POLLIN | POLLOUT), uint32_t{POLLIN | POLLOUT});
  ASSERT_EQ(Put(file_, fh_, MEMFS_IOC_SET_POLL, uint32_t{0}), 0);
  EXPECT_EQ(poll(abi::FUSE_POLL_SCHEDULE_NOTIFY), 0u);
  memfs_info info{};
  ASSERT_EQ(Get(file_, fh_, MEMFS_IOC_GET_INFO, &info), 0);
  EXPECT_EQ(info.pollers, 1u);
  ASSERT_EQ(Put(file_, fh_, MEMFS_IOC_SET_POLL, uint32_t{POLLPRI}), 0);
  EXPECT_EQ(poll(0), uint32_t{POLLPRI});
  ASSERT_EQ(Get(file_, fh_, MEMFS_IOC_GET_INFO, &info), 0);
  EXPECT_EQ(info.pollers, 0u) << "woken once";
}

class TestIoctlsTest : public Ioctls {
 protected:
  TestIoctlsTest() : Ioctls(true) {}
};

TEST_F(TestIoctlsTest, PokeChangesTheFile) {
  memfs_poke poke{};
  poke.kind = MEMFS_POKE_WRITE;
  poke.size = 4;
  std::memcpy(poke.data, "data", 4);
  ASSERT_EQ(Put(file_, fh_, MEMFS_IOC_POKE, poke), 0);
  std::string data;
  ASSERT_EQ(Read(file_, fh_, 0, 10, &data), 0);
  EXPECT_EQ(data, "data");
  poke.size = UINT32_MAX;  // no more than there is
  ASSERT_EQ(Put(file_, fh_, MEMFS_IOC_POKE, poke), 0);
  EXPECT_EQ(Attr(file_).size, sizeof poke.data);

  abi::fuse_open_out directory{};
  ASSERT_EQ(AskFor(Message(abi::FUSE_OPENDIR, kRoot)
                       .Struct(abi::fuse_open_in{O_RDONLY, 0}),
                   &directory),
            0);
  auto names = [&](uint32_t kind, std::string_view name, std::string_view to) {
    memfs_poke change{};
    change.kind = kind;
    std::memcpy(change.name, name.data(), name.size());
    std::memcpy(change.to, to.data(), to.size());
    return Put(kRoot, directory.fh, MEMFS_IOC_POKE, change);
  };
  EXPECT_EQ(names(MEMFS_POKE_CREATE, "g", ""), 0);
  EXPECT_EQ(names(MEMFS_POKE_CREATE, "g", ""), EEXIST);
  EXPECT_EQ(names(MEMFS_POKE_CREATE, "..", ""), EINVAL);
  EXPECT_EQ(names(MEMFS_POKE_RENAME, "g", "h"), 0);
  EXPECT_TRUE(Exists(kRoot, "h"));
  EXPECT_EQ(names(MEMFS_POKE_REMOVE, "h", ""), 0);
  EXPECT_EQ(names(MEMFS_POKE_REMOVE, "h", ""), ENOENT);
}

TEST_F(TestIoctlsTest, NotificationsHaveResults) {
  memfs_notify notify{};
  notify.kind = MEMFS_NOTIFY_INVAL_INODE;
  std::string body;
  ASSERT_EQ(Ask(IoctlMessage(file_, fh_, MEMFS_IOC_NOTIFY, Bytes(notify),
                             sizeof notify),
                &body),
            0);
  std::memcpy(&notify, body.data() + sizeof(abi::fuse_ioctl_out),
              sizeof notify);
  EXPECT_NE(notify.id, 0u);
  memfs_notify_result result{};
  result.id = notify.id + 1;
  EXPECT_EQ(Ask(IoctlMessage(file_, fh_, MEMFS_IOC_NOTIFY_WAIT, Bytes(result),
                             sizeof result)),
            ENOENT);
  // There is no device here: the answer comes sooner or later, and says so.
  result.id = notify.id;
  ASSERT_TRUE(server_.Send(IoctlMessage(file_, fh_, MEMFS_IOC_NOTIFY_WAIT,
                                        Bytes(result), sizeof result)
                               .Bytes()));
  std::vector<testing::RawReply> replies;
  while (replies.empty()) replies = server_.Take();
  ASSERT_EQ(replies.size(), 1u);
  ASSERT_EQ(replies[0].error(), 0);
  std::memcpy(&result, replies[0].body.data() + sizeof(abi::fuse_ioctl_out),
              sizeof result);
  EXPECT_EQ(result.id, notify.id);
  EXPECT_NE(result.error, 0);
}

TEST_F(TestIoctlsTest, MemoryIsAskedForPieceByPiece) {
  ASSERT_EQ(Write(file_, fh_, 0, "content"), 0);
  auto ask = [this](std::string_view in, uint32_t out_size, std::string* body,
                    abi::fuse_ioctl_out* out) {
    EXPECT_EQ(
        Ask(IoctlMessage(file_, fh_, MEMFS_IOC_READ_TO, in, out_size, 0x1000),
            body),
        0);
    ASSERT_GE(body->size(), sizeof *out);
    std::memcpy(out, body->data(), sizeof *out);
    body->erase(0, sizeof *out);
  };
  std::string body;
  abi::fuse_ioctl_out out{};
  abi::fuse_ioctl_iovec iovecs[2];
  ask("", 0, &body, &out);
  EXPECT_EQ(out.flags, abi::FUSE_IOCTL_RETRY);
  EXPECT_EQ(out.in_iovs, 1u);
  EXPECT_EQ(out.out_iovs, 0u);
  ASSERT_EQ(body.size(), sizeof iovecs[0]);
  std::memcpy(iovecs, body.data(), sizeof iovecs[0]);
  EXPECT_EQ(iovecs[0].base, 0x1000u);
  EXPECT_EQ(iovecs[0].len, sizeof(memfs_vector));

  const memfs_vector vector{0x2000, 4};
  ask(Bytes(vector), 0, &body, &out);
  EXPECT_EQ(out.flags, abi::FUSE_IOCTL_RETRY);
  EXPECT_EQ(out.out_iovs, 1u);
  ASSERT_EQ(body.size(), sizeof iovecs);
  std::memcpy(iovecs, body.data(), sizeof iovecs);
  EXPECT_EQ(iovecs[1].base, 0x2000u);
  EXPECT_EQ(iovecs[1].len, 4u);

  ask(Bytes(vector), 4, &body, &out);
  EXPECT_EQ(out.flags, 0u);
  EXPECT_EQ(out.result, 4);
  EXPECT_EQ(body, "cont");
}

}  // namespace
}  // namespace barefuse::memfs
