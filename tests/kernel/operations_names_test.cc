// Names: how they come and go.
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::Stat;
using testing::WriteFile;

constexpr User kUser = {1000, 1000};

class OperationsNames : public TransportSuite {};
INSTANTIATE_FOR_SUBJECTS(OperationsNames);

TEST_P(OperationsNames, LookupSaysWhatIsThere) {
  struct stat info;
  EXPECT_EQ(Errno(stat(At("name").c_str(), &info)), ENOENT);
  // Asked twice, in case the first answer is remembered.
  EXPECT_EQ(Errno(stat(At("name").c_str(), &info)), ENOENT);
  WriteFile(At("name"), "x");
  EXPECT_EQ(Errno(stat(At("name").c_str(), &info)), 0);
  EXPECT_EQ(Errno(stat(At("name/below").c_str(), &info)), ENOTDIR);
  EXPECT_EQ(Errno(stat(At("none/below").c_str(), &info)), ENOENT);
  EXPECT_EQ(Errno(unlink(At("name").c_str())), 0);
  EXPECT_EQ(Errno(stat(At("name").c_str(), &info)), ENOENT);
}

TEST_P(OperationsNames, TheRootIsADirectoryOfItsOwn) {
  const struct stat info = Stat(root());
  EXPECT_EQ(info.st_mode, mode_t{S_IFDIR | 0755});
  EXPECT_EQ(info.st_uid, 0u);
  EXPECT_NE(info.st_dev, Stat(elsewhere()).st_dev);
  EXPECT_EQ(Errno(rmdir(root().c_str())), EBUSY);
}

TEST_P(OperationsNames, CreateGivesAnEmptyFile) {
  UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT, 0640);
  const struct stat info = barefuse::Stat(fd);
  EXPECT_EQ(info.st_mode, mode_t{S_IFREG | 0640});
  EXPECT_EQ(info.st_size, 0);
  EXPECT_EQ(info.st_nlink, 1u);
  EXPECT_EQ(info.st_uid, 0u);
  EXPECT_EQ(info.st_gid, 0u);
  EXPECT_EQ(info.st_ino, Stat(At("file")).st_ino);
  EXPECT_EQ(Names(root()), std::set<std::string>{"file"});
}

TEST_P(OperationsNames, CreateBelongsToItsCaller) {
  ASSERT_EQ(Errno(chmod(root().c_str(), 0777)), 0);
  EXPECT_EQ(As(kUser,
               [&] {
                 WriteFile(At("file"), "x");
                 return Errno(mkdir(At("dir").c_str(), 0755));
               }),
            0);
  for (const char* name : {"file", "dir"}) {
    EXPECT_EQ(Stat(At(name)).st_uid, kUser.uid) << name;
    EXPECT_EQ(Stat(At(name)).st_gid, kUser.gid) << name;
  }
}

TEST_P(OperationsNames, CreateWithoutWritePermissionIsRefused) {
  EXPECT_EQ(As(kUser, [&] { return TryOpen(At("f"), O_WRONLY | O_CREAT); }),
            EACCES);
  EXPECT_EQ(As(kUser, [&] { return Errno(mkdir(At("d").c_str(), 0755)); }),
            EACCES);
  EXPECT_TRUE(Names(root()).empty());
}

TEST_P(OperationsNames, UmaskTakesBitsAway) {
  umask(027);
  Open(At("file"), O_RDWR | O_CREAT, 0666);
  EXPECT_EQ(Errno(mkdir(At("dir").c_str(), 0777)), 0);
  EXPECT_EQ(Errno(mknod(At("fifo").c_str(), S_IFIFO | 0666, 0)), 0);
  umask(0);
  Open(At("open"), O_RDWR | O_CREAT, 0777);
  // A file that may not even be read by its owner is open all the same.
  UniqueFd closed = Open(At("closed"), O_RDWR | O_CREAT, 0);
  WriteAt(closed, 0, "content");
  EXPECT_EQ(Permissions(At("file")), 0640u);
  EXPECT_EQ(Permissions(At("dir")), 0750u);
  EXPECT_EQ(Permissions(At("fifo")), 0640u);
  EXPECT_EQ(Permissions(At("open")), 0777u);
  EXPECT_EQ(Permissions(At("closed")), 0u);
}

