#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <sstream>

#include "tests/peer/passthrough_checks.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace barefuse::peer {
namespace {

using testing::WriteFile;

constexpr unsigned kUser = 1234;  // without privileges

std::string File(const Place& at) { return at.mnt + "/file"; }

void MakeFile(const Place& at, mode_t mode, unsigned owner = 0) {
  WriteFile(at.source + "/file", "text");
  testing::Check(chown((at.source + "/file").c_str(), owner, owner) == 0,
                 "chown");
  testing::Check(chmod((at.source + "/file").c_str(), mode) == 0, "chmod");
}

// A directory /dir of root's with a file in it.
void MakeDir(const Place& at, mode_t mode) {
  const std::string path = at.source + "/dir";
  testing::Check(mkdir(path.c_str(), 0755) == 0, path);
  WriteFile(path + "/file", "text");
  testing::Check(chmod(path.c_str(), mode) == 0, "chmod");
}

std::string Described(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return Said(-1);
  std::ostringstream text;
  text << info.st_uid << ":" << info.st_gid << " " << std::oct
       << (info.st_mode & 07777);
  return text.str();
}

std::string OpenAsUser(const Place& at, int flags) {
  return InProcess([&] { return Said(OpenFile(File(at), flags).get()); },
                   kUser);
}

std::vector<Check> UserChecks() {
  return {
      {"a user reads what is private", "EACCES",
       [](const Place& at) {
         MakeFile(at, 0600);
         return OpenAsUser(at, O_RDONLY);
       }},
      {"a user reads what is public", "ok",
       [](const Place& at) {
         MakeFile(at, 0644);
         return OpenAsUser(at, O_RDONLY);
       }},
      {"a user writes what is public", "EACCES",
       [](const Place& at) {
         MakeFile(at, 0644);
         return OpenAsUser(at, O_WRONLY);
       }},
      {"a user truncates what is public", "EACCES",
       [](const Place& at) {
         MakeFile(at, 0644);
         return InProcess([&] { return Said(truncate(File(at).c_str(), 1)); },
                          kUser);
       }},
      {"a user asks for access", "ok, EACCES, EACCES",
       [](const Place& at) {
         MakeFile(at, 0644);
         return InProcess(
             [&] {
               return InOrder({Said(access(File(at).c_str(), R_OK)),
                               Said(access(File(at).c_str(), W_OK)),
                               Said(access(File(at).c_str(), X_OK))});
             },
             kUser);
       }},
      {"root asks for access", "ok, ok, EACCES",
       [](const Place& at) {
         MakeFile(at, 0);
         return InOrder({Said(access(File(at).c_str(), R_OK)),
                         Said(access(File(at).c_str(), W_OK)),
                         Said(access(File(at).c_str(), X_OK))});
       }},
      {"a user in a private directory", "EACCES, EACCES",
       [](const Place& at) {
         MakeDir(at, 0700);
         return InProcess(
             [&] {
               const std::string dir = at.mnt + "/dir";
               return InOrder({Said(OpenFile(dir, O_RDONLY).get()),
                               Said(access((dir + "/file").c_str(), F_OK))});
             },
             kUser);
       }},
      {"a user removes from a public directory", "EACCES",
       [](const Place& at) {
         MakeDir(at, 0755);
         return InProcess(
             [&] { return Said(unlink((at.mnt + "/dir/file").c_str())); },
             kUser);
       }},
      {"a user removes from a sticky directory", "EPERM",
       [](const Place& at) {
         MakeDir(at, 01777);
         return InProcess(
             [&] { return Said(unlink((at.mnt + "/dir/file").c_str())); },
             kUser);
       }},
      {"a user changes what is root's", "EPERM, EPERM, EPERM, EACCES, EACCES",
       [](const Place& at) {
         MakeFile(at, 0644);
         return InProcess(
             [&] {
               const std::string file = File(at);
               const timespec times[] = {{1, 1}, {1, 1}};
               return InOrder(
                   {Said(chmod(file.c_str(), 0666)),
                    Said(chown(file.c_str(), kUser, kUser)),
                    Said(utimensat(AT_FDCWD, file.c_str(), times, 0)),
                    Said(utimensat(AT_FDCWD, file.c_str(), nullptr, 0)),
                    Said(setxattr(file.c_str(), "user.x", "y", 1, 0))});
             },
             kUser);
       }},
      {"a user gives a file away", "EPERM",
       [](const Place& at) {
         MakeFile(at, 0644, kUser);
         return InProcess([&] { return Said(chown(File(at).c_str(), 1, -1)); },
                          kUser);
       }},
      {"a user's creations are the user's",
       "1234:1234 640, 1234:1234 755, 1234:1234 777, 1234:1234 600",
       [](const Place& at) {
         MakeDir(at, 0777);
         const std::string dir = at.mnt + "/dir/";
         InProcess(
             [&] {
               umask(0);
               OpenFile(dir + "new", O_WRONLY | O_CREAT, 0640);
               mkdir((dir + "sub").c_str(), 0755);
               return InOrder({Said(symlink("x", (dir + "link").c_str())),
                               Said(mkfifo((dir + "fifo").c_str(), 0600))});
             },
             kUser);
         return InOrder({Described(dir + "new"), Described(dir + "sub"),
                         Described(dir + "link"), Described(dir + "fifo")});
       }},
      {"a set-group-id directory hands its group on",
       "1234:5678 640, 1234:5678 2755",
       [](const Place& at) {
         MakeDir(at, 0777);
         const std::string dir = at.mnt + "/dir";
         testing::Check(chown((at.source + "/dir").c_str(), 0, 5678) == 0, dir);
         testing::Check(chmod((at.source + "/dir").c_str(), 02777) == 0, dir);
         InProcess(
             [&] {
               umask(0);
               OpenFile(dir + "/new", O_WRONLY | O_CREAT, 0640);
               return Said(mkdir((dir + "/sub").c_str(), 0755));
             },
             kUser);
         return InOrder({Described(dir + "/new"), Described(dir + "/sub")});
       }},
      {"a user's write takes set-user-id away", "ok, 1234:1234 755",
       [](const Place& at) {
         MakeFile(at, 04755, kUser);
         return InOrder({InProcess(
                             [&] {
                               const UniqueFd fd = OpenFile(File(at), O_WRONLY);
                               return Said(write(fd.get(), "x", 1));
                             },
                             kUser),
                         Described(at.source + "/file")});
       }},
      {"a user's truncate takes set-user-id away", "ok, 1234:1234 755",
       [](const Place& at) {
         MakeFile(at, 04755, kUser);
         return InOrder(
             {InProcess([&] { return Said(truncate(File(at).c_str(), 1)); },
                        kUser),
              Described(at.source + "/file")});
       }},
      {"a user's chmod to a group of others", "ok, 1234:5678 755",
       [](const Place& at) {
         MakeFile(at, 0644, kUser);
         testing::Check(chown((at.source + "/file").c_str(), -1, 5678) == 0,
                        "chown");
         return InOrder(
             {InProcess([&] { return Said(chmod(File(at).c_str(), 02755)); },
                        kUser),
              Described(at.source + "/file")});
       }},
      {"a user sees no trusted xattr", "ENODATA",
       [](const Place& at) {
         MakeFile(at, 0644);
         testing::Check(setxattr((at.source + "/file").c_str(), "trusted.x",
                                 "y", 1, 0) == 0,
                        "setxattr");
         return InProcess(
             [&] {
               return Said(getxattr(File(at).c_str(), "trusted.x", nullptr, 0));
             },
             kUser);
       }},
      {"a user runs a program", "0",
       [](const Place& at) {
         WriteFile(at.mnt + "/program", testing::ReadFile("/bin/true"));
         testing::Check(chmod((at.mnt + "/program").c_str(), 0755) == 0, "");
         return InProcess(
             [&] {
               return std::to_string(
                   testing::RunToEnd({at.mnt + "/program"}).status);
             },
             kUser);
       }},
  };
}

// What another process gets that asks for a lock of `path`, where `type` is
// F_OFD_SETLK, F_SETLK or F_GETLK.
std::string OtherLocks(const std::string& path, int command) {
  return InProcess([&] {
    const UniqueFd fd = OpenFile(path, O_RDWR);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    const int result = fcntl(fd.get(), command, &lock);
    if (command != F_GETLK || result < 0) return Said(result);
    return std::string(lock.l_type == F_UNLCK ? "free" : "locked") +
           (lock.l_pid == getppid() ? " by the parent" : "");
  });
}

std::string OpenAndClose(const std::string& path) {
  const UniqueFd fd = OpenFile(path, O_RDONLY);
  return Said(fd.get());
}

std::string OtherFlocks(const std::string& path) {
  return InProcess([&] {
    return Said(flock(OpenFile(path, O_RDWR).get(), LOCK_SH | LOCK_NB));
  });
}

std::string Lock(const UniqueFd& fd, short type, int command) {
  struct flock lock = {};
  lock.l_type = type;
  return Said(fcntl(fd.get(), command, &lock));
}

std::vector<Check> LockChecks() {
  return {
      {"fcntl locks of two processes",
       "ok, EAGAIN, locked by the parent, ok, ok, free",
       [](const Place& at) {
         MakeFile(at, 0644);
         const UniqueFd fd = OpenFile(File(at), O_RDWR);
         return InOrder(
             {Lock(fd, F_WRLCK, F_SETLK), OtherLocks(File(at), F_SETLK),
              OtherLocks(File(at), F_GETLK), Lock(fd, F_UNLCK, F_SETLK),
              OtherLocks(File(at), F_SETLK), OtherLocks(File(at), F_GETLK)});
       }},
      {"close lets go of fcntl locks", "ok, ok, ok",
       [](const Place& at) {
         MakeFile(at, 0644);
         const UniqueFd fd = OpenFile(File(at), O_RDWR);
         return InOrder({Lock(fd, F_WRLCK, F_SETLK), OpenAndClose(File(at)),
                         OtherLocks(File(at), F_SETLK)});
       }},
      {"locks of open files", "ok, ok, EAGAIN",
       [](const Place& at) {
         MakeFile(at, 0644);
         const UniqueFd fd = OpenFile(File(at), O_RDWR);
         return InOrder({Lock(fd, F_WRLCK, F_OFD_SETLK), OpenAndClose(File(at)),
                         OtherLocks(File(at), F_OFD_SETLK)});
       }},
      {"flock of two processes", "ok, EAGAIN, ok, ok",
       [](const Place& at) {
         MakeFile(at, 0644);
         const UniqueFd fd = OpenFile(File(at), O_RDWR);
         return InOrder({Said(flock(fd.get(), LOCK_EX)), OtherFlocks(File(at)),
                         Said(flock(fd.get(), LOCK_UN)),
                         OtherFlocks(File(at))});
       }},
      {"flock in the source", "EAGAIN",
       [](const Place& at) {
         MakeFile(at, 0644);
         const UniqueFd fd = OpenFile(at.source + "/file", O_RDWR);
         testing::Check(flock(fd.get(), LOCK_EX) == 0, "flock");
         return OtherFlocks(File(at));
       }},
      {"fcntl lock in the source", "EAGAIN",
       [](const Place& at) {
         MakeFile(at, 0644);
         const UniqueFd fd = OpenFile(at.source + "/file", O_RDWR);
         testing::Check(Lock(fd, F_WRLCK, F_SETLK) == "ok", "lock");
         return OtherLocks(File(at), F_SETLK);
       }},
  };
}

}  // namespace

std::vector<Check> RightsChecks() {
  std::vector<Check> all = UserChecks();
  for (Check& check : LockChecks()) all.push_back(std::move(check));
  return all;
}

}  // namespace barefuse::peer
