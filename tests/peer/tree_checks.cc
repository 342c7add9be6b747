#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/peer/passthrough_checks.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse::peer {
namespace {

using testing::ReadFile;
using testing::RunToEnd;
using testing::Snapshot;
using testing::WriteFile;

// One of each kind, in `root`, which it makes.
void MakeTree(const std::string& root) {
  for (const char* name : {"", "/a", "/a/b", "/empty"}) {
    testing::Check(mkdir((root + name).c_str(), 0750) == 0, root + name);
  }
  WriteFile(root + "/a/text", "some text\n");
  WriteFile(root + "/a/b/nothing", "");
  WriteFile(root + "/a/b/large", std::string(3 << 20, 'x') + "end");
  WriteFile(root + "/name with \xff\n bytes", "odd");
  testing::Check(chmod((root + "/a/text").c_str(), 04711) == 0, "chmod");
  testing::Check(lchown((root + "/a/b/nothing").c_str(), 1234, 5678) == 0,
                 "lchown");
  testing::Check(symlink("b/large", (root + "/a/link").c_str()) == 0,
                 "symlink");
  testing::Check(symlink("/no/such", (root + "/dangling").c_str()) == 0,
                 "symlink");
  testing::Check(
      link((root + "/a/text").c_str(), (root + "/a/b/hard").c_str()) == 0,
      "link");
  testing::Check(mkfifo((root + "/fifo").c_str(), 0600) == 0, "mkfifo");
  testing::Check(
      mknod((root + "/device").c_str(), S_IFCHR | 0640, makedev(1, 3)) == 0,
      "mknod");
  testing::Check(mknod((root + "/socket").c_str(), S_IFSOCK | 0640, 0) == 0,
                 "mknod");
  const timespec times[] = {{1000, 1}, {86400, 999999999}};
  testing::Check(utimensat(AT_FDCWD, (root + "/empty").c_str(), times, 0) == 0,
                 "times");
}

std::string Copied(const std::string& from, const std::string& to) {
  const testing::Ended copy = RunToEnd({"cp", "-a", from, to});
  if (copy.status != 0) return "cp: " + copy.err;
  // diff(1) stops at what it cannot read the content of.
  const testing::Ended diff =
      RunToEnd({"diff", "-r", "--no-dereference", "-x", "fifo", "-x", "device",
                "-x", "socket", from, to});
  if (diff.status != 0) return "diff: " + diff.out + diff.err;
  return Snapshot(from) == Snapshot(to) ? "same" : "attributes differ";
}

std::string Types(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return Said(-1);
  std::set<std::string> lines;
  while (const dirent* entry = readdir(directory)) {
    lines.insert(std::string(entry->d_name) + " " +
                 std::to_string(entry->d_type) + "; ");
  }
  closedir(directory);
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

// How many entries, and whether each came once.
std::string Counted(DIR* directory) {
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    names.push_back(entry->d_name);
  }
  const std::set<std::string> distinct(names.begin(), names.end());
  return std::to_string(names.size()) +
         (distinct.size() == names.size() ? "" : " with repetitions");
}

std::string RenamedWith(const Place& at, unsigned flags, bool onto_something) {
  WriteFile(at.mnt + "/a", "a");
  if (onto_something) WriteFile(at.mnt + "/b", "b");
  const int result = renameat2(AT_FDCWD, (at.mnt + "/a").c_str(), AT_FDCWD,
                               (at.mnt + "/b").c_str(), flags);
  return Said(result) + (result == 0 ? " b is " + ReadFile(at.mnt + "/b") : "");
}

}  // namespace