TEST_P(OperationsNames, CreateOfWhatIsThere) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  ASSERT_EQ(Errno(symlink("target", At("link").c_str())), 0);
  constexpr int kCreate = O_WRONLY | O_CREAT;
  EXPECT_EQ(TryOpen(At("file"), kCreate | O_EXCL), EEXIST);
  EXPECT_EQ(TryOpen(At("dir"), kCreate | O_EXCL), EEXIST);
  EXPECT_EQ(TryOpen(At("link"), kCreate | O_EXCL), EEXIST);
  EXPECT_FALSE(Exists(At("target")));
  EXPECT_EQ(TryOpen(At("dir"), kCreate), EISDIR);
  EXPECT_EQ(TryOpen(At("file"), kCreate), 0);
  EXPECT_EQ(ReadFile(At("file")), "content");
  EXPECT_EQ(TryOpen(At("link"), kCreate | O_NOFOLLOW), ELOOP);
  // Through a link that leads nowhere the target comes to be.
  EXPECT_EQ(TryOpen(At("link"), kCreate), 0);
  EXPECT_TRUE(Exists(At("target")));
  EXPECT_EQ(TryOpen(At("file"), O_RDONLY | O_DIRECTORY), ENOTDIR);
  EXPECT_EQ(TryOpen(At("new"), kCreate | O_EXCL), 0);
}

TEST_P(OperationsNames, MkdirGivesAnEmptyDirectory) {
  const nlink_t links = Stat(root()).st_nlink;
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0751)), 0);
  EXPECT_EQ(Stat(At("dir")).st_mode, mode_t{S_IFDIR | 0751});
  const bool counts = limits().directories_count_links;
  EXPECT_EQ(Stat(At("dir")).st_nlink, counts ? 2u : 1u);
  EXPECT_EQ(Stat(root()).st_nlink, counts ? links + 1 : 1u);
  EXPECT_TRUE(Names(At("dir")).empty());
  WriteFile(At("file"), "");
  EXPECT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), EEXIST);
  EXPECT_EQ(Errno(mkdir(At("file").c_str(), 0755)), EEXIST);
  EXPECT_EQ(Errno(mkdir(At("none/dir").c_str(), 0755)), ENOENT);
  EXPECT_EQ(Errno(mkdir(At("file/dir").c_str(), 0755)), ENOTDIR);
  EXPECT_EQ(Errno(mkdir(At("dir/sticky").c_str(), 01777)), 0);
  EXPECT_EQ(Permissions(At("dir/sticky")), 01755u);
}

TEST_P(OperationsNames, RmdirWantsAnEmptyDirectory) {
  const nlink_t links = Stat(root()).st_nlink;
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  WriteFile(At("dir/file"), "");
  EXPECT_EQ(Errno(rmdir(At("dir").c_str())), ENOTEMPTY);
  EXPECT_EQ(Errno(rmdir(At("dir/file").c_str())), ENOTDIR);
  EXPECT_EQ(Errno(rmdir(At("dir/.").c_str())), EINVAL);
  EXPECT_EQ(Errno(rmdir(At("none").c_str())), ENOENT);
  ASSERT_EQ(Errno(unlink(At("dir/file").c_str())), 0);
  ASSERT_EQ(Errno(mkdir(At("dir/sub").c_str(), 0755)), 0);
  EXPECT_EQ(Errno(rmdir(At("dir").c_str())), ENOTEMPTY);
  ASSERT_EQ(Errno(rmdir(At("dir/sub").c_str())), 0);
  EXPECT_EQ(Errno(rmdir(At("dir").c_str())), 0);
  EXPECT_FALSE(Exists(At("dir")));
  EXPECT_EQ(Stat(root()).st_nlink, links);
}

