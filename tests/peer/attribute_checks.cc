#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <sstream>

#include "tests/peer/passthrough_checks.h"
#include "tests/testing/files.h"

namespace barefuse::peer {
namespace {

using testing::WriteFile;

// What stat(2) says of a name here and in the source, but for the device.
std::string StatCompared(const Place& at, const std::string& name) {
  const struct stat here = testing::Stat(at.mnt + name);
  const struct stat there = testing::Stat(at.source + name);
  std::string text;
  auto compare = [&text](const char* field, auto one, auto other) {
    if (one != other) text += std::string(field) + " ";
  };
  compare("ino", here.st_ino, there.st_ino);
  compare("mode", here.st_mode, there.st_mode);
  compare("nlink", here.st_nlink, there.st_nlink);
  compare("uid", here.st_uid, there.st_uid);
  compare("gid", here.st_gid, there.st_gid);
  compare("rdev", here.st_rdev, there.st_rdev);
  compare("size", here.st_size, there.st_size);
  compare("blocks", here.st_blocks, there.st_blocks);
  compare("blksize", here.st_blksize, there.st_blksize);
  auto compare_times = [&](const char* field, timespec one, timespec other) {
    compare(field, one.tv_sec, other.tv_sec);
    compare(field, one.tv_nsec, other.tv_nsec);
  };
  compare_times("atime", here.st_atim, there.st_atim);
  compare_times("mtime", here.st_mtim, there.st_mtim);
  compare_times("ctime", here.st_ctim, there.st_ctim);
  return text.empty() ? "same" : text;
}

std::string Mode(const std::string& path) {
  std::ostringstream text;
  text << std::oct << (testing::Stat(path).st_mode & 07777);
  return text.str();
}

std::string Times(const std::string& path) {
  const struct stat info = testing::Stat(path);
  std::ostringstream text;
  text << info.st_atim.tv_sec << "." << info.st_atim.tv_nsec << " "
       << info.st_mtim.tv_sec << "." << info.st_mtim.tv_nsec;
  return text.str();
}

std::string BirthTime(const std::string& path) {
  struct statx info;
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_BTIME, &info) != 0) {
    return Said(-1);
  }
  if ((info.stx_mask & STATX_BTIME) == 0) return "none";
  return std::to_string(info.stx_btime.tv_sec) + "." +
         std::to_string(info.stx_btime.tv_nsec);
}

// The same file by a handle, as an NFS server would name it.
std::string ByHandle(const Place& at) {
  const std::string path = at.mnt + "/file";
  WriteFile(path, "text");
  alignas(file_handle) char space[sizeof(file_handle) + MAX_HANDLE_SZ];
  auto* handle = reinterpret_cast<file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  if (name_to_handle_at(AT_FDCWD, path.c_str(), handle, &mount_id, 0) != 0) {
    return "no handle: " + Said(-1);
  }
  const UniqueFd root = OpenFile(at.mnt, O_RDONLY | O_DIRECTORY);
  const UniqueFd fd(open_by_handle_at(root.get(), handle, O_RDONLY));
  return Said(fd.get());
}

// What getxattr(2) says after setxattr(2).
std::string Got(const std::string& path, const char* name, size_t size) {
  char value[64];
  const ssize_t n = lgetxattr(path.c_str(), name, value, size);
  return n < 0 ? Said(n)
               : std::string(value, size == 0 ? 0 : n) + " (" +
                     std::to_string(n) + ")";
}

std::string Set(const std::string& path, const char* name, const char* value,
                int flags = 0) {
  return Said(lsetxattr(path.c_str(), name, value, strlen(value), flags));
}