std::vector<Check> TreeChecks() {
  return {
      {"copy a tree in", "same",
       [](const Place& at) {
         MakeTree(at.source + ".tree");
         return Copied(at.source + ".tree", at.mnt + "/tree");
       }},
      {"copy a tree out", "same",
       [](const Place& at) {
         MakeTree(at.source + "/tree");
         return Copied(at.mnt + "/tree", at.source + ".copy");
       }},
      {"what is made here is in the source", "same",
       [](const Place& at) -> std::string {
         MakeTree(at.mnt + "/tree");
         return Snapshot(at.mnt) == Snapshot(at.source) ? "same" : "differs";
       }},
      {"remove a tree", "0 left",
       [](const Place& at) {
         MakeTree(at.mnt + "/tree");
         RunToEnd({"rm", "-r", at.mnt + "/tree"});
         return std::to_string(Snapshot(at.source).size()) + " left";
       }},
      {"types in a listing",
       ". 4; .. 4; a 4; dangling 10; device 2; empty 4; fifo 1; "
       "name with \xff\n bytes 8; socket 12; ",
       [](const Place& at) {
         MakeTree(at.source + "/tree");
         return Types(at.mnt + "/tree");
       }},
      {"list 1000 names", "1002",
       [](const Place& at) {
         for (int i = 0; i < 1000; ++i) {
           WriteFile(at.source + "/name of some length " + std::to_string(i),
                     "");
         }
         DIR* directory = opendir(at.mnt.c_str());
         testing::Check(directory != nullptr, "opendir");
         std::string text = Counted(directory);
         closedir(directory);
         return text;
       }},
      {"list again after a change", "2, then 3",
       [](const Place& at) {
         DIR* directory = opendir(at.mnt.c_str());
         testing::Check(directory != nullptr, "opendir");
         std::string text = Counted(directory);
         WriteFile(at.mnt + "/new", "");
         rewinddir(directory);
         text += ", then " + Counted(directory);
         closedir(directory);
         return text;
       }},
      {"hard links share an inode", "same inode, 2 links, new content",
       [](const Place& at) -> std::string {
         const std::string a = at.mnt + "/a", b = at.mnt + "/b";
         WriteFile(a, "old");
         if (link(a.c_str(), b.c_str()) != 0) return Said(-1);
         WriteFile(b, "new");
         const struct stat one = testing::Stat(a), other = testing::Stat(b);
         return std::string(one.st_ino == other.st_ino ? "same" : "another") +
                " inode, " + std::to_string(one.st_nlink) + " links, " +
                ReadFile(a) + " content";
       }},
      {"hard link to a symlink", "2 links",
       [](const Place& at) {
         const std::string a = at.mnt + "/a", b = at.mnt + "/b";
         testing::Check(symlink("x", a.c_str()) == 0, a);
         if (linkat(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), 0) != 0) {
           return Said(-1);
         }
         return std::to_string(testing::Stat(a).st_nlink) + " links";
       }},
      {"rename over an open file", "old, new",
       [](const Place& at) {
         const std::string a = at.mnt + "/a", b = at.mnt + "/b";
         WriteFile(a, "new");
         WriteFile(b, "old");
         const UniqueFd fd = OpenFile(b, O_RDONLY);
         if (rename(a.c_str(), b.c_str()) != 0) return Said(-1);
         char content[3] = {};
         testing::Check(pread(fd.get(), content, 3, 0) >= 0, "pread");
         return InOrder({std::string(content, 3), ReadFile(b)});
       }},
      {"rename an open file", "moved, ENOENT",
       [](const Place& at) {
         const std::string a = at.mnt + "/a", b = at.mnt + "/b";
         const UniqueFd fd = OpenFile(a, O_RDWR | O_CREAT);
         if (rename(a.c_str(), b.c_str()) != 0) return Said(-1);
         testing::Check(write(fd.get(), "moved", 5) == 5, "write");
         return InOrder({ReadFile(b), Said(access(a.c_str(), F_OK))});
       }},
      {"rename a directory", "text",
       [](const Place& at) {
         const std::string a = at.mnt + "/a", b = at.mnt + "/b";
         testing::Check(mkdir(a.c_str(), 0755) == 0, a);
         WriteFile(a + "/file", "text");
         if (rename(a.c_str(), b.c_str()) != 0) return Said(-1);
         return ReadFile(b + "/file");
       }},
      {"rename onto a directory that is not empty", "ENOTEMPTY",
       [](const Place& at) {
         const std::string a = at.mnt + "/a", b = at.mnt + "/b";
         testing::Check(mkdir(a.c_str(), 0755) == 0, a);
         testing::Check(mkdir(b.c_str(), 0755) == 0, b);
         WriteFile(b + "/file", "");
         return Said(rename(a.c_str(), b.c_str()));
       }},
      {"rename to where nothing is", "ok b is a",
       [](const Place& at) {
         return RenamedWith(at, RENAME_NOREPLACE, false);
       }},
      {"rename without replacing", "EEXIST",
       [](const Place& at) { return RenamedWith(at, RENAME_NOREPLACE, true); }},
      {"exchange", "ok b is a",
       [](const Place& at) { return RenamedWith(at, RENAME_EXCHANGE, true); }},
      {"unlink while open", "ENOENT, 0 links, ok, still",
       [](const Place& at) {
         const std::string a = at.mnt + "/a";
         const UniqueFd fd = OpenFile(a, O_RDWR | O_CREAT);
         if (unlink(a.c_str()) != 0) return Said(-1);
         std::string text = Said(access(a.c_str(), F_OK));
         struct stat info;
         if (fstat(fd.get(), &info) != 0) return Said(-1);
         text += ", " + std::to_string(info.st_nlink) + " links, ";
         text += Said(pwrite(fd.get(), "still", 5, 0)) + ", ";
         char content[5] = {};
         if (pread(fd.get(), content, 5, 0) != 5) return Said(-1);
         return text + std::string(content, 5);
       }},
      {"unlink a directory", "EISDIR",
       [](const Place& at) {
         testing::Check(mkdir((at.mnt + "/a").c_str(), 0755) == 0, "mkdir");
         return Said(unlink((at.mnt + "/a").c_str()));
       }},
      {"rmdir what is not empty", "ENOTEMPTY",
       [](const Place& at) {
         MakeTree(at.mnt + "/tree");
         return Said(rmdir((at.mnt + "/tree").c_str()));
       }},
      {"rmdir a file", "ENOTDIR",
       [](const Place& at) {
         WriteFile(at.mnt + "/a", "");
         return Said(rmdir((at.mnt + "/a").c_str()));
       }},
      {"long symlink", "4095",
       [](const Place& at) {
         const std::string target(4095, 't'), a = at.mnt + "/a";
         if (symlink(target.c_str(), a.c_str()) != 0) return Said(-1);
         std::string found(5000, '\0');
         return Number(readlink(a.c_str(), found.data(), found.size()));
       }},
      {"long name", "ok, ENAMETOOLONG",
       [](const Place& at) {
         const std::string name = at.mnt + "/" + std::string(255, 'n');
         return InOrder({Said(mkdir(name.c_str(), 0755)),
                         Said(mkdir((name + "n").c_str(), 0755))});
       }},
      {"create through a symlink", "made",
       [](const Place& at) {
         testing::Check(symlink("target", (at.mnt + "/link").c_str()) == 0,
                        "symlink");
         WriteFile(at.mnt + "/link", "made");
         return ReadFile(at.source + "/target");
       }},
      {"open a symlink itself", "ELOOP",
       [](const Place& at) {
         testing::Check(symlink("target", (at.mnt + "/link").c_str()) == 0,
                        "symlink");
         return Said(OpenFile(at.mnt + "/link", O_RDONLY | O_NOFOLLOW).get());
       }},
      {"create what is there", "EEXIST",
       [](const Place& at) {
         WriteFile(at.source + "/a", "");
         return Said(
             OpenFile(at.mnt + "/a", O_WRONLY | O_CREAT | O_EXCL).get());
       }},
      {"fifo", "through",
       [](const Place& at) {
         const std::string fifo = at.mnt + "/fifo";
         if (mkfifo(fifo.c_str(), 0600) != 0) return Said(-1);
         const UniqueFd fd = OpenFile(fifo, O_RDWR | O_NONBLOCK);
         if (write(fd.get(), "through", 7) != 7) return Said(-1);
         char content[7] = {};
         if (read(fd.get(), content, 7) != 7) return Said(-1);
         return std::string(content, 7);
       }},
  };
}

}  // namespace barefuse::peer
