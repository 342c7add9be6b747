#include "tests/peer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace barefuse::peer {
namespace {

using testing::Ended;
using testing::RunToEnd;

constexpr char kExamples[] = "/usr/share/doc/libfuse3-dev/examples/";
constexpr int kLong = 20'000;  // milliseconds

UniqueFd MountTable() {
  UniqueFd table(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  testing::Check(static_cast<bool>(table), "mountinfo");
  return table;
}

}  // namespace

Examples::Examples() {
  for (const char* name : {"hello_ll", "passthrough_ll"}) Build(name);
}

void Examples::Build(const std::string& name) {
  if (!missing_.empty()) return;
  // Debian packs examples that are long. HAVE_*: what libfuse's own build finds
  // out about Linux.
  const std::string script =
      "set -e\n"
      "flags=$(pkg-config fuse3 --cflags --libs)\n"
      "for file in passthrough_helpers.h " +
      name +
      ".c; do\n"
      "  if [ -e \"$1$file\" ]; then cp \"$1$file\" .\n"
      "  else gzip -dc \"$1$file.gz\" >$file; fi\n"
      "done\n"
      "cc -O1 -DHAVE_FALLOCATE -DHAVE_COPY_FILE_RANGE " +
      name + ".c -o " + name + " $flags\n";
  Ended ended = RunToEnd({"sh", "-c", script, "sh", kExamples}, [this] {
    testing::Check(chdir(directory_.path().c_str()) == 0, "chdir");
  });
  if (ended.status == 0) return;
  missing_ = "libfuse's " + name +
             " cannot be built (tools/setup installs libfuse3-dev):\n" +
             ended.err;
}

Running::Running(const std::vector<std::string>& command, std::string mnt)
    : mnt_(std::move(mnt)),
      process_(command),
      pidfd_(static_cast<int>(syscall(SYS_pidfd_open, process_.pid(), 0))) {
  testing::Check(static_cast<bool>(pidfd_), "pidfd_open");
  // poll(2) says when the table has changed since it was opened or last asked.
  const UniqueFd table = MountTable();
  while (testing::MountsBelow(mnt_).empty()) {
    pollfd events[] = {{table.get(), POLLPRI, 0}, {pidfd_.get(), POLLIN, 0}};
    const int ready = poll(events, 2, kLong);
    if (ready < 0 && errno == EINTR) continue;
    testing::Check(ready > 0 && events[1].revents == 0,
                   command[0] + " did not mount");
  }
  // The mount is in the table before INIT is answered; requests wait for that.
  struct statvfs info;
  testing::Check(statvfs(mnt_.c_str(), &info) == 0, command[0]);
}

std::string Running::End(int signal) {
  std::string complaint;
  if (signal != 0) {
    process_.Signal(signal);
  } else if (umount(mnt_.c_str()) != 0) {
    complaint += std::string("umount: ") + strerror(errno) + "\n";
    umount2(mnt_.c_str(), MNT_DETACH);
  }
  pollfd end = {pidfd_.get(), POLLIN, 0};
  if (poll(&end, 1, kLong) != 1) {
    complaint += "the server did not end\n";
    process_.Signal(SIGKILL);
  }
  if (const int status = process_.Wait(); status != 0) {
    complaint += "the server ended with " + std::to_string(status) + "\n";
  }
  if (!testing::MountsBelow(mnt_).empty()) complaint += "still mounted\n";
  return complaint;
}

}  // namespace barefuse::peer
