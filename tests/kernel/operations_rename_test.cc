// Renames, files without names, and names that are long or odd.
#include <linux/fs.h>
#include <sys/sysmacros.h>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::Stat;
using testing::WriteFile;

class OperationsRename : public TransportSuite {
 protected:
  Error Rename(std::string_view from, std::string_view to, int flags = 0) {
    return Errno(renameat2(AT_FDCWD, At(from).c_str(), AT_FDCWD, At(to).c_str(),
                           static_cast<unsigned>(flags)));
  }
  void Mkdir(std::string_view name) {
    ASSERT_EQ(Errno(mkdir(At(name).c_str(), 0755)), 0) << name;
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsRename);

TEST_P(OperationsRename, MovesANameWithItsFile) {
  WriteFile(At("file"), "content");
  Mkdir("dir");
  const ino_t ino = Stat(At("file")).st_ino;
  UniqueFd fd = Open(At("file"), O_RDWR);
  EXPECT_EQ(Rename("file", "dir/moved"), 0);
  EXPECT_EQ(Names(root()), std::set<std::string>{"dir"});
  EXPECT_EQ(Stat(At("dir/moved")).st_ino, ino);
  EXPECT_EQ(ReadFile(At("dir/moved")), "content");
  WriteAt(fd, 0, "CON");
  EXPECT_EQ(ReadFile(At("dir/moved")), "CONtent");
  EXPECT_EQ(Rename("file", "again"), ENOENT);
  EXPECT_EQ(Rename("dir/moved", "none/again"), ENOENT);
  EXPECT_EQ(
      Errno(rename(At("dir/moved").c_str(), (elsewhere() + "/file").c_str())),
      EXDEV);
}

TEST_P(OperationsRename, ReplacesAFile) {
  WriteFile(At("old"), "old");
  WriteFile(At("new"), "new");
  UniqueFd replaced = Open(At("old"), O_RDONLY);
  EXPECT_EQ(Rename("new", "old"), 0);
  EXPECT_EQ(Names(root()), std::set<std::string>{"old"});
  EXPECT_EQ(ReadFile(At("old")), "new");
  EXPECT_EQ(ReadAt(replaced, 0, 10), "old");
  EXPECT_EQ(barefuse::Stat(replaced).st_nlink, 0u);
}

TEST_P(OperationsRename, ReplacesOneOfSeveralNames) {
  WriteFile(At("file"), "old");
  ASSERT_EQ(Errno(link(At("file").c_str(), At("other").c_str())), 0);
  WriteFile(At("new"), "new");
  EXPECT_EQ(Rename("new", "file"), 0);
  EXPECT_EQ(Stat(At("other")).st_nlink, 1u);
  EXPECT_EQ(ReadFile(At("other")), "old");
}

TEST_P(OperationsRename, TwoNamesOfOneFileBothStay) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(link(At("file").c_str(), At("other").c_str())), 0);
  EXPECT_EQ(Rename("file", "other"), 0);
  EXPECT_EQ(Names(root()), (std::set<std::string>{"file", "other"}));
  EXPECT_EQ(Rename("file", "file"), 0);
  EXPECT_EQ(Stat(At("file")).st_nlink, 2u);
}

TEST_P(OperationsRename, ReplacesAnEmptyDirectory) {
  Mkdir("full");
  WriteFile(At("full/file"), "content");
  Mkdir("empty");
  const nlink_t links = Stat(root()).st_nlink;
  UniqueFd replaced = Open(At("empty"), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Rename("empty", "full"), limits().not_empty);
  EXPECT_EQ(Rename("full", "empty"), 0);
  EXPECT_EQ(Names(root()), std::set<std::string>{"empty"});
  EXPECT_EQ(ReadFile(At("empty/file")), "content");
  EXPECT_EQ(Stat(root()).st_nlink,
            limits().directories_count_links ? links - 1 : 1u);
  EXPECT_EQ(barefuse::Stat(replaced).st_nlink, 0u);
}

TEST_P(OperationsRename, KeepsFilesAndDirectoriesApart) {
  Mkdir("dir");
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(symlink("dir", At("link").c_str())), 0);
  EXPECT_EQ(Rename("file", "dir"), EISDIR);
  EXPECT_EQ(Rename("link", "dir"), EISDIR);
  EXPECT_EQ(Rename("dir", "file"), ENOTDIR);
  EXPECT_EQ(Rename("dir", "link"), ENOTDIR);
  // A link is replaced, not followed.
  EXPECT_EQ(Rename("file", "link"), 0);
  EXPECT_TRUE(S_ISREG(Stat(At("link")).st_mode));
  EXPECT_TRUE(Names(At("dir")).empty());
}

