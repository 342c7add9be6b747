#include "server/device.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "kernel_abi/device.h"
#include "server/errno_status.h"

namespace barefuse {
namespace {

constexpr char kDevicePath[] = "/dev/fuse";
// A misc device: FUSE_MINOR of the kernel's miscdevice.h.
const dev_t kDeviceNumber = makedev(10, 229);

absl::StatusOr<UniqueFd> OpenDevice() {
  UniqueFd fd(open(kDevicePath, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (fd) return fd;
  switch (errno) {
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          "/dev/fuse: permission denied; run as root");
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return absl::NotFoundError(
          "/dev/fuse: not there; load the kernel module with \"modprobe "
          "fuse\"");
    default:
      return ErrnoStatus(errno, kDevicePath);
  }
}

}  // namespace

absl::StatusOr<Device> Device::Open() {
  absl::StatusOr<UniqueFd> fd = OpenDevice();
  if (!fd.ok()) return fd.status();
  return Device(*std::move(fd));
}

absl::StatusOr<Device> Device::Adopt(UniqueFd fd) {
  absl::StatusOr<bool> is_socket = IsSocket(fd.get());
  if (!is_socket.ok()) return is_socket.status();
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) {
    return ErrnoStatus(errno, absl::StrCat("descriptor ", fd.get()));
  }
  if (*is_socket) {
    // A message goes in one piece or not at all. Beyond the system's limit
    // only root may go, and others make do with what they get.
    constexpr int kRoom = 4 << 20;  // bytes
    for (int option : {SO_SNDBUFFORCE, SO_SNDBUF}) {
      if (setsockopt(fd.get(), SOL_SOCKET, option, &kRoom, sizeof kRoom) == 0) {
        break;
      }
    }
  }
  return Device(std::move(fd), *is_socket);
}

absl::StatusOr<bool> Device::IsSocket(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("descriptor ", fd));
  }
  if (S_ISCHR(info.st_mode) && info.st_rdev == kDeviceNumber) return false;
  int type = 0;
  socklen_t size = sizeof type;
  if (S_ISSOCK(info.st_mode) &&
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
      type == SOCK_SEQPACKET) {
    return true;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("descriptor ", fd,
                   " is neither a FUSE device nor a SOCK_SEQPACKET socket"));
}

absl::Status Device::Keep(UniqueFd keeper) {
  keeper_ = std::make_shared<const UniqueFd>(std::move(keeper));
  return Raise();
}

absl::Status Device::Raise() {
  if (fd_.get() > keeper_fd()) return absl::OkStatus();
  UniqueFd raised(fcntl(fd_.get(), F_DUPFD_CLOEXEC, keeper_fd() + 1));
  if (!raised) return ErrnoStatus(errno, "cannot duplicate the FUSE device");
  fd_ = std::move(raised);
  return absl::OkStatus();
}

absl::StatusOr<Device> Device::Clone() const {
  if (is_socket_) {
    return absl::UnimplementedError("a socket cannot be cloned");
  }
  absl::StatusOr<UniqueFd> fd = OpenDevice();
  if (!fd.ok()) return fd.status();
  uint32_t source = static_cast<uint32_t>(fd_.get());
  if (ioctl(fd->get(), abi::FUSE_DEV_IOC_CLONE, &source) != 0) {
    return ErrnoStatus(errno, "cannot clone the FUSE device");
  }
  Device clone(*std::move(fd));
  clone.keeper_ = keeper_;
  if (absl::Status status = clone.Raise(); !status.ok()) return status;
  return clone;
}

absl::StatusOr<int32_t> Device::OpenBacking(int fd) const {
  abi::fuse_backing_map map{};
  map.fd = fd;
  int id = ioctl(fd_.get(), abi::FUSE_DEV_IOC_BACKING_OPEN, &map);
  if (id > 0) return id;
  switch (id == 0 ? EINVAL : errno) {
    case EPERM:
      return absl::PermissionDeniedError(
          "registering backing files needs CAP_SYS_ADMIN");
    case ELOOP:
      return absl::FailedPreconditionError(
          "the backing file is on a stacked filesystem, deeper than the "
          "session's backing depth allows");
    case ENOTTY:
      return absl::UnimplementedError(
          "the kernel has no passthrough (it came with Linux 6.9)");
    case EOPNOTSUPP:
    case EINVAL:
      return absl::InvalidArgumentError(
          "the kernel does not take this file as a backing file");
    default:
      return ErrnoStatus(errno, "cannot register a backing file");
  }
}

absl::Status Device::CloseBacking(int32_t backing_id) const {
  uint32_t id = static_cast<uint32_t>(backing_id);
  if (ioctl(fd_.get(), abi::FUSE_DEV_IOC_BACKING_CLOSE, &id) != 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("cannot close backing id ", backing_id));
  }
  return absl::OkStatus();
}

absl::Status Device::Cut(int null) const {
  if (dup3(null, fd_.get(), O_CLOEXEC) >= 0) return absl::OkStatus();
  return ErrnoStatus(errno, "cannot let go of the FUSE device");
}

absl::StatusOr<size_t> Device::Read(std::span<std::byte> buffer,
                                    absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const ssize_t n = ReadNow(buffer);
    if (n >= 0) return static_cast<size_t>(n);
    const int error = static_cast<int>(-n);
    // ENOENT: the request was taken back by a signal before it was read.
    if (error == EINTR || error == ENOENT) continue;
    if (error == ENODEV) {
      return absl::UnavailableError(
          is_socket_ ? "the socket's other end is closed"
                     : "it was unmounted before it was in use");
    }
    if (error != EAGAIN) {
      return ErrnoStatus(error, "cannot read from the FUSE device");
    }
    absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("no request came from the kernel");
    }
    pollfd ready{fd_.get(), POLLIN, 0};
    poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
}

absl::Status Device::Write(std::span<const std::byte> reply) const {
  if (int error = Notify(reply, {}); error != 0) {
    return ErrnoStatus(error, "cannot write to the FUSE device");
  }
  return absl::OkStatus();
}

ssize_t Device::ReadNow(std::span<std::byte> buffer) const {
  const ssize_t n = read(fd_.get(), buffer.data(), buffer.size());
  if (n > 0) return n;
  if (n < 0) return errno == ECONNRESET && is_socket_ ? -ENODEV : -errno;
  // The other end is closed, unless it has sent a message of no bytes.
  pollfd end{fd_.get(), POLLRDHUP, 0};
  if (is_socket_ && poll(&end, 1, 0) == 0) return 0;
  return -ENODEV;
}

int Device::SendNow(const iovec* parts, size_t count) const {
  ssize_t n;
  do {
    if (is_socket_) {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(parts);
      message.msg_iovlen = count;
      n = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    } else {
      n = writev(fd_.get(), parts, static_cast<int>(count));
    }
  } while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

int Device::Notify(std::span<const std::byte> head,
                   std::span<const std::byte> data) const {
  auto part = [](std::span<const std::byte> bytes) {
    return iovec{const_cast<std::byte*>(bytes.data()), bytes.size()};
  };
  const iovec parts[] = {part(head), part(data)};
  const size_t count = data.empty() ? 1 : 2;
  int error = SendNow(parts, count);
  if (error != EAGAIN || !is_socket_) return error;
  pollfd room{fd_.get(), POLLOUT, 0};
  poll(&room, 1, 1000);
  return SendNow(parts, count);
}

}  // namespace barefuse
