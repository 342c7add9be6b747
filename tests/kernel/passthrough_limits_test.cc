// What is long, large, many or odd, as the source takes it.
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <algorithm>

#include "tests/kernel/passthrough_twins.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::WriteFile;

constexpr User kRoot = {0, 0};

class PassthroughLimitsTest : public TwinTest {};
INSTANTIATE_SETTINGS(PassthroughLimitsTest, {"tmpfs", "ext4", "xfs", "btrfs"},
                     {"passthrough", "nopassthrough"});

// --- Extended attributes ---

// The names in order, as text, with the size that the call gave.
std::string Listed(const std::string& path, size_t size) {
  std::string buffer(size, '\0');
  const ssize_t n = llistxattr(path.c_str(), buffer.data(), size);
  if (n < 0 || size == 0) return Number(n);
  std::multiset<std::string> names;
  for (size_t at = 0; at < static_cast<size_t>(n);) {
    names.insert(buffer.c_str() + at);
    at += strlen(buffer.c_str() + at) + 1;
  }
  std::string text = std::to_string(n);
  for (const std::string& name : names) text += " " + name;
  return text;
}

TEST_P(PassthroughLimitsTest, EveryNamespaceOnEveryKindOfFile) {
  Mount();
  for (const User& user : {kRoot, User{1000, 1000}}) {
    ExpectAsOnSource([&](const std::string& root) {
      const std::string dir = root + "/" + std::to_string(user.uid);
      testing::Check(mkdir(dir.c_str(), 0755) == 0, dir);
      WriteFile(dir + "/file", "content");
      testing::Check(mkdir((dir + "/dir").c_str(), 0755) == 0 &&
                         symlink("file", (dir + "/link").c_str()) == 0 &&
                         mkfifo((dir + "/fifo").c_str(), 0644) == 0,
                     dir);
      for (const char* name : {"", "/file", "/dir", "/link", "/fifo"}) {
        testing::Check(lchown((dir + name).c_str(), user.uid, user.gid) == 0,
                       name);
      }
      for (const char* name : {"trusted.old", "security.old"}) {
        // btrfs tells everybody what is root's, the mount nobody but root.
        if (GetParam().type == "btrfs" && user.uid != 0 &&
            name == std::string_view("trusted.old")) {
          continue;
        }
        testing::Check(
            setxattr((dir + "/file").c_str(), name, "old", 3, 0) == 0, name);
      }
      return FoundBy(user, [&] {
        Findings found;
        for (const char* kind : {"/file", "/dir", "/link", "/fifo"}) {
          const std::string path = dir + kind;
          for (const char* name :
               {"user.name", "trusted.name", "security.name", "system.name",
                "other.name", "user.", "user", "", "btrfs.compression",
                "trusted.old", "security.old", "security.capability",
                "system.posix_acl_access", "user.\xff\xfe \n"}) {
            const std::string step = std::string(kind) + " " + name;
            char value[100];
            const auto get = [&] {
              return Number(lgetxattr(path.c_str(), name, value, 100));
            };
            found[step + ": got before"] = get();
            found[step + ": replaced"] =
                Said(lsetxattr(path.c_str(), name, "value", 5, XATTR_REPLACE));
            found[step + ": created"] =
                Said(lsetxattr(path.c_str(), name, "value", 5, XATTR_CREATE));
            found[step + ": set"] =
                Said(lsetxattr(path.c_str(), name, "", 0, 0));
            found[step + ": got"] = get();
            found[step + ": listed"] = Listed(path, 10000);
            found[step + ": removed"] = Said(lremovexattr(path.c_str(), name));
            found[step + ": removed again"] =
                Said(lremovexattr(path.c_str(), name));
          }
        }
        return found;
      });
    });
  }
}

TEST_P(PassthroughLimitsTest, LargeValuesAndLongNames) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    int number = 0;
    for (const size_t size : {0, 1, 1000, 4000, 4096, 8192, 16000, 32768, 65000,
                              65535, 65536, 65537, 100000}) {
      const std::string path = root + "/file" + std::to_string(++number);
      WriteFile(path, "");
      const std::string value = Pattern(size);
      const std::string step = std::to_string(size);
      found[step] =
          Said(setxattr(path.c_str(), "user.x", value.data(), size, 0));
      std::string got(70000, '\0');
      const ssize_t n =
          getxattr(path.c_str(), "user.x", got.data(), got.size());
      found[step + " got"] = Number(n) + (n == static_cast<ssize_t>(size) &&
                                                  got.substr(0, size) == value
                                              ? ", the same"
                                              : "");
      found[step + " size"] =
          Number(getxattr(path.c_str(), "user.x", nullptr, 0));
      found[step + " in less"] =
          Number(getxattr(path.c_str(), "user.x", got.data(), size / 2));
    }
    const std::string path = root + "/names";
    WriteFile(path, "");
    for (const size_t size : {6, 100, 254, 255, 256, 1000}) {
      const std::string name = "user." + std::string(size - 5, 'n');
      found["name of " + std::to_string(size)] =
          Said(setxattr(path.c_str(), name.c_str(), "v", 1, 0));
    }
    found["names"] = Listed(path, 65536);
    return found;
  });
}

