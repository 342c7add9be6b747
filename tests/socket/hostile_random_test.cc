// A small kernel that is out of its mind: each request is well formed, but its
// nodes, handles, names and numbers are drawn from what was given out, what was
// given back and what nobody has ever heard of.
#include <linux/fs.h>

#include <algorithm>
#include <random>

#include "tests/socket/hostile_passthrough.h"

namespace barefuse::testing {
namespace {

class HostileRandomTest : public HostilePassthrough {
 protected:
  void StartFrom(uint64_t seed) {
    random_.seed(seed);
    known_ = nodes_;
    known_.push_back(1);
  }

  // Sends `count` requests, some at a time, and takes their answers.
  void Rave(int count) {
    constexpr int kAtATime = 6;
    for (int i = 0; i < count; i += kAtATime) {
      std::vector<std::pair<uint32_t, uint64_t>> sent;
      for (int k = 0; k < kAtATime; ++k) {
        MessageBuilder message = Next();
        sent.emplace_back(message.header().opcode, Send(message));
      }
      for (const auto& [opcode, unique] : sent) {
        const Received reply = peer_.Await(unique);
        ASSERT_TRUE(reply.came) << "opcode " << opcode;
        ASSERT_GE(reply.error(), 0);
        ASSERT_LT(reply.error(), 512);
        ASSERT_EQ(reply.body.find(Canary::kSecret), reply.body.npos);
        if (reply.error() == 0) Learn(opcode, reply);
      }
      if (Below(20) == 0) Send(ForgetMessage(AnyNode(), Number()));
    }
    ExpectNoMore();
  }
  // Gives all back.
  void ComeToReason() {
    for (uint64_t node : given_) {
      if (node != 1) Send(ForgetMessage(node, ~uint64_t{0}));
    }
    abi::fuse_release_in release{};
    // Every handle that can have been given out, lost ones too.
    for (uint64_t handle = 1; handle <= highest_handle_; ++handle) {
      release.fh = handle;
      Ask(Message(abi::FUSE_RELEASE).Struct(release));
      Ask(Message(abi::FUSE_RELEASEDIR).Struct(release));
    }
    EXPECT_EQ(passthrough_->open_files(), 0u);
    EXPECT_EQ(passthrough_->open_directories(), 0u);
    // FORGETs are not answered, and another worker may be at the last.
    EXPECT_TRUE(Eventually([this] { return passthrough_->inodes() == 1; }));
    known_.clear();
    given_.clear();
  }

  size_t answered() const { return answered_; }

 private:
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  template <class T>
  const T& OneOf(const std::vector<T>& all) {
    return all[Below(all.size())];
  }

  // --- What requests are made of ---

  uint64_t AnyNode() {
    if (known_.empty() || Below(12) == 0) {
      return OneOf<uint64_t>({0, 1, 2, 63, 64, 65, 1000, random_(),
                              OneOf(known_.empty() ? nodes_ : known_) + 64,
                              ~uint64_t{0}});
    }
    return OneOf(known_);
  }
  uint64_t AnyHandle() {
    if (handles_.empty() || Below(10) == 0) {
      return OneOf<uint64_t>({0, 1, 2, 7, random_(), ~uint64_t{0}});
    }
    return OneOf(handles_);
  }
  std::string AnyName() {
    static const auto* const names =
        new std::vector<std::string>{"..",
                                     ".",
                                     "a/b",
                                     "/etc/passwd",
                                     "../x",
                                     "../outside",
                                     "",
                                     "file",
                                     "dir",
                                     "link",
                                     "up",
                                     "outside",
                                     "fifo",
                                     "char",
                                     "block",
                                     "socket",
                                     "inner",
                                     "secret",
                                     std::string(255, 'n'),
                                     "new",
                                     "other",
                                     std::string(256, 'n'),
                                     "third",
                                     "a\xff\n",
                                     std::string(4095, 'n')};
    return Below(4) == 0 ? "n" + std::to_string(Below(20)) : OneOf(*names);
  }
  uint64_t Number() {
    return OneOf<uint64_t>({0, 1, 7, 4096, uint64_t{1} << 20, uint64_t{1} << 32,
                            INT64_MAX, uint64_t{1} << 63, ~uint64_t{0},
                            random_(), Below(10000), Below(100)});
  }
  uint32_t Small() { return static_cast<uint32_t>(Number()); }
  uint32_t Size() { return static_cast<uint32_t>(Below(5000)); }
  uint32_t AnyMode() { return static_cast<uint32_t>(random_()) & 0x1ffff; }
  uint32_t AnyFlags() {
    uint32_t flags = static_cast<uint32_t>(Below(4));
    for (int flag : {O_PATH, O_TMPFILE, O_CREAT, O_DIRECTORY, O_EXCL, O_TRUNC,
                     O_APPEND, O_DIRECT, O_NOFOLLOW, O_NOATIME}) {
      if (Below(8) == 0) flags |= static_cast<uint32_t>(flag);
    }
    return flags;
  }
  std::string AnyXattr() {
    return OneOf<std::string>(
        {"user.x", "user.", "trusted.x", "security.x", "security.capability",
         "system.posix_acl_access", "system.posix_acl_default", "system.x", "x",
         "", "../x", std::string(255, 'x'), std::string(256, 'x')});
  }
  std::string AnyTarget() {
    return OneOf<std::string>({canary_->path(), canary_->path() + "/secret",
                               "../outside", "../outside/secret", "..", "/",
                               ".", "file", "/proc/self/root"});
  }

