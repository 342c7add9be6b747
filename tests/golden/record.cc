// Records golden messages from this machine's kernel, and writes those built by
// hand beside them.
//
// Three filesystems are mounted, the passthrough filesystem, one that has what
// it has not (locks, ioctl, poll), and one on a block device, which is told
// things unasked as well. They are used until the kernel has sent every
// operation that it sends at all. The first request of an operation that
// succeeds is kept, with its reply.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "fs/passthrough/passthrough.h"
#include "server/session.h"
#include "tests/golden/by_hand.h"
#include "tests/golden/golden.h"
#include "tests/golden/raw_mount.h"
#include "tests/golden/recorder.h"
#include "tests/testing/files.h"

namespace barefuse::testing {
namespace {

// One file, "file", with what the passthrough filesystem does not offer.
class Oddities : public FileSystem {
 public:
  uint64_t WantedCapabilities() const override {
    return FileSystem::WantedCapabilities() | abi::FUSE_POSIX_LOCKS;
  }
  void Lookup(const LookupRequest&, EntryReply reply) override {
    abi::fuse_entry_out entry{};
    entry.nodeid = 2;
    entry.attr = Attr(2);
    std::move(reply).Ok(entry);
  }
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr = Attr(request.node());
    std::move(reply).Ok(out);
  }
  void Access(const AccessRequest&, EmptyReply reply) override {
    std::move(reply).Ok();
  }
  void Getlk(const GetlkRequest& request, LockReply reply) override {
    abi::fuse_lk_out out{};
    out.lk = request->lk;
    out.lk.type = F_UNLCK;
    std::move(reply).Ok(out);
  }
  void Setlk(const SetlkRequest&, EmptyReply reply) override {
    std::move(reply).Ok();
  }
  // The first is granted, the second waits until it is let go.
  void Setlkw(const SetlkwRequest&, EmptyReply reply) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (++locks_ == 1) return std::move(reply).Ok();
    waiting_.emplace(std::move(reply));
    changed_.notify_all();
  }
  void Readdir(const ReaddirRequest& request, DirectoryReply reply) override {
    const char* names[] = {".", "..", "file"};
    const uint8_t types[] = {DT_DIR, DT_DIR, DT_REG};
    for (uint64_t i = request->offset; i < 3; ++i) {
      if (!reply.Add(names[i], i + 1, types[i], i + 1)) break;
    }
    std::move(reply).Ok();
  }
  // Without COPY_FILE_RANGE_64 the kernel sends what came before it.
  void CopyFileRange(const CopyFileRangeRequest& request,
                     WriteReply reply) override {
    std::move(reply).Ok(request->len);
  }
  void Ioctl(const IoctlRequest& request, IoctlReply reply) override {
    std::memset(reply.buffer().data(), 0x2a, reply.buffer().size());
    std::move(reply).Ok(0, reply.buffer().size());
  }
  void Poll(const PollRequest& request, PollReply reply) override {
    std::move(reply).Ok({POLLIN | POLLOUT, 0});
  }

  void AwaitLocker() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.has_value(); });
  }
  void LetGo() {
    std::lock_guard<std::mutex> lock(mutex_);
    std::move(*waiting_).Error(EINTR);
    waiting_.reset();
  }

 private:
  static abi::fuse_attr Attr(NodeId node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == abi::FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    attr.nlink = 1;
    attr.size = 4096;
    return attr;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int locks_ = 0;
  std::optional<EmptyReply> waiting_;
};

void Must(bool good, const char* what) { Check(good, what); }

// The kernel reads a directory's first entries with attributes, and goes on
// without where nobody wants them.
void List(const std::string& path) {
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(path)) {
  }
}

