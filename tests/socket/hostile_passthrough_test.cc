#include "tests/socket/hostile_passthrough.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <algorithm>

namespace barefuse::testing {
namespace {

using HostilePassthroughTest = HostilePassthrough;

constexpr uint32_t kNumbers[] = {0, 1, 2, 3};

abi::fuse_setattr_in Setting(uint32_t valid) {
  abi::fuse_setattr_in in{};
  in.valid = valid;
  in.mode = 0777;
  in.uid = 1;
  in.gid = 1;
  in.size = 3;
  return in;
}

// --- Names ---

TEST_F(HostilePassthroughTest, NoNameLeadsOutOfTheSource) {
  Serve();
  std::vector<uint64_t> parents = nodes_;
  parents.push_back(1);
  parents.push_back(Node("inner", Node("dir")));
  const std::string nul("file\0x", 6);
  const std::string names[] = {
      "..",   ".",          "../outside", "../outside/secret",
      "a/b",  "dir/inner",  "/",          canary_->path() + "/secret",
      "",     "outside/..", "./file",     "outside/secret",
      "../x", "/etc/passwd"};
  for (uint64_t parent : parents) {
    for (const std::string& name : names) {
      SCOPED_TRACE(name + " in node " + std::to_string(parent));
      EXPECT_FALSE(Finds(name, parent));
      EXPECT_NE(Ask(CreateMessage(name, O_RDWR, S_IFREG | 0666, parent)), 0);
      EXPECT_NE(Ask(Message(abi::FUSE_MKDIR, parent)
                        .Struct(abi::fuse_mkdir_in{0777, 0})
                        .Name(name)),
                0);
      EXPECT_NE(Ask(Message(abi::FUSE_MKNOD, parent)
                        .Struct(abi::fuse_mknod_in{S_IFREG | 0666, 0, 0, 0})
                        .Name(name)),
                0);
      EXPECT_NE(Ask(Message(abi::FUSE_SYMLINK, parent).Name(name).Name("to")),
                0);
      EXPECT_NE(Ask(Message(abi::FUSE_UNLINK, parent).Name(name)), 0);
      EXPECT_NE(Ask(Message(abi::FUSE_RMDIR, parent).Name(name)), 0);
      EXPECT_NE(Ask(Message(abi::FUSE_LINK, parent)
                        .Struct(abi::fuse_link_in{nodes_[0]})
                        .Name(name)),
                0);
      EXPECT_NE(Ask(Message(abi::FUSE_RENAME, parent)
                        .Struct(abi::fuse_rename_in{1})
                        .Name(name)
                        .Name("new")),
                0);
      for (uint32_t flags : {0u, 1u, 2u, 4u, 0xffu}) {
        EXPECT_NE(Ask(Message(abi::FUSE_RENAME2, 1)
                          .Struct(abi::fuse_rename2_in{parent, flags, 0})
                          .Name("file")
                          .Name(name)),
                  0)
            << flags;
      }
    }
  }
  EXPECT_FALSE(Finds(nul));
  for (size_t size : {size_t{256}, size_t{4095}}) {
    EXPECT_FALSE(Finds(std::string(size, 'n')));
    EXPECT_NE(Ask(CreateMessage(std::string(size, 'n'), O_RDWR, S_IFREG)), 0);
  }
  EXPECT_EQ(Ask(CreateMessage(std::string(255, 'n'), O_RDWR, S_IFREG)), 0);
  ExpectConfined();
}

// Where the source is a mount of its own, what is above it is another.
TEST_F(HostilePassthroughTest, TheDirectoryAboveTheSourceIsNotOpened) {
  const std::string source = dir_.MakeDir("mounted");
  ASSERT_EQ(mount("tmpfs", source.c_str(), "tmpfs", 0, "size=1m"), 0);
  WriteFile(source + "/file", "");
  Serve(source);
  Watch above;
  above.Add(dir_.path());
  const size_t descriptors = OpenDescriptors();
  EXPECT_NE(Ask(Message(abi::FUSE_UNLINK).Name("..")), 0);
  EXPECT_NE(Ask(Message(abi::FUSE_RMDIR).Name("..")), 0);
  EXPECT_NE(Ask(Message(abi::FUSE_RENAME)
                    .Struct(abi::fuse_rename_in{1})
                    .Name("file")
                    .Name("..")),
            0);
  EXPECT_EQ(above.Events(), std::vector<std::string>());
  EXPECT_EQ(OpenDescriptors(), descriptors);
}

TEST_F(HostilePassthroughTest, ADirectoryMovedOutHasNoWayUp) {
  Serve();
  const uint64_t dir = Node("dir");
  const uint64_t handle = Open(dir, O_RDONLY, abi::FUSE_OPENDIR);
  ASSERT_EQ(rename((source_ + "/dir").c_str(), (dir_ / "moved").c_str()), 0);
  for (std::string_view name : {"..", ".", "../outside", "../src/file"}) {
    EXPECT_FALSE(Finds(name, dir)) << name;
    EXPECT_NE(Ask(CreateMessage(name, O_RDWR, S_IFREG | 0666, dir)), 0);
    EXPECT_NE(Ask(Message(abi::FUSE_RENAME, dir)
                      .Struct(abi::fuse_rename_in{1})
                      .Name(name)
                      .Name("new")),
              0);
  }
  // What was known when it was in the source goes on being served, as an open
  // directory does; that what is above has a number is all that shows of it.
  EXPECT_TRUE(Finds("inner", dir));
  abi::fuse_read_in read{};
  read.fh = handle;
  read.size = 4096;
  const Received entries =
      peer_.Ask(Message(abi::FUSE_READDIR, dir).Struct(read));
  EXPECT_EQ(entries.error(), 0);
  EXPECT_EQ(entries.body.find("outside"), entries.body.npos);
  const Received plus =
      peer_.Ask(Message(abi::FUSE_READDIRPLUS, dir).Struct(read));
  EXPECT_EQ(plus.error(), 0);
  EXPECT_FALSE(Finds("dir"));
  ExpectConfined();
}

// --- What must not be opened ---

TEST_F(HostilePassthroughTest, Cve202035517SpecialFilesAreNotOpened) {
  Serve();
  const uint64_t directory = Open(1, O_RDONLY, abi::FUSE_OPENDIR);
  for (size_t i = 2; i < nodes_.size(); ++i) {
    const uint64_t node = nodes_[i];
    SCOPED_TRACE(i);
    for (uint32_t access : {O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE}) {
      for (uint32_t flags : {0, O_NONBLOCK, O_PATH, O_TRUNC, O_CREAT,
                             O_DIRECTORY, O_TMPFILE, O_NOFOLLOW, O_DIRECT}) {
        EXPECT_NE(TryOpen(node, access | flags).error(), 0) << access << flags;
        EXPECT_NE(TryOpen(node, access | flags, abi::FUSE_OPENDIR).error(), 0);
      }
    }
    EXPECT_NE(Ask(SetattrMessage(node, Setting(abi::FATTR_SIZE))), 0);
    EXPECT_NE(Ask(CreateMessage("new", O_RDWR, S_IFREG | 0600, node)), 0);
    EXPECT_NE(Ask(Message(abi::FUSE_TMPFILE, node)
                      .Struct(abi::fuse_create_in{O_RDWR, S_IFREG, 0, 0})
                      .Name("/")),
              0);
    // By the name of what is there.
    for (std::string_view name :
         {"link", "up", "fifo", "char", "block", "socket"}) {
      for (uint32_t flags : {O_RDWR, O_WRONLY | O_TRUNC, O_RDWR | O_EXCL}) {
        EXPECT_NE(Ask(CreateMessage(name, flags, S_IFREG | 0600)), 0) << name;
      }
    }
    // What passes is done to the thing itself, and not to what it leads to.
    Ask(SetattrMessage(
        node, Setting(abi::FATTR_MODE | abi::FATTR_UID | abi::FATTR_GID)));
    Ask(SetattrMessage(node, Setting(abi::FATTR_MODE)));
    Ask(SetattrMessage(node, Setting(abi::FATTR_ATIME | abi::FATTR_MTIME)));
    Ask(SetattrMessage(node, Setting(0)));
    abi::fuse_setxattr_in set{};
    set.size = 5;
    for (std::string_view name :
         {"user.canary", "trusted.x", "security.x", "system.x",
          "system.posix_acl_access", "security.capability", "x", "user."}) {
      Ask(Message(abi::FUSE_SETXATTR, node)
              .Struct(set)
              .Name(name)
              .Raw("dies!"));
      Ask(Message(abi::FUSE_GETXATTR, node)
              .Struct(abi::fuse_getxattr_in{100, 0})
              .Name(name));
      Ask(Message(abi::FUSE_REMOVEXATTR, node).Name(name));
    }
    Ask(Message(abi::FUSE_LISTXATTR, node)
            .Struct(abi::fuse_getxattr_in{100, 0}));
    Ask(Message(abi::FUSE_ACCESS, node).Struct(abi::fuse_access_in{7, 0}));
    Ask(Message(abi::FUSE_READLINK, node));
    Ask(Message(abi::FUSE_STATX, node).Struct(abi::fuse_statx_in{}));
    Ask(Message(abi::FUSE_LINK)
            .Struct(abi::fuse_link_in{node})
            .Name("another" + std::to_string(i)));
  }
  // A link to a symlink is one to itself.
  EXPECT_TRUE(S_ISLNK(Stat(source_ + "/another2").st_mode));
  abi::fuse_release_in release{};
  release.fh = directory;
  EXPECT_EQ(Ask(Message(abi::FUSE_RELEASEDIR).Struct(release)), 0);
  ExpectConfined();
}

TEST_F(HostilePassthroughTest, FlagsOfOpenLeadNowhere) {
  Serve();
  const size_t names = Snapshot(source_).size();
  for (uint32_t flags :
       {O_PATH, O_TMPFILE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_ASYNC,
        O_CREAT | O_EXCL, O_PATH | O_DIRECTORY, O_TMPFILE | O_EXCL,
        static_cast<int>(0xffc00000u)}) {
    const Received opened = TryOpen(nodes_[0], O_RDWR | flags);
    if (opened.error() != 0) continue;
    abi::fuse_write_in write{};
    write.fh = opened.As<abi::fuse_open_out>().fh;
    write.size = 4;
    EXPECT_EQ(
        Ask(Message(abi::FUSE_WRITE, nodes_[0]).Struct(write).Raw("data")), 0)
        << flags;
    EXPECT_EQ(TryOpen(nodes_[1], O_RDONLY | flags).error(), EISDIR) << flags;
  }
  EXPECT_EQ(ReadFile(source_ + "/file"), "dataent");
  EXPECT_EQ(Snapshot(source_).size(), names);
  ExpectConfined();
}

TEST_F(HostilePassthroughTest, OddTypesAreMadeAsWhatTheyAreOrNotAtAll) {
  Serve();
  for (uint32_t type = 0; type < 16; ++type) {
    const uint32_t mode = type << 12 | 0600;
    const std::string name = "made" + std::to_string(type);
    const int error = Ask(Message(abi::FUSE_MKNOD)
                              .Struct(abi::fuse_mknod_in{mode, ~0u, 0, 0})
                              .Name(name));
    if (error == 0) {
      const mode_t made = Stat(source_ + "/" + name).st_mode & S_IFMT;
      EXPECT_EQ(made, type == 0 ? S_IFREG : type << 12);
      EXPECT_FALSE(S_ISDIR(made) || S_ISLNK(made));
    }
    const std::string file = "created" + std::to_string(type);
    if (Ask(CreateMessage(file, O_RDWR, mode)) == 0) {
      EXPECT_TRUE(S_ISREG(Stat(source_ + "/" + file).st_mode)) << type;
    }
    const std::string dir = "dir" + std::to_string(type);
    if (Ask(Message(abi::FUSE_MKDIR)
                .Struct(abi::fuse_mkdir_in{mode, 0})
                .Name(dir)) == 0) {
      EXPECT_TRUE(S_ISDIR(Stat(source_ + "/" + dir).st_mode)) << type;
    }
  }
  ExpectConfined();
}

// --- Nodes and handles ---

TEST_F(HostilePassthroughTest, HandlesOfAnotherTypeAreNone) {
  Serve();
  const uint64_t file = nodes_[0];
  const uint64_t dir = nodes_[1];
  const uint64_t file_handle = Open(file, O_RDWR);
  // Handles of files and of directories are numbered apart: a number that is
  // the one's must not serve as the other's.
  std::vector<uint64_t> handles;
  for (int i = 0; i < 5; ++i) {
    handles.push_back(Open(dir, O_RDONLY, abi::FUSE_OPENDIR));
  }
  const uint64_t dir_handle = handles.back();
  abi::fuse_read_in read{};
  read.size = 4096;
  read.fh = dir_handle;
  EXPECT_EQ(Ask(Message(abi::FUSE_READ, dir).Struct(read)), EBADF);
  EXPECT_EQ(Ask(Message(abi::FUSE_READ, file).Struct(read)), EBADF);
  abi::fuse_write_in write{};
  write.fh = dir_handle;
  EXPECT_EQ(Ask(Message(abi::FUSE_WRITE, dir).Struct(write)), EBADF);
  for (uint64_t in : {file_handle, dir_handle, uint64_t{99}}) {
    for (uint64_t out : {file_handle, dir_handle, uint64_t{99}}) {
      if (in == file_handle && out == file_handle) continue;
      abi::fuse_copy_file_range_in copy{in, 0, dir, out, 0, 10, 0};
      EXPECT_EQ(Ask(Message(abi::FUSE_COPY_FILE_RANGE, file).Struct(copy)),
                EBADF);
      EXPECT_EQ(Ask(Message(abi::FUSE_COPY_FILE_RANGE_64, file).Struct(copy)),
                EBADF);
    }
  }
  abi::fuse_setattr_in resize = Setting(abi::FATTR_SIZE | abi::FATTR_FH);
  resize.fh = dir_handle;
  EXPECT_EQ(Ask(SetattrMessage(file, resize)), EBADF);
  EXPECT_EQ(ReadFile(source_ + "/file"), "content");
  read.fh = file_handle + 100;
  EXPECT_EQ(Ask(Message(abi::FUSE_READDIR, file).Struct(read)), EBADF);
  EXPECT_EQ(Ask(Message(abi::FUSE_READDIRPLUS, file).Struct(read)), EBADF);
  ExpectConfined();
}

TEST_F(HostilePassthroughTest, ForgottenNodesAreNoMore) {
  Serve();
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const uint64_t node = nodes_[i];
    Send(ForgetMessage(node, 1000));
    // It is not answered, and each worker takes what it finds.
    EXPECT_TRUE(Eventually([&] {
      return Ask(Message(abi::FUSE_GETATTR, node)
                     .Struct(abi::fuse_getattr_in{})) == ESTALE;
    }));
    EXPECT_EQ(TryOpen(node, O_RDONLY).error(), ESTALE);
    EXPECT_EQ(Ask(Message(abi::FUSE_LINK)
                      .Struct(abi::fuse_link_in{node})
                      .Name("again")),
              ESTALE);
    EXPECT_FALSE(Finds("inner", node));
    // Numbers nearby are nobody's.
    for (uint64_t near : {node + 1, node + 64, node + (uint64_t{1} << 32)}) {
      if (std::count(nodes_.begin(), nodes_.end(), near) != 0) continue;
      EXPECT_EQ(
          Ask(Message(abi::FUSE_GETATTR, near).Struct(abi::fuse_getattr_in{})),
          ESTALE);
    }
  }
  ExpectConfined();
}

TEST_F(HostilePassthroughTest, LinksAndRenamesOfANodeToItself) {
  Serve();
  const uint64_t dir = nodes_[1];
  EXPECT_NE(Ask(Message(abi::FUSE_LINK, dir)
                    .Struct(abi::fuse_link_in{dir})
                    .Name("self")),
            0);
  EXPECT_NE(Ask(Message(abi::FUSE_LINK).Struct(abi::fuse_link_in{1}).Name("x")),
            0);
  EXPECT_NE(Ask(Message(abi::FUSE_RENAME)
                    .Struct(abi::fuse_rename_in{dir})
                    .Name("dir")
                    .Name("dir")),
            0);
  EXPECT_NE(Ask(Message(abi::FUSE_RENAME2)
                    .Struct(abi::fuse_rename2_in{dir, 2, 0})
                    .Name("dir")
                    .Name("inner")),
            0);
  ExpectConfined();
}

TEST_F(HostilePassthroughTest, OddIoctlsAreRefused) {
  Serve();
  const uint64_t file = Open(nodes_[0], O_RDWR);
  const uint64_t dir = Open(nodes_[1], O_RDONLY, abi::FUSE_OPENDIR);
  for (uint32_t flags : {0u, 1u, 2u, 8u, 16u, 31u, ~0u}) {
    const uint64_t handle = (flags & abi::FUSE_IOCTL_DIR) != 0 ? dir : file;
    for (uint32_t command :
         {0u, ~0u, static_cast<uint32_t>(FS_IOC_GETVERSION),
          static_cast<uint32_t>(FS_IOC_SETVERSION),
          static_cast<uint32_t>(FIFREEZE), static_cast<uint32_t>(FITRIM),
          static_cast<uint32_t>(FICLONE), static_cast<uint32_t>(FIBMAP),
          static_cast<uint32_t>(FIONREAD), static_cast<uint32_t>(BLKRRPART),
          static_cast<uint32_t>(FS_IOC_SETFLAGS) & 0xffff}) {
      for (uint32_t size : {0u, 1u, 4u, 28u, 4096u}) {
        EXPECT_EQ(Ask(Message(abi::FUSE_IOCTL, nodes_[0])
                          .Struct(abi::fuse_ioctl_in{handle, flags, command, 1,
                                                     size, size})
                          .Raw(std::string(size, '\xff'))),
                  ENOTTY)
            << command;
      }
    }
    for (uint32_t size : {0u, 1u, 3u}) {
      EXPECT_NE(Ask(Message(abi::FUSE_IOCTL, nodes_[0])
                        .Struct(abi::fuse_ioctl_in{handle, flags,
                                                   FS_IOC_SETFLAGS, 1, size, 0})
                        .Raw(std::string(size, '\0'))),
                0)
          << size;
    }
  }
  ExpectConfined();
}

TEST_F(HostilePassthroughTest, NumbersAtTheEdgeOfFallocateAndLseek) {
  Serve();
  const uint64_t file = Open(nodes_[0], O_RDWR);
  const uint64_t edges[] = {0, uint64_t{1} << 62, INT64_MAX, uint64_t{1} << 63,
                            UINT64_MAX};
  for (uint64_t offset : edges) {
    for (uint64_t length : edges) {
      for (uint32_t mode : {0u, 1u, 2u, 3u, 8u, 16u, 64u, 1u << 31, ~0u}) {
        for (uint64_t node : nodes_) {
          Ask(Message(abi::FUSE_FALLOCATE, node)
                  .Struct(
                      abi::fuse_fallocate_in{file, offset, length, mode, 0}));
        }
      }
    }
    for (uint32_t whence : kNumbers) {
      Ask(Message(abi::FUSE_LSEEK, nodes_[0])
              .Struct(abi::fuse_lseek_in{file, offset, whence, 0}));
    }
  }
  ExpectConfined();
}

}  // namespace
}  // namespace barefuse::testing