TEST_P(OperationsNames, ARemovedDirectoryStaysOpenAndEmpty) {
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  UniqueFd dir = Open(At("dir"), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(Errno(rmdir(At("dir").c_str())), 0);
  EXPECT_EQ(barefuse::Stat(dir).st_nlink, 0u);
  EXPECT_EQ(Errno(mkdirat(dir.get(), "sub", 0755)), ENOENT);
  EXPECT_EQ(Errno(openat(dir.get(), "file", O_CREAT | O_WRONLY, 0644)), ENOENT);
  // A new one of the same name is another one.
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  WriteFile(At("dir/file"), "");
  EXPECT_EQ(Errno(faccessat(dir.get(), "file", F_OK, 0)), ENOENT);
}

TEST_P(OperationsNames, UnlinkTakesOneNameAway) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(link(At("file").c_str(), At("other").c_str())), 0);
  EXPECT_EQ(Errno(unlink(At("file").c_str())), 0);
  EXPECT_FALSE(Exists(At("file")));
  EXPECT_EQ(ReadFile(At("other")), "content");
  EXPECT_EQ(Stat(At("other")).st_nlink, 1u);
  EXPECT_EQ(Errno(unlink(At("file").c_str())), ENOENT);
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  EXPECT_EQ(Errno(unlink(At("dir").c_str())), EISDIR);
}

TEST_P(OperationsNames, AnUnlinkedFileGoesOnWhileItIsOpen) {
  WriteFile(At("file"), "content");
  UniqueFd fd = Open(At("file"), O_RDWR);
  UniqueFd second = Open(At("file"), O_RDONLY);
  ASSERT_EQ(Errno(unlink(At("file").c_str())), 0);
  EXPECT_EQ(barefuse::Stat(fd).st_nlink, 0u);
  WriteAt(fd, 7, " goes on");
  EXPECT_EQ(ReadAt(second, 0, 100), "content goes on");
  EXPECT_EQ(Errno(ftruncate(fd.get(), 3)), 0);
  EXPECT_EQ(Errno(fchmod(fd.get(), 0600)), 0);
  EXPECT_EQ(Errno(fsync(fd.get())), 0);
  EXPECT_EQ(barefuse::Stat(second).st_size, 3);
  EXPECT_EQ(barefuse::Stat(second).st_mode, mode_t{S_IFREG | 0600});
  // Nor does a new file of the name disturb it.
  WriteFile(At("file"), "another");
  fd.reset();
  EXPECT_EQ(ReadAt(second, 0, 100), "con");
}

TEST_P(OperationsNames, SymlinksKeepTheirTarget) {
  char target[8192];
  ASSERT_EQ(Errno(symlink("some/where", At("link").c_str())), 0);
  EXPECT_EQ(Stat(At("link")).st_mode, mode_t{S_IFLNK | 0777});
  EXPECT_EQ(Stat(At("link")).st_size, 10);
  ASSERT_EQ(readlink(At("link").c_str(), target, sizeof target), 10);
  EXPECT_EQ(std::string(target, 10), "some/where");
  // What does not fit is cut off.
  EXPECT_EQ(readlink(At("link").c_str(), target, 4), 4);
  EXPECT_EQ(Errno(symlink("other", At("link").c_str())), EEXIST);
  WriteFile(At("file"), "");
  EXPECT_EQ(Errno(readlink(At("file").c_str(), target, 100)), EINVAL);
  EXPECT_EQ(Errno(symlink("", At("empty").c_str())), ENOENT);

  for (const size_t size : {1, 59, 60, 1023, 1024, 2048, 4094, 4095}) {
    const std::string path = At("link" + std::to_string(size));
    const std::string long_target(size, static_cast<char>('a' + size % 26));
    if (size > limits().symlink_target) {
      EXPECT_EQ(Errno(symlink(long_target.c_str(), path.c_str())), ENAMETOOLONG)
          << size;
      continue;
    }
    ASSERT_EQ(Errno(symlink(long_target.c_str(), path.c_str())), 0) << size;
    EXPECT_EQ(Stat(path).st_size, static_cast<off_t>(size));
    ASSERT_EQ(readlink(path.c_str(), target, sizeof target),
              static_cast<ssize_t>(size));
    EXPECT_EQ(std::string(target, size), long_target);
  }
  EXPECT_EQ(
      Errno(symlink(std::string(4096, 'x').c_str(), At("longer").c_str())),
      ENAMETOOLONG);
}

