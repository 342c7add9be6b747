#include "tests/golden/raw_mount.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "proto/encode_reply.h"
#include "proto/negotiation.h"
#include "proto/notifications.h"
#include "server/unique_fd.h"
#include "tests/testing/files.h"

namespace barefuse::testing {
namespace {

constexpr uint64_t kFile = 2;
constexpr std::string_view kContent = "content of the file";

// A loop device over a file of a mebibyte.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& file) {
    WriteFile(file, std::string(1 << 20, '\0'));
    UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    Check(number >= 0, "a free loop device");
    path_ = "/dev/loop" + std::to_string(number);
    device_.reset(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    UniqueFd backing(open(file.c_str(), O_RDWR | O_CLOEXEC));
    Check(ioctl(device_.get(), LOOP_SET_FD, backing.get()) == 0, path_);
  }
  ~LoopDevice() { ioctl(device_.get(), LOOP_CLR_FD, 0); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  UniqueFd device_;
};

// One file in a directory. Answers on a thread of its own.
class RawServer {
 public:
  RawServer(int device, Recorder* recorder)
      : device_(device), recorder_(*recorder) {}

  // Until the filesystem is gone.
  void Serve() {
    std::vector<std::byte> buffer(1 << 21);
    for (;;) {
      const ssize_t size = read(device_, buffer.data(), buffer.size());
      if (size < 0 && errno == ENODEV) return;
      Check(size > 0, "read of /dev/fuse");
      const auto message =
          proto::Bytes(buffer).first(static_cast<size_t>(size));
      recorder_.Tap()(Direction::kFromKernel, message, {});
      proto::Request request;
      Check(proto::DecodeRequest(message, dialect_, &request).ok(),
            "the kernel's request");
      if (std::holds_alternative<proto::NotifyReply>(request.operation)) {
        retrieved_ = true;
      }
      const proto::Operation& row =
          *proto::FindOperation(request.header.opcode);
      if (row.owed == proto::Owed::kReply) Answer(request);
    }
  }

  bool retrieved() const { return retrieved_; }

 private:
  void Answer(const proto::Request& request) {
    proto::ReplyMessage reply;
    reply.header.unique = request.header.unique;
    switch (request.header.opcode) {
      case abi::FUSE_INIT: {
        proto::Negotiated terms = proto::Negotiate(
            std::get<proto::Init>(request.operation), proto::Wishes{});
        dialect_ = terms.dialect;
        recorder_.SetDialect(dialect_);
        reply.body = terms.reply;
        break;
      }
      case abi::FUSE_LOOKUP: {
        abi::fuse_entry_out entry{};
        entry.nodeid = kFile;
        entry.entry_valid = entry.attr_valid = 3600;
        entry.attr = Attr(kFile);
        reply.body = entry;
        break;
      }
      case abi::FUSE_GETATTR: {
        abi::fuse_attr_out attr{};
        attr.attr_valid = 3600;
        attr.attr = Attr(request.header.nodeid);
        reply.body = attr;
        break;
      }
      case abi::FUSE_OPEN:
      case abi::FUSE_OPENDIR:
        reply.body = abi::fuse_open_out{1, abi::FOPEN_KEEP_CACHE, 0};
        break;
      case abi::FUSE_READ:
        reply.body = proto::DataOut{
            std::as_bytes(std::span(kContent.data(), kContent.size()))};
        break;
      case abi::FUSE_BMAP:
        reply.body = abi::fuse_bmap_out{1234};
        break;
      case abi::FUSE_SYNCFS:
      case abi::FUSE_DESTROY:
      case abi::FUSE_RELEASE:
      case abi::FUSE_RELEASEDIR:
      case abi::FUSE_FLUSH:
        break;
      default:
        reply.header.error = -ENOSYS;
    }
    std::vector<std::byte> buffer(4096);
    buffer.resize(EncodeReply(reply, dialect_, buffer).size);
    recorder_.Tap()(Direction::kToKernel, buffer, {});
    Check(write(device_, buffer.data(), buffer.size()) ==
              static_cast<ssize_t>(buffer.size()),
          "reply");
  }