std::vector<Check> XattrChecks() {
  return {
      {"xattr is kept", "ok, value (5),  (5)",
       [](const Place& at) {
         const std::string path = at.mnt + "/file";
         WriteFile(path, "");
         return InOrder({Set(path, "user.x", "value"), Got(path, "user.x", 64),
                         Got(path, "user.x", 0)});
       }},
      {"xattr of a directory", "value (5)",
       [](const Place& at) {
         Set(at.mnt, "user.x", "value");
         return Got(at.source, "user.x", 64);
       }},
      {"xattr of a symlink", "ok, value (5)",
       [](const Place& at) {
         const std::string path = at.mnt + "/link";
         testing::Check(symlink("x", path.c_str()) == 0, path);
         return InOrder(
             {Set(path, "trusted.x", "value"), Got(path, "trusted.x", 64)});
       }},
      {"xattr of a fifo", "EPERM",
       [](const Place& at) {
         const std::string path = at.mnt + "/fifo";
         testing::Check(mkfifo(path.c_str(), 0600) == 0, path);
         return Set(path, "user.x", "value");
       }},
      {"empty xattr", "ok,  (0)",
       [](const Place& at) {
         const std::string path = at.mnt + "/file";
         WriteFile(path, "");
         return InOrder({Set(path, "user.x", ""), Got(path, "user.x", 64)});
       }},
      {"xattr into too small a buffer", "ERANGE",
       [](const Place& at) {
         const std::string path = at.mnt + "/file";
         WriteFile(path, "");
         Set(path, "user.x", "value");
         return Got(path, "user.x", 4);
       }},
      {"xattr that is not there", "ENODATA, ENODATA, ENODATA",
       [](const Place& at) {
         const std::string path = at.mnt + "/file";
         WriteFile(path, "");
         return InOrder({Got(path, "user.x", 64),
                         Said(removexattr(path.c_str(), "user.x")),
                         Set(path, "user.x", "y", XATTR_REPLACE)});
       }},
      {"xattr that is there", "EEXIST, ok, ENODATA",
       [](const Place& at) {
         const std::string path = at.mnt + "/file";
         WriteFile(path, "");
         Set(path, "user.x", "value");
         return InOrder({Set(path, "user.x", "y", XATTR_CREATE),
                         Said(removexattr(path.c_str(), "user.x")),
                         Got(path, "user.x", 64)});
       }},
      {"list xattrs", "14, user.a user.b ",
       [](const Place& at) {
         const std::string path = at.mnt + "/file";
         WriteFile(path, "");
         Set(path, "user.a", "1");
         Set(path, "user.b", "2");
         char names[256];
         const ssize_t n = listxattr(path.c_str(), names, sizeof names);
         if (n < 0) return Said(n);
         std::string text(names, static_cast<size_t>(n));
         for (char& c : text) c = c == '\0' ? ' ' : c;
         return InOrder({Number(listxattr(path.c_str(), nullptr, 0)), text});
       }},
      {"xattr of an unknown kind", "EOPNOTSUPP",
       [](const Place& at) {
         const std::string path = at.mnt + "/file";
         WriteFile(path, "");
         return Set(path, "nosuchkind.x", "value");
       }},
  };
}

}  // namespace