TEST_P(OperationsNames, SymlinksAreFollowed) {
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  WriteFile(At("dir/file"), "content");
  ASSERT_EQ(Errno(symlink("dir", At("to_dir").c_str())), 0);
  ASSERT_EQ(Errno(symlink("../to_dir/file", At("dir/to_file").c_str())), 0);
  ASSERT_EQ(Errno(symlink(root().c_str(), At("absolute").c_str())), 0);
  EXPECT_EQ(ReadFile(At("absolute/to_dir/to_file")), "content");
  ASSERT_EQ(Errno(symlink("b", At("a").c_str())), 0);
  ASSERT_EQ(Errno(symlink("a", At("b").c_str())), 0);
  EXPECT_EQ(TryOpen(At("a"), O_RDONLY), ELOOP);
  EXPECT_EQ(Errno(unlink(At("to_dir").c_str())), 0);
  EXPECT_EQ(ReadFile(At("dir/file")), "content");
}

TEST_P(OperationsNames, MknodMakesEveryType) {
  ASSERT_EQ(Errno(mknod(At("file").c_str(), S_IFREG | 0640, 0)), 0);
  EXPECT_EQ(Stat(At("file")).st_mode, mode_t{S_IFREG | 0640});
  WriteFile(At("file"), "content");
  EXPECT_EQ(ReadFile(At("file")), "content");

  ASSERT_EQ(Errno(mkfifo(At("fifo").c_str(), 0644)), 0);
  EXPECT_TRUE(S_ISFIFO(Stat(At("fifo")).st_mode));
  UniqueFd fifo = Open(At("fifo"), O_RDWR);
  char byte = 0;
  EXPECT_EQ(write(fifo.get(), "!", 1), 1);
  EXPECT_EQ(read(fifo.get(), &byte, 1), 1);
  EXPECT_EQ(byte, '!');

  ASSERT_EQ(Errno(mknod(At("socket").c_str(), S_IFSOCK | 0600, 0)), 0);
  EXPECT_TRUE(S_ISSOCK(Stat(At("socket")).st_mode));

  const unsigned major = limits().major, minor = limits().minor;
  const dev_t large = makedev(0xabc & major, 0xdef01 & minor);
  ASSERT_EQ(Errno(mknod(At("char").c_str(), S_IFCHR | 0600, large)), 0);
  EXPECT_EQ(Stat(At("char")).st_mode, mode_t{S_IFCHR | 0600});
  EXPECT_EQ(Stat(At("char")).st_rdev, large);
  ASSERT_EQ(Errno(mknod(At("block").c_str(), S_IFBLK | 0600, makedev(7, 1))),
            0);
  EXPECT_TRUE(S_ISBLK(Stat(At("block")).st_mode));
  EXPECT_EQ(Stat(At("block")).st_rdev, makedev(7, 1));
  // A whiteout, as overlayfs makes them.
  ASSERT_EQ(Errno(mknod(At("whiteout").c_str(), S_IFCHR, 0)),
            limits().mknod_whiteouts ? 0 : EPERM);
  if (limits().mknod_whiteouts) {
    EXPECT_TRUE(S_ISCHR(Stat(At("whiteout")).st_mode));
    EXPECT_EQ(Stat(At("whiteout")).st_rdev, 0u);
  }
  if (major < Limits().major) {
    EXPECT_EQ(
        Errno(mknod(At("larger").c_str(), S_IFCHR, makedev(major + 1, 1))),
        EINVAL);
    EXPECT_EQ(
        Errno(mknod(At("larger").c_str(), S_IFCHR, makedev(1, minor + 1))),
        EINVAL);
  }

  EXPECT_EQ(Errno(mknod(At("fifo").c_str(), S_IFREG | 0600, 0)), EEXIST);
  for (const std::string& name : Names(root())) {
    if (name == "file") continue;
    EXPECT_EQ(Stat(At(name)).st_nlink, 1u) << name;
    EXPECT_EQ(Errno(unlink(At(name).c_str())), 0) << name;
  }
  EXPECT_EQ(Names(root()), std::set<std::string>{"file"});
}