  MessageBuilder Next() {
    static const auto* const opcodes = new std::vector<uint32_t>{
        abi::FUSE_LOOKUP,      abi::FUSE_GETATTR,
        abi::FUSE_SETATTR,     abi::FUSE_READLINK,
        abi::FUSE_SYMLINK,     abi::FUSE_MKNOD,
        abi::FUSE_MKDIR,       abi::FUSE_UNLINK,
        abi::FUSE_RMDIR,       abi::FUSE_RENAME,
        abi::FUSE_LINK,        abi::FUSE_OPEN,
        abi::FUSE_READ,        abi::FUSE_WRITE,
        abi::FUSE_STATFS,      abi::FUSE_RELEASE,
        abi::FUSE_FSYNC,       abi::FUSE_SETXATTR,
        abi::FUSE_GETXATTR,    abi::FUSE_LISTXATTR,
        abi::FUSE_REMOVEXATTR, abi::FUSE_FLUSH,
        abi::FUSE_OPENDIR,     abi::FUSE_READDIR,
        abi::FUSE_RELEASEDIR,  abi::FUSE_FSYNCDIR,
        abi::FUSE_ACCESS,      abi::FUSE_CREATE,
        abi::FUSE_IOCTL,       abi::FUSE_FALLOCATE,
        abi::FUSE_READDIRPLUS, abi::FUSE_RENAME2,
        abi::FUSE_LSEEK,       abi::FUSE_COPY_FILE_RANGE,
        abi::FUSE_TMPFILE,     abi::FUSE_STATX,
        abi::FUSE_LOOKUP,      abi::FUSE_OPEN,
        abi::FUSE_CREATE,      abi::FUSE_COPY_FILE_RANGE_64};
    const uint32_t opcode = OneOf(*opcodes);
    MessageBuilder message = Message(opcode, AnyNode());
    message.header().uid = OneOf<uint32_t>({0, 1000, 1000, ~0u});
    message.header().gid = OneOf<uint32_t>({0, 100, ~0u});
    Fill(opcode, &message);
    return message;
  }

