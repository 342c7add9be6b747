// What the server's own rights must not do for callers, whatever a peer has
// checked or not: sent by a peer that checks nothing.
#include <errno.h>
#include <grp.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "tests/socket/hostile_passthrough.h"
#include "tests/testing/process.h"

namespace barefuse::testing {
namespace {

using HostileRightsTest = HostilePassthrough;

// The server is root, but not in the groups that root is in; what one caller is
// a member of, the next is not.
TEST_F(HostileRightsTest, Cve20220358OnlyMembersKeepSetGroupId) {
  constexpr uint32_t kGroup = 2000;
  const std::string shared = source_ + "/shared";
  ASSERT_EQ(mkdir(shared.c_str(), 0777), 0);
  ASSERT_EQ(chown(shared.c_str(), 0, kGroup), 0);
  ASSERT_EQ(chmod(shared.c_str(), 02777), 0);
  ASSERT_EQ(setgroups(0, nullptr), 0);  // as Passthrough wants it
  Serve();
  const uint64_t parent = Node("shared");
  for (int i = 0; i < 20; ++i) {
    // The peer's caller is user 1000, in group 100.
    const bool member = i % 2 == 1;
    const std::string name = std::to_string(i);
    MessageBuilder create =
        CreateMessage(name, O_RDWR, S_IFREG | 02755, parent);
    MessageBuilder mknod = Message(abi::FUSE_MKNOD, parent);
    mknod.Struct(abi::fuse_mknod_in{S_IFREG | 02755, 0, 0, 0})
        .Name("node" + name);
    if (member) {
      for (MessageBuilder* message : {&create, &mknod}) {
        const uint32_t groups[] = {1, kGroup};
        message->Struct(abi::fuse_ext_header{16, abi::FUSE_EXT_GROUPS})
            .Struct(groups);
        message->header().total_extlen = 2;
      }
    }
    EXPECT_EQ(Ask(create), 0);
    EXPECT_EQ(Ask(mknod), 0);
    for (const std::string& path :
         {shared + "/" + name, shared + "/node" + name}) {
      const struct stat made = Stat(path);
      EXPECT_EQ(made.st_uid, 1000u);
      EXPECT_EQ(made.st_gid, kGroup);
      EXPECT_EQ(made.st_mode & 07777, member ? 02755u : 0755u) << path;
    }
  }
  ExpectConfined();
}

// Not even by a user that cannot be: what is made then would be root's.
TEST_F(HostileRightsTest, NobodyAtAllMakesNothing) {
  Serve();
  MessageBuilder create = CreateMessage("file2", O_RDWR, S_IFREG | 04777);
  create.header().uid = ~0u;
  create.header().gid = ~0u;
  EXPECT_NE(Ask(create), 0);
  EXPECT_FALSE(Finds("file2"));
  ExpectConfined();
}

TEST_F(HostileRightsTest, ImmutableFilesStaySoForOrdinaryUsers) {
  // The kernel compares with the flags that it has read a moment before.
  UniqueFd file(open((source_ + "/file").c_str(), O_RDONLY | O_CLOEXEC));
  Serve();
  const uint64_t handle = Open(nodes_[0], O_RDONLY);
  int flags = FS_IMMUTABLE_FL;
  if (ioctl(file.get(), FS_IOC_SETFLAGS, &flags) != 0) {
    GTEST_SKIP() << "the source's filesystem has no such flag";
  }
  const std::string none(4, '\0');
  EXPECT_EQ(
      Ask(Message(abi::FUSE_IOCTL, nodes_[0])
              .Struct(abi::fuse_ioctl_in{handle, 0, FS_IOC_SETFLAGS, 1, 4, 0})
              .Raw(none)),
      EPERM);
  EXPECT_EQ(ioctl(file.get(), FS_IOC_GETFLAGS, &flags), 0);
  EXPECT_NE(flags & FS_IMMUTABLE_FL, 0);
  // Root may.
  MessageBuilder by_root = Message(abi::FUSE_IOCTL, nodes_[0]);
  by_root.header().uid = 0;
  by_root.Struct(abi::fuse_ioctl_in{handle, 0, FS_IOC_SETFLAGS, 1, 4, 0})
      .Raw(none);
  EXPECT_EQ(Ask(by_root), 0);
  ExpectConfined();
}

// procfs asks who opens, not what the mode is: that would be the server.
TEST_F(HostileRightsTest, ProcessesAreNotShownToWhoMayNotSeeThem) {
  const std::string proc = source_ + "/proc";
  ASSERT_EQ(mkdir(proc.c_str(), 0755), 0);
  ASSERT_EQ(mount("/proc", proc.c_str(), nullptr, MS_BIND, nullptr), 0);
  Process roots({"sleep", "1000"});
  Serve();
  const uint64_t process = Node(std::to_string(roots.pid()), Node("proc"));
  for (std::string_view name : {"maps", "mem", "environ", "uid_map"}) {
    const uint64_t node = Node(name, process);
    for (uint32_t flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
      EXPECT_NE(TryOpen(node, flags).error(), 0) << name << " " << flags;
    }
  }
}

// Links of procfs lead anywhere, without a name in between.
TEST_F(HostileRightsTest, MagicLinksAreNotFollowed) {
  const std::string proc = source_ + "/proc";
  ASSERT_EQ(mkdir(proc.c_str(), 0755), 0);
  ASSERT_EQ(mount("/proc", proc.c_str(), nullptr, MS_BIND, nullptr), 0);
  UniqueFd outside(open(canary_->path().c_str(), O_PATH | O_CLOEXEC));
  UniqueFd secret(
      open((canary_->path() + "/secret").c_str(), O_PATH | O_CLOEXEC));
  Serve();
  const uint64_t self = Node(std::to_string(getpid()), Node("proc"));
  const uint64_t fds = Node("fd", self);
  const uint64_t links[] = {Node("root", self), Node("cwd", self),
                            Node("exe", self),
                            Node(std::to_string(outside.get()), fds),
                            Node(std::to_string(secret.get()), fds)};
  for (uint64_t link : links) {
    const Received attr = peer_.Ask(
        Message(abi::FUSE_GETATTR, link).Struct(abi::fuse_getattr_in{}));
    ASSERT_EQ(attr.error(), 0);
    EXPECT_TRUE(S_ISLNK(attr.As<abi::fuse_attr_out>().attr.mode));
    // What the text says is for those who may see the process.
    EXPECT_EQ(Ask(Message(abi::FUSE_READLINK, link)), EACCES);
    EXPECT_FALSE(Finds("secret", link));
    EXPECT_FALSE(Finds("etc", link));
    EXPECT_NE(TryOpen(link, O_RDONLY).error(), 0);
    EXPECT_NE(TryOpen(link, O_RDONLY, abi::FUSE_OPENDIR).error(), 0);
    EXPECT_NE(Ask(CreateMessage("new", O_RDWR, S_IFREG | 0666, link)), 0);
    EXPECT_NE(Ask(Message(abi::FUSE_UNLINK, link).Name("secret")), 0);
    EXPECT_NE(Ask(Message(abi::FUSE_LINK)
                      .Struct(abi::fuse_link_in{link})
                      .Name("stolen")),
              0);
    abi::fuse_setattr_in set{};
    set.valid = abi::FATTR_MODE;
    set.mode = 0777;
    EXPECT_NE(Ask(Message(abi::FUSE_SETATTR, link).Struct(set)), 0);
    set.valid = abi::FATTR_SIZE;
    EXPECT_NE(Ask(Message(abi::FUSE_SETATTR, link).Struct(set)), 0);
    abi::fuse_setxattr_in xattr{};
    xattr.size = 1;
    EXPECT_NE(Ask(Message(abi::FUSE_SETXATTR, link)
                      .Struct(xattr)
                      .Name("user.canary")
                      .Raw("x")),
              0);
  }
  ExpectConfined();
}

}  // namespace
}  // namespace barefuse::testing