TEST_P(OperationsNames, OnlyRootMakesDevices) {
  ASSERT_EQ(Errno(chmod(root().c_str(), 0777)), 0);
  const auto make = [&](mode_t type) {
    return As(kUser, [&] {
      return Errno(mknod(At("node").c_str(), type | 0644, makedev(1, 3)));
    });
  };
  EXPECT_EQ(make(S_IFCHR), EPERM);
  EXPECT_EQ(make(S_IFBLK), EPERM);
  EXPECT_EQ(make(S_IFIFO), 0);
  EXPECT_EQ(Stat(At("node")).st_uid, kUser.uid);
}

TEST_P(OperationsNames, ASocketsNameIsWhereItListens) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(At("socket").size(), sizeof address.sun_path);
  strcpy(address.sun_path, At("socket").c_str());
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(Errno(connect(client.get(), name, sizeof address)), ENOENT);
  ASSERT_EQ(Errno(bind(server.get(), name, sizeof address)), 0);
  ASSERT_EQ(Errno(listen(server.get(), 1)), 0);
  EXPECT_EQ(Errno(connect(client.get(), name, sizeof address)), 0);
  EXPECT_TRUE(S_ISSOCK(Stat(At("socket")).st_mode));
}

TEST_P(OperationsNames, LinksAreNamesOfOneFile) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  ASSERT_EQ(Errno(link(At("file").c_str(), At("dir/other").c_str())), 0);
  EXPECT_EQ(Stat(At("file")).st_nlink, 2u);
  EXPECT_EQ(Stat(At("file")).st_ino, Stat(At("dir/other")).st_ino);
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 0600)), 0);
  EXPECT_EQ(Permissions(At("dir/other")), 0600u);
  WriteFile(At("dir/other"), "changed");
  EXPECT_EQ(ReadFile(At("file")), "changed");

  const auto try_link = [&](const char* from, const char* to) {
    return Errno(link(At(from).c_str(), At(to).c_str()));
  };
  EXPECT_EQ(try_link("file", "dir/other"), EEXIST);
  EXPECT_EQ(try_link("none", "new"), ENOENT);
  EXPECT_EQ(try_link("file", "none/new"), ENOENT);
  EXPECT_EQ(try_link("dir", "new"), EPERM);
  EXPECT_EQ(Errno(link(At("file").c_str(), (elsewhere() + "/f").c_str())),
            EXDEV);
  EXPECT_EQ(Stat(At("file")).st_nlink, 2u);
}

TEST_P(OperationsNames, ALinkToASymlink) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(symlink("file", At("symlink").c_str())), 0);
  ASSERT_EQ(Errno(link(At("symlink").c_str(), At("itself").c_str())), 0);
  EXPECT_EQ(Stat(At("itself")).st_ino, Stat(At("symlink")).st_ino);
  EXPECT_EQ(Stat(At("symlink")).st_nlink, 2u);
  ASSERT_EQ(Errno(linkat(AT_FDCWD, At("symlink").c_str(), AT_FDCWD,
                         At("followed").c_str(), AT_SYMLINK_FOLLOW)),
            0);
  EXPECT_EQ(Stat(At("followed")).st_ino, Stat(At("file")).st_ino);
}

}  // namespace
}  // namespace barefuse
