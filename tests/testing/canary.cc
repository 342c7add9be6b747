#include "tests/testing/canary.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <utility>

#include "tests/testing/files.h"

namespace barefuse::testing {
namespace {

constexpr const char* kNames[] = {"",           "/secret", "/dir",
                                  "/dir/inner", "/fifo",   "/link"};

// The names and values of its extended attributes.
std::string XattrsOf(const std::string& path) {
  char names[1024];
  const ssize_t size = llistxattr(path.c_str(), names, sizeof names);
  if (size < 0) return "none";
  std::string result;
  for (ssize_t at = 0; at < size;) {
    const std::string name = names + at;
    char value[1024];
    const ssize_t length =
        lgetxattr(path.c_str(), name.c_str(), value, sizeof value);
    result += name + "=" +
              std::string(value, length < 0 ? 0 : static_cast<size_t>(length)) +
              " ";
    at += static_cast<ssize_t>(name.size()) + 1;
  }
  return result;
}

}  // namespace

// --- Watch ---

Watch::Watch() : inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  Check(static_cast<bool>(inotify_), "inotify");
}

void Watch::Add(const std::string& path) {
  const int watch = inotify_add_watch(inotify_.get(), path.c_str(),
                                      IN_ALL_EVENTS | IN_DONT_FOLLOW);
  Check(watch >= 0, path);
  paths_[watch] = path;
}

std::vector<std::string> Watch::Events() {
  std::vector<std::string> events;
  alignas(inotify_event) char buffer[16 << 10];
  for (;;) {
    const ssize_t size = read(inotify_.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return events;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      std::ostringstream line;
      line << paths_[event->wd];
      if (event->len != 0) line << "/" << event->name;
      line << ": event 0x" << std::hex << event->mask;
      events.push_back(line.str());
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
  }
}

// --- Canary ---

Canary::Canary(std::string at) : path_(std::move(at)) {
  Check(mkdir(path_.c_str(), 0755) == 0, path_);
  Check(mkdir((path_ + "/dir").c_str(), 0755) == 0, "dir");
  WriteFile(path_ + "/secret", kSecret);
  WriteFile(path_ + "/dir/inner", kSecret);
  Check(mkfifo((path_ + "/fifo").c_str(), 0666) == 0, "fifo");
  Check(symlink("secret", (path_ + "/link").c_str()) == 0, "link");
  Check(lchown((path_ + "/secret").c_str(), 4321, 1234) == 0, "chown");
  Check(chmod((path_ + "/secret").c_str(), 0640) == 0, "chmod");
  // Where the filesystem has these.
  setxattr(path_.c_str(), "user.canary", "sings", 5, 0);
  setxattr((path_ + "/secret").c_str(), "user.canary", "sings", 5, 0);
  // Read before written: reading sets the time of access, relatime or not.
  const timespec times[] = {{1000, 0}, {2000, 0}};
  for (const char* name : kNames) {
    Check(utimensat(AT_FDCWD, (path_ + name).c_str(), times,
                    AT_SYMLINK_NOFOLLOW) == 0,
          name);
  }
  before_ = Describe();
  for (const char* name : kNames) watch_.Add(path_ + name);
}

std::map<std::string, std::string> Canary::Describe() const {
  std::map<std::string, std::string> all;
  for (const char* name : kNames) {
    const std::string path = path_ + name;
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) continue;
    std::ostringstream line;
    line << std::oct << info.st_mode << std::dec << " ino=" << info.st_ino
         << " uid=" << info.st_uid << " gid=" << info.st_gid
         << " links=" << info.st_nlink << " size=" << info.st_size
         << " atime=" << info.st_atim.tv_sec << "." << info.st_atim.tv_nsec
         << " mtime=" << info.st_mtim.tv_sec << "." << info.st_mtim.tv_nsec
         << " ctime=" << info.st_ctim.tv_sec << "." << info.st_ctim.tv_nsec
         << " xattrs: " << XattrsOf(path);
    all["it" + std::string(name)] = line.str();
  }
  return all;
}

std::vector<std::string> Canary::Touched() {
  std::vector<std::string> touched = watch_.Events();
  const std::map<std::string, std::string> after = Describe();
  for (const auto& [name, line] : before_) {
    const auto it = after.find(name);
    if (it == after.end()) {
      touched.push_back(name + " is gone");
    } else if (it->second != line) {
      touched.push_back(name + " was " + line + " and is " + it->second);
    }
  }
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::recursive_directory_iterator(path_)) {
    ++entries;
  }
  if (entries != std::size(kNames) - 1) {
    touched.push_back("it has " + std::to_string(entries) + " entries");
  }
  for (const char* name : {"/secret", "/dir/inner"}) {
    if (after.contains("it" + std::string(name)) &&
        ReadFile(path_ + name) != kSecret) {
      touched.push_back(std::string(name) + " has another content");
    }
  }
  return touched;
}

}  // namespace barefuse::testing