TEST_P(PassthroughLimitsTest, ThousandsOfAttributes) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    const std::string path = root + "/file";
    WriteFile(path, "");
    int set = 0;
    while (set < 3000 &&
           setxattr(path.c_str(), ("user." + std::to_string(set)).c_str(), "v",
                    1, 0) == 0) {
      ++set;
    }
    found["set"] = std::to_string(set) + (set < 3000 ? Said(-1) : "");
    for (const size_t size : {0, 100, 65536, 200000}) {
      found["listed in " + std::to_string(size)] = Listed(path, size);
    }
    return found;
  });
}

// A list that is longer than any program can be told.
TEST_P(PassthroughLimitsTest, AListOfMoreThan64KiB) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    const std::string path = root + "/file";
    WriteFile(path, "");
    int set = 0;
    for (; set < 400; ++set) {
      const std::string name =
          "user." + std::to_string(100 + set) + std::string(240, 'n');
      if (setxattr(path.c_str(), name.c_str(), "v", 1, 0) != 0) break;
    }
    found["set"] = std::to_string(set);
    for (const size_t size : {100, 65535, 65536, 65537, 200000}) {
      found["listed in " + std::to_string(size)] = Listed(path, size);
    }
    return found;
  });
}

// --- Names and paths ---

TEST_P(PassthroughLimitsTest, NamesOfAnyBytesAndLengths) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    std::vector<std::string> names = {
        std::string(255, 'n'), std::string(256, 'n'), std::string(4095, 'n'),
        std::string(255, '\xff'), "\xc3\x28", "\xed\xa0\x80", "\xe2\x82",
        "\xef\xbb\xbf", "\xfe\xff", " ", "...", "a\nb", "-rf", "\\",
        // Letters that some filesystems would take for one another.
        "\xc3\xa9", "e\xcc\x81", "A", "a"};
    for (int c = 1; c < 256; ++c) {
      if (c != '/' && c != '.') names.push_back(std::string(1, char(c)) + "x");
    }
    for (const std::string& name : names) {
      const std::string path = root + "/" + name;
      UniqueFd fd(
          open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      found["create " + name] = Said(fd.get());
      if (!fd) continue;
      WriteAt(fd, 0, name);
      found["read " + name] = ReadFile(path) == name ? "ok" : "another's";
      found["rename " + name] =
          Said(rename(path.c_str(), (root + "/temporary").c_str())) +
          Said(rename((root + "/temporary").c_str(), path.c_str()));
      found["link " + name] =
          Said(symlink(name.c_str(), (root + "/link").c_str()));
      char target[5000];
      const ssize_t n =
          readlink((root + "/link").c_str(), target, sizeof target);
      found["target " + name] =
          n < 0 ? Said(n) : std::string(target, static_cast<size_t>(n));
      unlink((root + "/link").c_str());
    }
    for (const std::string& name : Names(root)) found["listed " + name] = "";
    return found;
  });
}

TEST_P(PassthroughLimitsTest, PathsAsLongAsTheyMayBeAndLonger) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    return FoundBy(kRoot, [&] {
      Findings found;
      found["chdir"] = Said(chdir(root.c_str()));
      const std::string name(250, 'd');
      std::string path;
      for (int depth = 0; depth < 15; ++depth) {
        path += name + "/";
        found["mkdir " + std::to_string(depth)] =
            Said(mkdir(path.c_str(), 0755));
      }
      for (const size_t size : {4000, 4015, 4094, 4095, 4096}) {
        const std::string file =
            path +
            std::string(size > path.size() ? size - path.size() : 1, 'f');
        const std::string step = std::to_string(file.size());
        found["create " + step] = Said(
            UniqueFd(open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644))
                .get());
        found["access " + step] = Said(access(file.c_str(), F_OK));
        found["symlink " + step] =
            Said(symlink(file.c_str(), ("link" + step).c_str()));
        char target[5000];
        found["readlink " + step] =
            Number(readlink(("link" + step).c_str(), target, sizeof target));
        found["by symlink " + step] =
            Said(UniqueFd(open(("link" + step).c_str(), O_RDONLY | O_CLOEXEC))
                     .get());
      }
      // Deeper than any path reaches.
      int depth = 0;
      while (depth < 60 && mkdir(name.c_str(), 0755) <= 0 &&
             chdir(name.c_str()) == 0) {
        ++depth;
      }
      found["depth"] = std::to_string(depth);
      WriteFile("deep", "content");
      found["content"] = ReadFile("deep");
      char where[PATH_MAX];
      found["getcwd"] = getcwd(where, sizeof where) == nullptr ? Said(-1) : "";
      found["up"] = Said(chdir("../.."));
      found["down"] = ReadFile(name + "/" + name + "/deep");
      return found;
    });
  });
}