  void Fill(uint32_t opcode, MessageBuilder* message) {
    MessageBuilder& m = *message;
    switch (opcode) {
      case abi::FUSE_LOOKUP:
      case abi::FUSE_UNLINK:
      case abi::FUSE_RMDIR:
        m.Name(AnyName());
        return;
      case abi::FUSE_GETATTR: {
        abi::fuse_getattr_in in{};
        in.getattr_flags = static_cast<uint32_t>(Below(2));
        in.fh = AnyHandle();
        m.Struct(in);
        return;
      }
      case abi::FUSE_SETATTR: {
        abi::fuse_setattr_in in{};
        in.valid = Small() & 0xfff;
        in.fh = AnyHandle();
        in.size = Below(3) == 0 ? Number() : Below(100000);
        in.atime = Number();
        in.mtime = Number();
        in.atimensec = Small();
        in.mtimensec = Small();
        in.mode = AnyMode();
        in.uid = Small();
        in.gid = Small();
        m.Struct(in);
        return;
      }
      case abi::FUSE_SYMLINK:
        m.Name(AnyName()).Name(AnyTarget());
        return;
      case abi::FUSE_MKNOD:
        m.Struct(abi::fuse_mknod_in{AnyMode(), Small(), Small() & 0777, 0})
            .Name(AnyName());
        return;
      case abi::FUSE_MKDIR:
        m.Struct(abi::fuse_mkdir_in{AnyMode(), Small() & 0777}).Name(AnyName());
        return;
      case abi::FUSE_RENAME:
        m.Struct(abi::fuse_rename_in{AnyNode()})
            .Name(AnyName())
            .Name(AnyName());
        return;
      case abi::FUSE_RENAME2:
        m.Struct(abi::fuse_rename2_in{AnyNode(),
                                      static_cast<uint32_t>(Below(9)), 0})
            .Name(AnyName())
            .Name(AnyName());
        return;
      case abi::FUSE_LINK:
        m.Struct(abi::fuse_link_in{AnyNode()}).Name(AnyName());
        return;
      case abi::FUSE_OPEN:
      case abi::FUSE_OPENDIR:
        m.Struct(
            abi::fuse_open_in{AnyFlags(), static_cast<uint32_t>(Below(2))});
        return;
      case abi::FUSE_CREATE:
        m.Struct(abi::fuse_create_in{AnyFlags(), AnyMode(), Small() & 0777, 0})
            .Name(AnyName());
        return;
      case abi::FUSE_TMPFILE:
        m.Struct(abi::fuse_create_in{AnyFlags(), AnyMode(), 0, 0}).Name("/");
        return;
      case abi::FUSE_READ:
      case abi::FUSE_READDIR:
      case abi::FUSE_READDIRPLUS: {
        abi::fuse_read_in in{};
        in.fh = AnyHandle();
        in.offset = Below(2) == 0 ? 0 : Number();
        in.size = Below(4) == 0 ? Small() : Size();
        m.Struct(in);
        return;
      }
      case abi::FUSE_WRITE: {
        abi::fuse_write_in in{};
        in.fh = AnyHandle();
        in.offset = Below(2) == 0 ? Below(100000) : Number();
        in.size = Size();
        in.write_flags = static_cast<uint32_t>(Below(8));
        in.flags = AnyFlags();
        m.Struct(in).Raw(std::string(in.size, 'w'));
        return;
      }
      case abi::FUSE_RELEASE:
      case abi::FUSE_RELEASEDIR: {
        abi::fuse_release_in in{};
        in.fh = AnyHandle();
        m.Struct(in);
        return;
      }
      case abi::FUSE_FLUSH: {
        abi::fuse_flush_in in{};
        in.fh = AnyHandle();
        m.Struct(in);
        return;
      }
      case abi::FUSE_FSYNC:
      case abi::FUSE_FSYNCDIR:
        m.Struct(abi::fuse_fsync_in{AnyHandle(),
                                    static_cast<uint32_t>(Below(2)), 0});
        return;
      default:
        FillRest(opcode, message);
    }
  }

  void FillRest(uint32_t opcode, MessageBuilder* message) {
    MessageBuilder& m = *message;
    switch (opcode) {
      case abi::FUSE_SETXATTR: {
        abi::fuse_setxattr_in in{};
        in.size = Size() % 100;
        in.flags = static_cast<uint32_t>(Below(4));
        in.setxattr_flags = static_cast<uint32_t>(Below(2));
        m.Struct(in).Name(AnyXattr()).Raw(std::string(in.size, '\2'));
        return;
      }
      case abi::FUSE_GETXATTR:
        m.Struct(abi::fuse_getxattr_in{Small(), 0}).Name(AnyXattr());
        return;
      case abi::FUSE_LISTXATTR:
        m.Struct(abi::fuse_getxattr_in{Small(), 0});
        return;
      case abi::FUSE_REMOVEXATTR:
        m.Name(AnyXattr());
        return;
      case abi::FUSE_ACCESS:
        m.Struct(abi::fuse_access_in{Small(), 0});
        return;
      case abi::FUSE_IOCTL: {
        const uint32_t command = OneOf<uint32_t>(
            {FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, Small(),
             static_cast<uint32_t>(FICLONE)});
        const uint32_t size = OneOf<uint32_t>({0, 4, 8, 28, 100});
        m.Struct(abi::fuse_ioctl_in{AnyHandle(), Small() & 31, command,
                                    Number(), size, Small()})
            .Raw(std::string(size, '\0'));
        return;
      }
      case abi::FUSE_FALLOCATE:
        m.Struct(abi::fuse_fallocate_in{AnyHandle(), Number(), Number(),
                                        Small() & 0xff, 0});
        return;
      case abi::FUSE_LSEEK:
        m.Struct(abi::fuse_lseek_in{AnyHandle(), Number(),
                                    static_cast<uint32_t>(Below(7)), 0});
        return;
      case abi::FUSE_COPY_FILE_RANGE:
      case abi::FUSE_COPY_FILE_RANGE_64:
        m.Struct(abi::fuse_copy_file_range_in{AnyHandle(), Number(), AnyNode(),
                                              AnyHandle(), Number(), Number(),
                                              Below(3)});
        return;
      case abi::FUSE_STATX: {
        abi::fuse_statx_in in{};
        in.fh = AnyHandle();
        in.getattr_flags = static_cast<uint32_t>(Below(2));
        in.sx_flags = Small();
        in.sx_mask = Small();
        m.Struct(in);
        return;
      }
    }
  }