  static abi::fuse_attr Attr(uint64_t node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr.nlink = 1;
    attr.size = kContent.size();
    return attr;
  }

  const int device_;
  Recorder& recorder_;
  proto::Dialect dialect_;
  std::atomic<bool> retrieved_{false};
};

// Sends one and keeps it, if the kernel takes it.
void Notify(int device, Recorder* recorder, const std::string& name,
            uint32_t code, const proto::AnyNotification& notification) {
  std::vector<std::byte> buffer(4096);
  buffer.resize(
      EncodeNotification(notification, proto::Dialect{}, buffer).size);
  Check(write(device, buffer.data(), buffer.size()) ==
            static_cast<ssize_t>(buffer.size()),
        "notification " + name);
  recorder->KeepNotification(name, code, buffer);
}

void SendNotifications(int device, const RawServer& server,
                       Recorder* recorder) {
  auto notify = [&](const std::string& name, uint32_t code,
                    const proto::AnyNotification& notification) {
    Notify(device, recorder, name, code, notification);
  };
  const auto data = std::as_bytes(std::span(kContent.data(), kContent.size()));
  notify("poll", abi::FUSE_NOTIFY_POLL, proto::NotifyPoll{{0x1234}});
  notify("store", abi::FUSE_NOTIFY_STORE, proto::NotifyStore{kFile, 0, data});
  notify("retrieve", abi::FUSE_NOTIFY_RETRIEVE,
         proto::NotifyRetrieve{{9, kFile, 0, 7, 0}});
  while (!server.retrieved()) std::this_thread::yield();
  notify("inval_inode", abi::FUSE_NOTIFY_INVAL_INODE,
         proto::NotifyInvalInode{{kFile, -1, 0}});
  notify("inval_entry", abi::FUSE_NOTIFY_INVAL_ENTRY,
         proto::NotifyInvalEntry{abi::FUSE_ROOT_ID, abi::FUSE_EXPIRE_ONLY,
                                 "file"});
  notify("inc_epoch", abi::FUSE_NOTIFY_INC_EPOCH, proto::NotifyIncEpoch{});
  notify("resend", abi::FUSE_NOTIFY_RESEND, proto::NotifyResend{});
  const uint64_t nodes[] = {77, 78};
  notify("prune", abi::FUSE_NOTIFY_PRUNE,
         proto::NotifyPrune{
             proto::WireArray<uint64_t>(std::as_bytes(std::span(nodes)))});
}

}  // namespace

void UseRawMount(Recorder* recorder) {
  TempDir dir;
  const std::string mnt = dir.MakeDir("mnt");
  LoopDevice loop(dir / "image");
  UniqueFd device(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  const std::string options = "fd=" + std::to_string(device.get()) +
                              ",rootmode=40000,user_id=0,group_id=0,"
                              "blksize=4096";
  Check(mount(loop.path().c_str(), mnt.c_str(), "fuseblk", 0,
              options.c_str()) == 0,
        "mount of fuseblk");
  RawServer server(device.get(), recorder);
  std::thread thread([&] { server.Serve(); });
  {
    UniqueFd file(open((mnt + "/file").c_str(), O_RDONLY | O_CLOEXEC));
    char content[64];
    Check(read(file.get(), content, sizeof content) > 0, "read");
    int block = 0;
    Check(ioctl(file.get(), FIBMAP, &block) == 0, "FIBMAP");
    Check(syncfs(file.get()) == 0, "syncfs");
    SendNotifications(device.get(), server, recorder);
  }
  // A name goes that nobody has open any more.
  Check(access((mnt + "/file").c_str(), F_OK) == 0, "access");
  Notify(device.get(), recorder, "delete", abi::FUSE_NOTIFY_DELETE,
         proto::NotifyDelete{abi::FUSE_ROOT_ID, kFile, "file"});
  Check(umount(mnt.c_str()) == 0, "umount");
  thread.join();
}

}  // namespace barefuse::testing