// --- Offsets ---

TEST_P(PassthroughLimitsTest, OffsetsOf64Bits) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    for (const int flags : {O_RDWR, O_RDWR | O_DIRECT}) {
      for (const off_t at :
           {off_t{1} << 31, off_t{1} << 32, (off_t{1} << 40) + 4096,
            off_t{4} << 40, (off_t{1} << 44) - 4096, off_t{1} << 44,
            off_t{1} << 53, off_t{1} << 62, INT64_MAX - 8191,
            INT64_MAX - 4095}) {
        const std::string step =
            (flags == O_RDWR ? "" : "O_DIRECT ") + std::to_string(at);
        const std::string path = root + "/" + step;
        UniqueFd fd = Open(path, flags | O_CREAT);
        AlignedBuffer block(4096, 'w');
        found[step + " truncate"] = Said(ftruncate(fd.get(), at));
        found[step + " write"] =
            Number(pwrite(fd.get(), block.data(), 4096, at));
        found[step + " before"] =
            Number(pread(fd.get(), block.data(), 4096, at - 4096));
        found[step + " read"] =
            Number(pread(fd.get(), block.data(), 4096, at)) + block.data()[7];
        found[step + " behind"] =
            Number(pread(fd.get(), block.data(), 4096, at + 4096));
        found[step + " data"] = Number(lseek(fd.get(), 0, SEEK_DATA));
        found[step + " hole"] = Number(lseek(fd.get(), at, SEEK_HOLE));
        found[step + " hole behind"] =
            Number(lseek(fd.get(), at + 4096, SEEK_HOLE));
        found[step + " end"] = Number(lseek(fd.get(), 0, SEEK_END));
        found[step + " size"] = std::to_string(testing::Stat(path).st_size);
        found[step + " allocate"] =
            Said(fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, at, 4096));
        found[step + " punch"] = Said(fallocate(
            fd.get(), FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, at, 4096));
        testing::Check(unlink(path.c_str()) == 0, path);
      }
    }
    return found;
  });
}

// A limit on the size of files is the caller's, not the server's.
TEST_P(PassthroughLimitsTest, TheCallersLimitOnFileSizes) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    WriteFile(root + "/file", std::string(5000, 'f'));
    return FoundBy(kRoot, [&] {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit limit = {8000, 8000};
      Findings found;
      found["limit"] = Said(setrlimit(RLIMIT_FSIZE, &limit));
      UniqueFd fd = Open(root + "/file", O_RDWR);
      const std::string text(5000, 'w');
      found["inside"] = Number(pwrite(fd.get(), text.data(), 5000, 0));
      found["across"] = Number(pwrite(fd.get(), text.data(), 5000, 5000));
      found["behind"] = Number(pwrite(fd.get(), text.data(), 5000, 8000));
      found["truncate"] = Said(ftruncate(fd.get(), 8001));
      found["allocate"] = Said(fallocate(fd.get(), 0, 8000, 1));
      found["size"] = std::to_string(Stat(fd).st_size);
      return found;
    });
  });
}

// --- Other kinds of files ---