  // Takes what a reply gives into the pools.
  void Learn(uint32_t opcode, const Received& reply) {
    ++answered_;
    switch (opcode) {
      case abi::FUSE_CREATE:
      case abi::FUSE_TMPFILE:
        LearnHandle(reply.body, sizeof(abi::fuse_entry_out));
        [[fallthrough]];
      case abi::FUSE_LOOKUP:
      case abi::FUSE_SYMLINK:
      case abi::FUSE_MKNOD:
      case abi::FUSE_MKDIR:
      case abi::FUSE_LINK:
        LearnNode(reply.As<abi::fuse_entry_out>().nodeid);
        return;
      case abi::FUSE_READDIRPLUS:
        for (size_t at = 0;
             at + sizeof(abi::fuse_entry_out) + 24 < reply.body.size();) {
          abi::fuse_entry_out entry;
          std::memcpy(&entry, reply.body.data() + at, sizeof entry);
          LearnNode(entry.nodeid);
          uint32_t name = 0;
          std::memcpy(&name, reply.body.data() + at + sizeof entry + 16,
                      sizeof name);
          at += (sizeof entry + 24 + name + 7) / 8 * 8;
        }
        return;
      case abi::FUSE_OPEN:
      case abi::FUSE_OPENDIR:
        LearnHandle(reply.body, 0);
        return;
    }
  }
  void LearnNode(uint64_t node) {
    if (node == 0) return;
    given_.push_back(node);
    if (known_.size() < 200) {
      known_.push_back(node);
    } else {
      known_[Below(known_.size())] = node;
    }
  }
  void LearnHandle(const std::string& body, size_t at) {
    abi::fuse_open_out open{};
    ASSERT_GE(body.size(), at + sizeof open);
    std::memcpy(&open, body.data() + at, sizeof open);
    highest_handle_ = std::max(highest_handle_, open.fh);
    if (handles_.size() < 30) {
      handles_.push_back(open.fh);
      return;
    }
    // Another is lost: a kernel would not, but there must be a bound.
    uint64_t& place = handles_[Below(handles_.size())];
    abi::fuse_release_in release{};
    release.fh = place;
    Ask(Message(abi::FUSE_RELEASE).Struct(release));
    Ask(Message(abi::FUSE_RELEASEDIR).Struct(release));
    place = open.fh;
  }

  std::mt19937_64 random_;
  std::vector<uint64_t> known_ = {1};
  std::vector<uint64_t> given_;
  std::vector<uint64_t> handles_;
  uint64_t highest_handle_ = 0;
  size_t answered_ = 0;
};

TEST_F(HostileRandomTest, NothingOutsideTheSourceIsReached) {
  const size_t before = OpenDescriptors();
  Serve();
  const size_t at_work = OpenDescriptors();
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    const size_t answered_before = answered();
    StartFrom(seed);
    Rave(3000);
    // Not all of it is refused.
    EXPECT_GT(answered() - answered_before, 300u);
    for (uint64_t node : nodes_) Send(ForgetMessage(node, ~uint64_t{0}));
    ComeToReason();
    if (HasFailure()) break;
    // What is kept open is a cache of a known size.
    EXPECT_LE(OpenDescriptors(), at_work + 512 / 4 + 4);
    nodes_.clear();
    for (const char* name : {"file", "dir"}) {
      if (Finds(name)) nodes_.push_back(Node(name));
    }
  }
  ExpectConfined();
  CloseAndWait();
  session_.reset();
  passthrough_.reset();
  EXPECT_LE(OpenDescriptors(), before);
}

}  // namespace
}  // namespace barefuse::testing