// Everything that a program can ask of a directory.
void UseFiles(const std::string& mnt) {
  auto at = [&](const char* name) { return mnt + "/" + name; };
  Must(mkdir(at("dir").c_str(), 0755) == 0, "mkdir");
  List(at("dir"));
  Must(mknod(at("fifo").c_str(), S_IFIFO | 0600, 0) == 0, "mknod");
  Must(symlink("target", at("link").c_str()) == 0, "symlink");
  char buffer[256];
  Must(readlink(at("link").c_str(), buffer, sizeof buffer) > 0, "readlink");
  WriteFile(at("file"), "some text\n");
  Must(link(at("file").c_str(), at("hard").c_str()) == 0, "link");
  UniqueFd fd(open(at("file").c_str(), O_RDWR | O_CLOEXEC));
  Must(pread(fd.get(), buffer, 4, 0) == 4, "pread");
  Must(fsync(fd.get()) == 0, "fsync");
  Must(fchmod(fd.get(), 0640) == 0, "fchmod");
  Must(fallocate(fd.get(), 0, 0, 4096) == 0, "fallocate");
  Must(lseek(fd.get(), 0, SEEK_DATA) == 0, "lseek");
  UniqueFd copy(open(at("copy").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  Must(copy_file_range(fd.get(), nullptr, copy.get(), nullptr, 5, 0) == 5,
       "copy_file_range");
  Must(setxattr(at("file").c_str(), "user.key", "value", 5, 0) == 0,
       "setxattr");
  Must(getxattr(at("file").c_str(), "user.key", buffer, sizeof buffer) == 5,
       "getxattr");
  Must(listxattr(at("file").c_str(), buffer, sizeof buffer) > 0, "listxattr");
  Must(removexattr(at("file").c_str(), "user.key") == 0, "removexattr");
  struct statx info;
  Must(statx(AT_FDCWD, at("file").c_str(), AT_STATX_FORCE_SYNC,
             STATX_BASIC_STATS | STATX_BTIME, &info) == 0,
       "statx");
  UniqueFd unnamed(open(mnt.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  Must(static_cast<bool>(unnamed), "O_TMPFILE");
  UniqueFd directory(open(mnt.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Must(fsync(directory.get()) == 0, "fsync of a directory");
  Must(std::filesystem::space(mnt).capacity > 0, "statfs");
  Must(rename(at("hard").c_str(), at("renamed").c_str()) == 0, "rename");
  Must(renameat2(AT_FDCWD, at("renamed").c_str(), AT_FDCWD, at("again").c_str(),
                 RENAME_NOREPLACE) == 0,
       "renameat2");
  Must(unlink(at("again").c_str()) == 0, "unlink");
  Must(rmdir(at("dir").c_str()) == 0, "rmdir");
}

// Lets the kernel forget inodes: one, and many at once.
void Forget(const std::string& mnt, Recorder& recorder) {
  for (int i = 0; i < 10; ++i) {
    WriteFile(mnt + "/" + std::to_string(i), "");
  }
  recorder.WhileHeld([] { WriteFile("/proc/sys/vm/drop_caches", "2"); });
  WriteFile(mnt + "/last", "");
  Must(unlink((mnt + "/last").c_str()) == 0, "unlink");
  Must(access((mnt + "/none").c_str(), F_OK) != 0, "access");
}

void UseOddities(const std::string& mnt, Oddities& fs) {
  const std::string file = mnt + "/file";
  UniqueFd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
  Must(static_cast<bool>(fd), "open");
  Must(access(file.c_str(), R_OK) == 0, "access");
  List(mnt);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_len = 10;
  Must(fcntl(fd.get(), F_GETLK, &lock) == 0, "F_GETLK");
  lock.l_type = F_RDLCK;
  Must(fcntl(fd.get(), F_SETLK, &lock) == 0, "F_SETLK");
  Must(fcntl(fd.get(), F_SETLKW, &lock) == 0, "F_SETLKW");
  pollfd ready{fd.get(), POLLIN, 0};
  Must(poll(&ready, 1, 1000) == 1, "poll");
  char argument[16] = "argument";
  Must(ioctl(fd.get(), _IOWR('b', 7, char[16]), argument) == 0, "ioctl");

  off_t from = 0, to = 100;
  Must(copy_file_range(fd.get(), &from, fd.get(), &to, 10, 0) == 10,
       "copy_file_range");

  // A signal makes an INTERRUPT of a lock that is waited for.
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  std::thread locker([&] {
    struct flock blocked {};
    blocked.l_type = F_WRLCK;
    fcntl(fd.get(), F_SETLKW, &blocked);
  });
  fs.AwaitLocker();
  pthread_kill(locker.native_handle(), SIGUSR1);
  // The INTERRUPT is in front of whatever comes next.
  Must(access(file.c_str(), R_OK) == 0, "access");
  fs.LetGo();
  locker.join();
}

template <class Use>
std::map<std::string, Golden> Record(std::shared_ptr<FileSystem> file_system,
                                     Use use) {
  TempDir dir;
  const std::string mnt = dir.MakeDir("mnt");
  Recorder recorder;
  SessionOptions options;
  options.workers = 1;
  options.tap = recorder.Tap();
  auto session = Session::Mount(std::move(file_system), mnt, options);
  if (!session.ok()) {
    fprintf(stderr, "%s\n", std::string(session.status().message()).c_str());
    exit(1);
  }
  recorder.SetDialect((*session)->terms().dialect);
  use(mnt, recorder);
  session->reset();  // unmounts, and takes the last messages along
  return recorder.Take();
}

int Main(const std::string& folder) {
  utsname system;
  uname(&system);
  std::string release = system.release;
  release.resize(std::min(release.find('.', 2), release.size()));
  TempDir source;

  auto passthrough = Passthrough::Create({.source = source.path(),
                                          .passthrough = false,
                                          .timeout = absl::ZeroDuration()});
  Must(passthrough.ok(), "source");
  std::map<std::string, Golden> all =
      Record(*passthrough, [](const std::string& mnt, Recorder& recorder) {
        UseFiles(mnt);
        Forget(mnt, recorder);
      });
  auto oddities = std::make_shared<Oddities>();
  all.merge(Record(oddities, [&](const std::string& mnt, Recorder&) {
    UseOddities(mnt, *oddities);
  }));
  Recorder raw;
  UseRawMount(&raw);
  all.merge(raw.Take());
  for (auto& [name, golden] : all) {
    golden.origin =
        (golden.kind == GoldenKind::kNotification ? "Accepted by Linux "
                                                  : "Recorded from Linux ") +
        release + ".";
  }
  for (auto& [name, golden] : MessagesByHand()) {
    all.emplace(name, golden);
  }
  for (auto& [name, golden] : all) {
    golden.text = Describe(golden);
    if (golden.text.empty()) {
      fprintf(stderr, "%s: the codec finds fault with it\n", name.c_str());
    }
    WriteFile(folder + "/" + name, Format(golden));
  }
  printf("%zu messages\n", all.size());
  return 0;
}

}  // namespace
}  // namespace barefuse::testing

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "Usage: record FOLDER\n");
    return 2;
  }
  return barefuse::testing::Main(argv[1]);
}
