// Names, links and directories, as the kernel asks for them.
#include <errno.h>

#include <set>

#include "fs/memfs/memfs_fixture.h"

namespace barefuse::memfs {
namespace {

constexpr uint32_t kNoReplace = 1;
constexpr uint32_t kExchange = 2;
constexpr uint32_t kWhiteout = 4;

class Names : public MemfsFixture {};

TEST_F(Names, AreMadeAndFound) {
  uint64_t directory = 0;
  ASSERT_EQ(Mkdir(kRoot, "d", &directory), 0);
  EXPECT_EQ(Mkdir(kRoot, "d"), EEXIST);
  EXPECT_EQ(IdOf(kRoot, "d"), directory);
  EXPECT_EQ(Attr(directory).nlink, 2u);
  EXPECT_EQ(Attr(kRoot).nlink, 3u);
  EXPECT_FALSE(Exists(directory, "nothing"));
  EXPECT_EQ(IdOf(directory, ".."), kRoot);
  EXPECT_EQ(IdOf(directory, "."), directory);
}

TEST_F(Names, AreOnlySoLong) {
  EXPECT_EQ(Create(kRoot, std::string(255, 'n')), 0);
  EXPECT_EQ(Create(kRoot, std::string(256, 'n')), ENAMETOOLONG);
  abi::fuse_entry_out entry{};
  EXPECT_EQ(Lookup(kRoot, std::string(256, 'n'), &entry), ENAMETOOLONG);
  EXPECT_EQ(Rename(kRoot, std::string(255, 'n'), kRoot, std::string(256, 'm')),
            ENAMETOOLONG);
}

TEST_F(Names, RemovalNeedsTheRightKind) {
  uint64_t directory = 0;
  ASSERT_EQ(Mkdir(kRoot, "d", &directory), 0);
  ASSERT_EQ(Create(directory, "f"), 0);
  EXPECT_EQ(Unlink(kRoot, "d"), EISDIR);
  EXPECT_EQ(Rmdir(directory, "f"), ENOTDIR);
  EXPECT_EQ(Rmdir(kRoot, "d"), ENOTEMPTY);
  EXPECT_EQ(Unlink(directory, "nothing"), ENOENT);
  EXPECT_EQ(Unlink(directory, "f"), 0);
  EXPECT_EQ(Rmdir(kRoot, "d"), 0);
  // Whoever still stands in it can make nothing there.
  EXPECT_EQ(Create(directory, "f"), ENOENT);
  EXPECT_EQ(Attr(directory).nlink, 0u);
  EXPECT_EQ(Attr(kRoot).nlink, 2u);
}

TEST_F(Names, HardLinksShareAnInode) {
  uint64_t file = 0;
  uint64_t directory = 0;
  ASSERT_EQ(Create(kRoot, "f", &file), 0);
  ASSERT_EQ(Mkdir(kRoot, "d", &directory), 0);
  EXPECT_EQ(Link(file, directory, "g"), 0);
  EXPECT_EQ(Link(file, directory, "g"), EEXIST);
  EXPECT_EQ(Link(directory, kRoot, "e"), EPERM);
  EXPECT_EQ(IdOf(directory, "g"), file);
  EXPECT_EQ(Attr(file).nlink, 2u);
  // Renaming one onto the other does nothing at all.
  EXPECT_EQ(Rename(kRoot, "f", directory, "g"), 0);
  EXPECT_EQ(Attr(file).nlink, 2u);
  EXPECT_EQ(Unlink(kRoot, "f"), 0);
  EXPECT_EQ(Attr(file).nlink, 1u);
}

TEST_F(Names, RenameReplacesWhatFits) {
  uint64_t a = 0;
  uint64_t b = 0;
  ASSERT_EQ(Create(kRoot, "a", &a), 0);
  ASSERT_EQ(Create(kRoot, "b", &b), 0);
  ASSERT_EQ(Mkdir(kRoot, "d"), 0);
  EXPECT_EQ(Rename(kRoot, "a", kRoot, "b", kNoReplace), EEXIST);
  EXPECT_EQ(Rename(kRoot, "a", kRoot, "d"), EISDIR);
  EXPECT_EQ(Rename(kRoot, "d", kRoot, "a"), ENOTDIR);
  EXPECT_EQ(Rename(kRoot, "x", kRoot, "a"), ENOENT);
  EXPECT_EQ(Rename(kRoot, "a", kRoot, "b"), 0);
  EXPECT_EQ(IdOf(kRoot, "b"), a);
  EXPECT_FALSE(Exists(kRoot, "a"));
  EXPECT_EQ(Attr(b).nlink, 0u);
  EXPECT_EQ(Rename(kRoot, "b", kRoot, "c", kNoReplace), 0);
  EXPECT_EQ(Rename(kRoot, "c", kRoot, "d", kWhiteout), EINVAL);
  EXPECT_EQ(Rename(kRoot, "c", kRoot, "d", kNoReplace | kExchange), EINVAL);
}

TEST_F(Names, ADirectoryDoesNotGoIntoItself) {
  uint64_t outer = 0;
  uint64_t inner = 0;
  ASSERT_EQ(Mkdir(kRoot, "outer", &outer), 0);
  ASSERT_EQ(Mkdir(outer, "inner", &inner), 0);
  EXPECT_EQ(Rename(kRoot, "outer", inner, "x"), EINVAL);
  EXPECT_EQ(Rename(kRoot, "outer", outer, "x"), EINVAL);
  EXPECT_EQ(Rename(outer, "inner", kRoot, "outer"), ENOTEMPTY);
  EXPECT_EQ(Rename(kRoot, "outer", outer, "inner", kExchange), EINVAL);
  EXPECT_EQ(Rename(outer, "inner", kRoot, "outer", kExchange), EINVAL);
}

TEST_F(Names, MovingADirectoryMovesItsParent) {
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t moved = 0;
  ASSERT_EQ(Mkdir(kRoot, "a", &a), 0);
  ASSERT_EQ(Mkdir(kRoot, "b", &b), 0);
  ASSERT_EQ(Mkdir(a, "m", &moved), 0);
  EXPECT_EQ(Rename(a, "m", b, "m"), 0);
  EXPECT_EQ(IdOf(moved, ".."), b);
  EXPECT_EQ(Attr(a).nlink, 2u);
  EXPECT_EQ(Attr(b).nlink, 3u);
  ASSERT_EQ(Create(kRoot, "f"), 0);
  EXPECT_EQ(Rename(kRoot, "f", b, "m", kExchange), 0);
  EXPECT_EQ(IdOf(moved, ".."), kRoot);
  EXPECT_EQ(IdOf(kRoot, "f"), moved);
  EXPECT_EQ(Attr(b).nlink, 2u);
  EXPECT_EQ(Attr(kRoot).nlink, 5u);
  EXPECT_EQ(Rename(kRoot, "f", b, "none", kExchange), ENOENT);
}

TEST_F(Names, RenamingNeedsNoSpace) {
  MemfsOptions options;
  options.size_limit = 256;  // one entry
  fs_ = Memfs::Create(options).value();
  testing::LocalServer server(fs_, fs_->WantedCapabilities());
  auto ask = [&server](const testing::MessageBuilder& message) {
    std::optional<testing::RawReply> reply = server.Ask(message);
    return reply ? reply->error() : -1;
  };
  auto mkdir = [&](const char* name) {
    return ask(Message(abi::FUSE_MKDIR, kRoot)
                   .Struct(abi::fuse_mkdir_in{0755, 0})
                   .Name(name));
  };
  EXPECT_EQ(mkdir("a"), 0);
  EXPECT_EQ(mkdir("b"), ENOSPC);
  EXPECT_EQ(ask(Message(abi::FUSE_RENAME, kRoot)
                    .Struct(abi::fuse_rename_in{kRoot})
                    .Name("a")
                    .Name("a longer name")),
            0);
  EXPECT_EQ(ask(Message(abi::FUSE_RMDIR, kRoot).Name("a longer name")), 0);
  EXPECT_EQ(mkdir("b"), 0);
}

TEST_F(Names, SymlinksAndNodes) {
  abi::fuse_entry_out entry{};
  const std::string target(4095, 't');
  EXPECT_EQ(
      AskFor(Message(abi::FUSE_SYMLINK, kRoot).Name("l").Name(target), &entry),
      0);
  std::string read;
  EXPECT_EQ(Ask(Message(abi::FUSE_READLINK, entry.nodeid), &read), 0);
  EXPECT_EQ(read, target);
  EXPECT_EQ(entry.attr.size, 4095u);
  EXPECT_EQ(Ask(Message(abi::FUSE_READLINK, kRoot)), EINVAL);
  for (uint32_t type : {S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFREG}) {
    const std::string name = "n" + std::to_string(type);
    EXPECT_EQ(AskFor(Message(abi::FUSE_MKNOD, kRoot)
                         .Struct(abi::fuse_mknod_in{type | 0600, 0x102, 022, 0})
                         .Name(name),
                     &entry),
              0);
    EXPECT_EQ(entry.attr.mode, type | 0600);
    EXPECT_EQ(entry.attr.rdev, 0x102u);
  }
  EXPECT_EQ(Ask(Message(abi::FUSE_MKNOD, kRoot)
                    .Struct(abi::fuse_mknod_in{0170000, 0, 0, 0})
                    .Name("x")),
            EINVAL);
}

TEST_F(Names, AnUnnamedFileMayGetOneName) {
  struct {
    abi::fuse_entry_out entry;
    abi::fuse_open_out open;
  } out{};
  auto tmpfile = [&](uint32_t flags) {
    return AskFor(Message(abi::FUSE_TMPFILE, kRoot)
                      .Struct(abi::fuse_create_in{flags, S_IFREG | 0644, 0, 0})
                      .Name("/"),
                  &out);
  };
  ASSERT_EQ(tmpfile(O_RDWR), 0);
  EXPECT_EQ(out.entry.attr.nlink, 0u);
  EXPECT_EQ(Write(out.entry.nodeid, out.open.fh, 0, "data"), 0);
  EXPECT_EQ(Link(out.entry.nodeid, kRoot, "named"), 0);
  EXPECT_EQ(Attr(out.entry.nodeid).nlink, 1u);
  EXPECT_EQ(Unlink(kRoot, "named"), 0);
  EXPECT_EQ(Link(out.entry.nodeid, kRoot, "again"), ENOENT);
  ASSERT_EQ(tmpfile(O_RDWR | O_EXCL), 0);
  EXPECT_EQ(Link(out.entry.nodeid, kRoot, "named"), ENOENT);
}

TEST_F(Names, WhoCreatesOwns) {
  caller_ = {1000, 100, 1};
  uint64_t file = 0;
  uint64_t directory = 0;
  ASSERT_EQ(Create(kRoot, "f", &file, nullptr, 0666, 027), 0);
  EXPECT_EQ(Attr(file).mode, S_IFREG | 0640u);
  EXPECT_EQ(Attr(file).uid, 1000u);
  EXPECT_EQ(Attr(file).gid, 100u);
  // In a directory with the set-group-id bit its group is inherited.
  ASSERT_EQ(Mkdir(kRoot, "d", &directory), 0);
  abi::fuse_setattr_in in{};
  in.valid = abi::FATTR_GID;
  in.gid = 55;
  ASSERT_EQ(Setattr(directory, in), 0);
  ASSERT_EQ(Chmod(directory, 02777), 0);
  uint64_t below = 0;
  ASSERT_EQ(Mkdir(directory, "below", &below), 0);
  EXPECT_EQ(Attr(below).mode, S_IFDIR | 02755u);
  EXPECT_EQ(Attr(below).gid, 55u);
  ASSERT_EQ(Create(directory, "program", &file, nullptr, 02755), 0);
  EXPECT_EQ(Attr(file).gid, 55u);
  EXPECT_EQ(Attr(file).mode, S_IFREG | 0755u) << "not in the group";
  caller_ = {0, 0, 1};
  ASSERT_EQ(Create(directory, "root's", &file, nullptr, 02755), 0);
  EXPECT_EQ(Attr(file).mode, S_IFREG | 02755u);
}

TEST_F(Names, CreatingWhatIsThereSaysSo) {
  ASSERT_EQ(Create(kRoot, "f"), 0);
  EXPECT_EQ(Create(kRoot, "f"), EEXIST);
  // Not EEXIST: the kernel is to look it up, check and open it.
  EXPECT_EQ(Create(kRoot, "f", nullptr, nullptr, 0644, 0, O_RDWR | O_CREAT),
            ESTALE);
}

TEST_F(Names, InodesAreCounted) {
  MemfsOptions options;
  options.inode_limit = 3;
  fs_ = Memfs::Create(options).value();
  testing::LocalServer server(fs_, fs_->WantedCapabilities());
  auto mkdir = [&](const char* name) {
    return server
        .Ask(Message(abi::FUSE_MKDIR, kRoot)
                 .Struct(abi::fuse_mkdir_in{0755, 0})
                 .Name(name))
        ->error();
  };
  EXPECT_EQ(mkdir("a"), 0);
  EXPECT_EQ(mkdir("b"), 0);
  EXPECT_EQ(mkdir("c"), ENOSPC);
  server.Ask(Message(abi::FUSE_RMDIR, kRoot).Name("a"));
  EXPECT_EQ(mkdir("c"), ENOSPC) << "the kernel still knows it";
  server.Send(
      Message(abi::FUSE_FORGET, 2).Struct(abi::fuse_forget_in{1}).Bytes());
  EXPECT_EQ(mkdir("c"), 0);
}

// --- Reading directories ---

class Directories : public MemfsFixture {
 protected:
  uint64_t Opendir(uint64_t node) {
    abi::fuse_open_out out{};
    EXPECT_EQ(AskFor(Message(abi::FUSE_OPENDIR, node)
                         .Struct(abi::fuse_open_in{O_RDONLY, 0}),
                     &out),
              0);
    return out.fh;
  }
  // Reads on from *offset; a buffer of `size` bytes.
  std::vector<std::string> Readdir(uint64_t fh, uint64_t* offset,
                                   uint32_t size = 4096) {
    abi::fuse_read_in in{};
    in.fh = fh;
    in.offset = *offset;
    in.size = size;
    std::string body;
    EXPECT_EQ(Ask(Message(abi::FUSE_READDIR, kRoot).Struct(in), &body), 0);
    std::vector<std::string> names;
    proto::DirectoryReader reader(std::as_bytes(std::span(body)));
    for (proto::DirectoryEntry entry; reader.Next(&entry);) {
      names.emplace_back(entry.name);
      *offset = entry.next;
    }
    EXPECT_TRUE(reader.ok());
    return names;
  }
};

TEST_F(Directories, AreReadInPiecesWhileTheyChange) {
  std::set<std::string> stay;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "stay" + std::to_string(i);
    ASSERT_EQ(Create(kRoot, name), 0);
    stay.insert(name);
    ASSERT_EQ(Create(kRoot, "go" + std::to_string(i)), 0);
  }
  const uint64_t fh = Opendir(kRoot);
  std::multiset<std::string> seen;
  uint64_t offset = 0;
  for (int round = 0;; ++round) {
    std::vector<std::string> names = Readdir(fh, &offset, 200);
    if (names.empty()) break;
    seen.insert(names.begin(), names.end());
    // What is renamed or new gets behind the end of this reading.
    if (round < 100) {
      EXPECT_EQ(Unlink(kRoot, "go" + std::to_string(round)), 0);
      EXPECT_EQ(Create(kRoot, "new" + std::to_string(round)), 0);
    }
    ASSERT_LT(round, 1000);
  }
  for (const std::string& name : stay) EXPECT_EQ(seen.count(name), 1u) << name;
  for (const std::string& name : seen) EXPECT_EQ(seen.count(name), 1u) << name;
  EXPECT_EQ(seen.count("."), 1u);
  EXPECT_EQ(seen.count(".."), 1u);
  EXPECT_EQ(seen.count("new0"), 0u);
  // From the start everything that is there now.
  offset = 0;
  std::vector<std::string> names = Readdir(fh, &offset, 65536);
  EXPECT_NE(std::find(names.begin(), names.end(), "new0"), names.end());
}

TEST_F(Directories, ReadOnAtAnyOffset) {
  for (const char* name : {"a", "b", "c"}) ASSERT_EQ(Create(kRoot, name), 0);
  const uint64_t fh = Opendir(kRoot);
  uint64_t behind_b = 0;
  std::vector<std::string> all;
  for (uint64_t offset = 0;;) {
    std::vector<std::string> one = Readdir(fh, &offset, 40);
    if (one.empty()) break;
    ASSERT_EQ(one.size(), 1u);
    if (one[0] == "b") behind_b = offset;
    all.push_back(one[0]);
  }
  EXPECT_EQ(all, (std::vector<std::string>{".", "..", "a", "b", "c"}));
  EXPECT_EQ(Unlink(kRoot, "b"), 0);
  uint64_t offset = behind_b;
  EXPECT_EQ(Readdir(fh, &offset), std::vector<std::string>{"c"});
  offset = UINT64_MAX;
  EXPECT_TRUE(Readdir(fh, &offset).empty());
}

TEST_F(Directories, ReaddirplusTakesALookupOfWhatItGives) {
  uint64_t file = 0;
  ASSERT_EQ(Create(kRoot, "f", &file), 0);
  const uint64_t fh = Opendir(kRoot);
  abi::fuse_read_in in{};
  in.fh = fh;
  in.size = 4096;
  std::string body;
  ASSERT_EQ(Ask(Message(abi::FUSE_READDIRPLUS, kRoot).Struct(in), &body), 0);
  proto::DirectoryReader reader(
      proto::DirectoryPlusOut{std::as_bytes(std::span(body))});
  int count = 0;
  for (proto::DirectoryEntry entry; reader.Next(&entry); ++count) {
    EXPECT_EQ(entry.entry.nodeid, entry.name == "f" ? file : 0u);
  }
  EXPECT_EQ(count, 3);
  EXPECT_EQ(Unlink(kRoot, "f"), 0);
  Forget(file, 1);
  EXPECT_EQ(Attr(file).nlink, 0u) << "CREATE took the other one";
  Forget(file, 1);
  abi::fuse_attr attr{};
  EXPECT_EQ(Getattr(file, &attr), ESTALE);
}

}  // namespace
}  // namespace barefuse::memfs