std::vector<Check> AttributeChecks() {
  std::vector<Check> checks = {
      {"stat of each kind", "same same same same same same ",
       [](const Place& at) {
         WriteFile(at.mnt + "/file", std::string(5000, 'x'));
         testing::Check(mkdir((at.mnt + "/dir").c_str(), 0755) == 0, "dir");
         testing::Check(symlink("x", (at.mnt + "/link").c_str()) == 0, "link");
         for (const auto& [name, mode] :
              {std::pair("/fifo", S_IFIFO), std::pair("/socket", S_IFSOCK),
               std::pair("/device", S_IFBLK)}) {
           testing::Check(mknod((at.mnt + name).c_str(), mode | 0640,
                                mode == S_IFBLK ? makedev(8, 300) : 0) == 0,
                          name);
         }
         std::string text;
         for (const char* name :
              {"/file", "/dir", "/link", "/fifo", "/socket", "/device"}) {
           text += StatCompared(at, name) + " ";
         }
         return text;
       }},
      {"stat of the root", "same",
       [](const Place& at) { return StatCompared(at, "/"); }},
      {"stat of an open file that grows", "5, 9",
       [](const Place& at) {
         const UniqueFd fd = OpenFile(at.mnt + "/file", O_RDWR | O_CREAT);
         std::string text;
         struct stat info;
         testing::Check(write(fd.get(), "12345", 5) == 5, "write");
         testing::Check(fstat(fd.get(), &info) == 0, "fstat");
         text = std::to_string(info.st_size);
         testing::Check(write(fd.get(), "6789", 4) == 4, "write");
         return text + ", " +
                std::to_string(testing::Stat(at.mnt + "/file").st_size);
       }},
      {"birth time", "same",
       [](const Place& at) -> std::string {
         WriteFile(at.source + "/file", "");
         const std::string here = BirthTime(at.mnt + "/file");
         return here == BirthTime(at.source + "/file") ? "same" : here;
       }},
      {"statfs", "same",
       [](const Place& at) -> std::string {
         struct statvfs here, there;
         if (statvfs(at.mnt.c_str(), &here) != 0) return Said(-1);
         testing::Check(statvfs(at.source.c_str(), &there) == 0, "statvfs");
         return here.f_bsize == there.f_bsize &&
                        here.f_frsize == there.f_frsize &&
                        here.f_blocks == there.f_blocks &&
                        here.f_files == there.f_files &&
                        here.f_namemax == there.f_namemax
                    ? "same"
                    : "differs";
       }},
      {"open by a handle", "ok", ByHandle},
      {"times to the nanosecond", "1000.1 -86400.999999999",
       [](const Place& at) {
         WriteFile(at.mnt + "/file", "");
         const timespec times[] = {{1000, 1}, {-86400, 999999999}};
         if (utimensat(AT_FDCWD, (at.mnt + "/file").c_str(), times, 0) != 0) {
           return Said(-1);
         }
         return Times(at.source + "/file");
       }},
      {"one time only", "1000.1 2000.2",
       [](const Place& at) {
         const UniqueFd fd = OpenFile(at.mnt + "/file", O_RDWR | O_CREAT);
         const timespec both[] = {{1000, 1}, {1000, 1}};
         const timespec one[] = {{0, UTIME_OMIT}, {2000, 2}};
         if (futimens(fd.get(), both) != 0 || futimens(fd.get(), one) != 0) {
           return Said(-1);
         }
         return Times(at.mnt + "/file");
       }},
      {"times of a symlink", "1000.1 2000.2",
       [](const Place& at) {
         const std::string path = at.mnt + "/link";
         testing::Check(symlink("x", path.c_str()) == 0, path);
         const timespec times[] = {{1000, 1}, {2000, 2}};
         if (utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) !=
             0) {
           return Said(-1);
         }
         return Times(at.source + "/link");
       }},
      {"a write moves mtime", "moved",
       [](const Place& at) -> std::string {
         const UniqueFd fd = OpenFile(at.mnt + "/file", O_RDWR | O_CREAT);
         const timespec old[] = {{1000, 0}, {1000, 0}};
         testing::Check(futimens(fd.get(), old) == 0, "futimens");
         testing::Check(write(fd.get(), "x", 1) == 1, "write");
         return testing::Stat(at.mnt + "/file").st_mtim.tv_sec > 1000 ? "moved"
                                                                      : "stays";
       }},
      {"modes and umask", "640, 750",
       [](const Place& at) {
         return InProcess([&at] {
           umask(027);
           OpenFile(at.mnt + "/file", O_WRONLY | O_CREAT, 0666);
           mkdir((at.mnt + "/dir").c_str(), 0777);
           return InOrder(
               {Mode(at.source + "/file"), Mode(at.source + "/dir")});
         });
       }},
      {"chmod", "ok, 6711",
       [](const Place& at) {
         WriteFile(at.mnt + "/file", "");
         return InOrder({Said(chmod((at.mnt + "/file").c_str(), 06711)),
                         Mode(at.source + "/file")});
       }},
      {"chmod of an unlinked file", "ok",
       [](const Place& at) {
         const UniqueFd fd = OpenFile(at.mnt + "/file", O_RDWR | O_CREAT);
         testing::Check(unlink((at.mnt + "/file").c_str()) == 0, "unlink");
         return Said(fchmod(fd.get(), 0600));
       }},
      {"chown", "ok, 1:2, ok, 3:2, ok, 4:5, 3:2",
       [](const Place& at) {
         const std::string file = at.mnt + "/file", link = at.mnt + "/link";
         WriteFile(file, "");
         testing::Check(symlink("file", link.c_str()) == 0, link);
         auto owner = [](const std::string& path) {
           const struct stat info = testing::Stat(path);
           return std::to_string(info.st_uid) + ":" +
                  std::to_string(info.st_gid);
         };
         return InOrder({Said(chown(file.c_str(), 1, 2)), owner(file),
                         Said(chown(file.c_str(), 3, -1)), owner(file),
                         Said(lchown(link.c_str(), 4, 5)), owner(link),
                         owner(file)});
       }},
      {"chown takes set-user-id away", "711",
       [](const Place& at) {
         WriteFile(at.mnt + "/file", "");
         testing::Check(chmod((at.mnt + "/file").c_str(), 04711) == 0, "chmod");
         testing::Check(chown((at.mnt + "/file").c_str(), 1, 2) == 0, "chown");
         return Mode(at.mnt + "/file");
       }},
  };
  for (Check& check : XattrChecks()) checks.push_back(std::move(check));
  return checks;
}

}  // namespace barefuse::peer