TEST_P(PassthroughLimitsTest, NodesFifosAndSocketsWork) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    const std::string null = root + "/null", fifo = root + "/fifo";
    found["mknod"] = Said(mknod(null.c_str(), S_IFCHR | 0666, makedev(1, 3)));
    found["write"] = Number(write(Open(null, O_WRONLY).get(), "x", 1));
    char c;
    found["read"] = Number(read(Open(null, O_RDONLY).get(), &c, 1));
    found["no such device"] = Said(
        mknod((root + "/none").c_str(), S_IFBLK | 0666, makedev(500, 70000)));
    found["open of that"] =
        strerrorname_np(TryOpen(root + "/none", O_RDONLY | O_NONBLOCK).value);
    const struct stat info = testing::Stat(root + "/none");
    found["its number"] = std::to_string(major(info.st_rdev)) + ":" +
                          std::to_string(minor(info.st_rdev));

    found["mkfifo"] = Said(mkfifo(fifo.c_str(), 0600));
    found["no reader"] =
        strerrorname_np(TryOpen(fifo, O_WRONLY | O_NONBLOCK).value);
    {
      testing::Process writer([&] {
        UniqueFd fd = Open(fifo, O_WRONLY);
        return write(fd.get(), "through", 7) == 7 ? 0 : 1;
      });
      UniqueFd fd = Open(fifo, O_RDONLY);
      char text[8] = {};
      found["through the fifo"] = Number(read(fd.get(), text, 7)) + text;
      found["writer"] = std::to_string(writer.Wait());
    }

    found.merge(FoundBy(kRoot, [&] {
      Findings said;
      said["chdir"] = Said(chdir(root.c_str()));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      strcpy(address.sun_path, "socket");
      const auto* const at = reinterpret_cast<const sockaddr*>(&address);
      UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      said["bind"] = Said(bind(server.get(), at, sizeof address));
      said["connect too early"] =
          Said(connect(client.get(), at, sizeof address));
      said["listen"] = Said(listen(server.get(), 1));
      said["connect"] = Said(connect(client.get(), at, sizeof address));
      said["bind again"] = Said(
          bind(UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)).get(),
               at, sizeof address));
      said["open"] = strerrorname_np(TryOpen("socket", O_RDONLY).value);
      return said;
    }));
    return found;
  });
}

TEST_P(PassthroughLimitsTest, StatxTellsTheBirthTimeOfEveryKind) {
  Mount();
  testing::Check(mkdir((mnt_ + "/dir").c_str(), 0755) == 0 &&
                     symlink("x", (mnt_ + "/link").c_str()) == 0 &&
                     mkfifo((mnt_ + "/fifo").c_str(), 0644) == 0,
                 "making");
  WriteFile(mnt_ + "/file", "content");
  for (const char* name : {"", "/dir", "/link", "/fifo", "/file"}) {
    SCOPED_TRACE(name);
    Findings views[2];
    for (const std::string& root : {source_, mnt_}) {
      struct statx info {};
      ASSERT_EQ(statx(AT_FDCWD, (root + name).c_str(), AT_SYMLINK_NOFOLLOW,
                      STATX_BASIC_STATS | STATX_BTIME, &info),
                0);
      const auto time = [](const statx_timestamp& t) {
        return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec);
      };
      views[root == mnt_] = {
          {"has a birth time", std::to_string(info.stx_mask & STATX_BTIME)},
          {"birth", time(info.stx_btime)},
          {"mtime", time(info.stx_mtime)},
          {"ctime", time(info.stx_ctime)},
          {"mode", std::to_string(info.stx_mode)},
          {"size", std::to_string(info.stx_size)},
          {"blocks", std::to_string(info.stx_blocks)},
          {"links", std::to_string(info.stx_nlink)},
          {"inode", std::to_string(info.stx_ino)}};
    }
    ExpectSame(views[1], views[0]);
  }
}

// What statvfs(3) says of the source and of the mount.
void ViewBoth(const std::string& source, const std::string& mnt,
              Findings views[2]) {
  for (const std::string& path : {source, mnt}) {
    struct statvfs info {};
    ASSERT_EQ(statvfs(path.c_str(), &info), 0);
    views[path == mnt] = {{"block", std::to_string(info.f_bsize)},
                          {"fragment", std::to_string(info.f_frsize)},
                          {"blocks", std::to_string(info.f_blocks)},
                          {"free", std::to_string(info.f_bfree)},
                          {"available", std::to_string(info.f_bavail)},
                          {"files", std::to_string(info.f_files)},
                          {"free files", std::to_string(info.f_ffree)},
                          {"name", std::to_string(info.f_namemax)}};
  }
}

TEST_P(PassthroughLimitsTest, StatfsIsTheSources) {
  Mount();
  WriteFile(mnt_ + "/file", std::string(1 << 20, 'f'));
  sync();
  for (const char* name : {"", "/file"}) {
    Findings views[2];
    // Some count in the background what was freed before.
    for (int i = 0; i < 1000 && (i == 0 || views[0] != views[1]); ++i) {
      ViewBoth(source_ + name, mnt_ + name, views);
    }
    ExpectSame(views[1], views[0]);
  }
}

}  // namespace
}  // namespace barefuse