TEST_P(OperationsRename, ADirectoryDoesNotGoIntoItself) {
  Mkdir("dir");
  Mkdir("dir/child");
  EXPECT_EQ(Rename("dir", "dir/child/grandchild"), EINVAL);
  EXPECT_EQ(Rename("dir", "dir/child"), EINVAL);
  EXPECT_EQ(Rename("dir/child", "dir"), ENOTEMPTY);
  EXPECT_EQ(Rename("dir/.", "other"), EBUSY);
}

TEST_P(OperationsRename, ADirectoryGetsAnotherParent) {
  Mkdir("a");
  Mkdir("b");
  Mkdir("a/dir");
  UniqueFd dir = Open(At("a/dir"), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Rename("a/dir", "b/dir"), 0);
  const bool counts = limits().directories_count_links;
  EXPECT_EQ(Stat(At("a")).st_nlink, counts ? 2u : 1u);
  EXPECT_EQ(Stat(At("b")).st_nlink, counts ? 3u : 1u);
  EXPECT_EQ(Stat(At("b/dir")).st_nlink, counts ? 2u : 1u);
  EXPECT_EQ(Stat(At("b/dir/..")).st_ino, Stat(At("b")).st_ino);
  struct stat parent;
  ASSERT_EQ(Errno(fstatat(dir.get(), "..", &parent, 0)), 0);
  EXPECT_EQ(parent.st_ino, Stat(At("b")).st_ino);
}

TEST_P(OperationsRename, NoReplace) {
  WriteFile(At("file"), "content");
  WriteFile(At("other"), "other");
  Mkdir("dir");
  EXPECT_EQ(Rename("file", "other", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(Rename("file", "dir", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(Rename("none", "new", RENAME_NOREPLACE), ENOENT);
  EXPECT_EQ(ReadFile(At("other")), "other");
  EXPECT_EQ(Rename("file", "new", RENAME_NOREPLACE), 0);
  EXPECT_EQ(ReadFile(At("new")), "content");
  EXPECT_FALSE(Exists(At("file")));
}

TEST_P(OperationsRename, Exchange) {
  WriteFile(At("one"), "one");
  WriteFile(At("two"), "two");
  Mkdir("a");
  Mkdir("a/dir");
  WriteFile(At("a/dir/file"), "content");
  EXPECT_EQ(Rename("one", "two", RENAME_EXCHANGE), 0);
  EXPECT_EQ(ReadFile(At("one")), "two");
  EXPECT_EQ(ReadFile(At("two")), "one");
  // Also things of two types, and their parents' link counts with them.
  const nlink_t links = Stat(root()).st_nlink;
  EXPECT_EQ(Rename("one", "a/dir", RENAME_EXCHANGE), 0);
  EXPECT_EQ(ReadFile(At("a/dir")), "two");
  EXPECT_EQ(ReadFile(At("one/file")), "content");
  const bool counts = limits().directories_count_links;
  EXPECT_EQ(Stat(At("a")).st_nlink, counts ? 2u : 1u);
  EXPECT_EQ(Stat(root()).st_nlink, counts ? links + 1 : 1u);
  EXPECT_EQ(Stat(At("one/..")).st_ino, Stat(root()).st_ino);

  EXPECT_EQ(Rename("one", "none", RENAME_EXCHANGE), ENOENT);
  EXPECT_EQ(Rename("a", "a/dir", RENAME_EXCHANGE), EINVAL);
  EXPECT_EQ(Rename("one", "two", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
  EXPECT_EQ(Rename("one", "two", 1 << 10), EINVAL);
}

TEST_P(OperationsRename, WhiteoutLeavesAWhiteoutOrIsRefused) {
  WriteFile(At("file"), "content");
  if (!limits().rename_whiteouts) {
    EXPECT_EQ(Rename("file", "moved", RENAME_WHITEOUT), EINVAL);
    EXPECT_EQ(Names(root()), std::set<std::string>{"file"});
    return;
  }
  EXPECT_EQ(Rename("file", "moved", RENAME_WHITEOUT), 0);
  EXPECT_EQ(ReadFile(At("moved")), "content");
  ASSERT_TRUE(Exists(At("file")));
  EXPECT_TRUE(S_ISCHR(Stat(At("file")).st_mode));
  EXPECT_EQ(Stat(At("file")).st_rdev, 0u);
}

TEST_P(OperationsRename, AFileWithoutAName) {
  UniqueFd fd = Open(root(), O_TMPFILE | O_RDWR, 0640);
  EXPECT_EQ(barefuse::Stat(fd).st_nlink, 0u);
  EXPECT_EQ(barefuse::Stat(fd).st_mode, mode_t{S_IFREG | 0640});
  WriteAt(fd, 0, "content");
  EXPECT_EQ(ReadAt(fd, 0, 10), "content");
  EXPECT_TRUE(Names(root()).empty());

  ASSERT_EQ(
      Errno(linkat(fd.get(), "", AT_FDCWD, At("by_fd").c_str(), AT_EMPTY_PATH)),
      0);
  EXPECT_EQ(ReadFile(At("by_fd")), "content");
  EXPECT_EQ(Stat(At("by_fd")).st_ino, barefuse::Stat(fd).st_ino);
  EXPECT_EQ(barefuse::Stat(fd).st_nlink, 1u);

  UniqueFd second = Open(root(), O_TMPFILE | O_WRONLY);
  WriteAt(second, 0, "second");
  const std::string proc = "/proc/self/fd/" + std::to_string(second.get());
  ASSERT_EQ(Errno(linkat(AT_FDCWD, proc.c_str(), AT_FDCWD,
                         At("by_proc").c_str(), AT_SYMLINK_FOLLOW)),
            0);
  second.reset();
  EXPECT_EQ(ReadFile(At("by_proc")), "second");
}

TEST_P(OperationsRename, AFileThatNeverGetsAName) {
  UniqueFd fd = Open(root(), O_TMPFILE | O_RDWR | O_EXCL);
  WriteAt(fd, 0, "content");
  EXPECT_EQ(
      Errno(linkat(fd.get(), "", AT_FDCWD, At("name").c_str(), AT_EMPTY_PATH)),
      ENOENT);
  EXPECT_TRUE(Names(root()).empty());
  EXPECT_EQ(TryOpen(At("none"), O_TMPFILE | O_RDWR), ENOENT);
  WriteFile(At("file"), "");
  EXPECT_EQ(TryOpen(At("file"), O_TMPFILE | O_RDWR), ENOTDIR);
}

TEST_P(OperationsRename, NamesOf255BytesAndNoLonger) {
  for (const size_t size : {200, 254, 255}) {
    const std::string name(size, 'n');
    WriteFile(At(name), name);
    EXPECT_EQ(ReadFile(At(name)), name);
    EXPECT_EQ(Names(root()), std::set<std::string>{name});
    const std::string renamed(size, 'r');
    EXPECT_EQ(Rename(name, renamed), 0);
    EXPECT_EQ(Names(root()), std::set<std::string>{renamed});
    EXPECT_EQ(Errno(unlink(At(renamed).c_str())), 0);
  }
  for (const size_t size : {256, 1024, 1025, 3000}) {
    const std::string path = At(std::string(size, 'n'));
    WriteFile(At("file"), "");
    struct stat info;
    EXPECT_EQ(Errno(stat(path.c_str(), &info)), ENAMETOOLONG) << size;
    EXPECT_EQ(TryOpen(path, O_WRONLY | O_CREAT), ENAMETOOLONG) << size;
    EXPECT_EQ(Errno(mkdir(path.c_str(), 0755)), ENAMETOOLONG) << size;
    EXPECT_EQ(Errno(mkfifo(path.c_str(), 0755)), ENAMETOOLONG) << size;
    EXPECT_EQ(Errno(symlink("target", path.c_str())), ENAMETOOLONG) << size;
    EXPECT_EQ(Errno(link(At("file").c_str(), path.c_str())), ENAMETOOLONG);
    EXPECT_EQ(Errno(rename(At("file").c_str(), path.c_str())), ENAMETOOLONG);
    EXPECT_EQ(Errno(unlink(path.c_str())), ENAMETOOLONG) << size;
  }
  EXPECT_EQ(Names(root()), std::set<std::string>{"file"});
}

TEST_P(OperationsRename, NamesOfAnyBytes) {
  std::set<std::string> names = {"...",      " ",          "a b ",
                                 "-rf",      "new\nline",  "back\\slash",
                                 "\xff\xfe", "na\u00efve", "nai\u0308ve",
                                 "A",        "a"};
  std::string all;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    const char name[] = {static_cast<char>(byte), '\0'};
    if (byte != '.') names.insert(name);
    all += name;
  }
  names.insert(all);
  for (const std::string& name : names) WriteFile(At(name), name);
  EXPECT_EQ(Names(root()), names);
  for (const std::string& name : names) {
    EXPECT_EQ(ReadFile(At(name)), name);
    EXPECT_EQ(Errno(unlink(At(name).c_str())), 0);
  }
  EXPECT_TRUE(Names(root()).empty());
}

TEST_P(OperationsRename, DeepPaths) {
  std::string path = root();
  constexpr int kDepth = 100;
  for (int i = 0; i < kDepth; ++i) {
    path += "/directory";
    ASSERT_EQ(Errno(mkdir(path.c_str(), 0755)), 0) << i;
  }
  WriteFile(path + "/file", "content");
  EXPECT_EQ(Rename("directory", "renamed"), 0);
  path.replace(root().size(), strlen("/directory"), "/renamed");
  EXPECT_EQ(ReadFile(path + "/file"), "content");
}

}  // namespace
}  // namespace barefuse
