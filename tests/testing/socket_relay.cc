#include "tests/testing/socket_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>

#include "kernel_abi/fuse.h"

namespace barefuse::testing {
namespace {

// The kernel wants room for the largest request in every read.
constexpr size_t kBuffer = (1 << 20) + 8192;  // bytes
// A message goes through the socket in one piece or not at all.
constexpr int kRoom = 8 << 20;  // bytes

absl::Status Failed(const std::string& what) {
  return absl::InternalError(what + ": " + strerror(errno));
}

// Strikes out of INIT what a socket cannot do. Other messages stay as they are.
void Mask(std::span<std::byte> message) {
  abi::fuse_in_header header;
  abi::fuse_init_in init{};
  if (message.size() < sizeof header + sizeof init) return;
  std::memcpy(&header, message.data(), sizeof header);
  if (header.opcode != abi::FUSE_INIT) return;
  std::byte* body = message.data() + sizeof header;
  std::memcpy(&init, body, sizeof init);
  constexpr uint64_t kNeedsDevice =
      abi::FUSE_PASSTHROUGH | abi::FUSE_OVER_IO_URING;
  init.flags &= ~static_cast<uint32_t>(kNeedsDevice);
  init.flags2 &= ~static_cast<uint32_t>(kNeedsDevice >> 32);
  std::memcpy(body, &init, sizeof init);
}

// 0 or a positive errno.
int Write(const UniqueFd& device, std::span<const std::byte> message) {
  ssize_t n;
  do {
    n = write(device.get(), message.data(), message.size());
  } while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketRelay>> SocketRelay::Mount(
    const std::string& mountpoint, const MountOptions& options) {
  UniqueFd device(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!device) return Failed("/dev/fuse");
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Failed("socketpair");
  }
  UniqueFd end(ends[0]), servers_end(ends[1]);
  if (setsockopt(end.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kRoom, sizeof kRoom) !=
      0) {
    return Failed("SO_SNDBUFFORCE");
  }
  const std::string data = MountData(device.get(), options);
  if (mount(options.fsname.c_str(), mountpoint.c_str(),
            MountType(options).c_str(), options.flags, data.c_str()) != 0) {
    return Failed("mount at " + mountpoint);
  }
  return std::unique_ptr<SocketRelay>(new SocketRelay(
      mountpoint, std::move(device), std::move(end), std::move(servers_end)));
}

SocketRelay::SocketRelay(std::string mountpoint, UniqueFd device, UniqueFd end,
                         UniqueFd servers_end)
    : mountpoint_(std::move(mountpoint)),
      end_(std::move(end)),
      servers_end_(std::move(servers_end)) {
  // The threads', and gone with the last of them: the connection ends then.
  const auto shared = std::make_shared<const UniqueFd>(std::move(device));
  threads_.emplace_back([this, shared] { FromDevice(*shared); });
  threads_.emplace_back([this, shared] { FromSocket(*shared); });
  threads_.emplace_back([this, shared] { SendNotifications(*shared); });
}

SocketRelay::~SocketRelay() {
  // By force: ends the connection first, and so frees a thread that waits in a
  // write of a notification for a lock which a request has.
  if (!mountpoint_.empty()) {
    umount2(mountpoint_.c_str(), MNT_FORCE | MNT_DETACH);
  }
  End();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status SocketRelay::Unmount() {
  if (umount2(mountpoint_.c_str(), 0) != 0) {
    return Failed("umount " + mountpoint_);
  }
  mountpoint_.clear();
  return absl::OkStatus();
}

// Frees all threads, but for one in a write to the device.
void SocketRelay::End() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  shutdown(end_.get(), SHUT_RDWR);
}

void SocketRelay::FromDevice(const UniqueFd& device) {
  std::vector<std::byte> buffer(kBuffer);
  for (;;) {
    pollfd events[] = {{device.get(), POLLIN, 0}, {end_.get(), 0, 0}};
    if (poll(events, 2, -1) < 0 && errno == EINTR) continue;
    if (events[1].revents != 0) break;  // POLLHUP
    const ssize_t n = read(device.get(), buffer.data(), buffer.size());
    // ENOENT: a signal has taken the request back.
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOENT)) {
      continue;
    }
    if (n < 0) break;  // ENODEV: unmounted; ECONNABORTED
    const auto message = std::span(buffer).first(static_cast<size_t>(n));
    Mask(message);
    ssize_t sent;
    do {
      sent = send(end_.get(), message.data(), message.size(), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) break;
  }
  End();
}

void SocketRelay::FromSocket(const UniqueFd& device) {
  std::vector<std::byte> buffer(kBuffer);
  for (;;) {
    const ssize_t n = recv(end_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    const auto message = std::span(buffer).first(static_cast<size_t>(n));
    abi::fuse_out_header header{};
    std::memcpy(&header, message.data(),
                std::min(message.size(), sizeof header));
    if (header.unique == 0) {
      // It may have to wait for a request, whose reply must not wait behind it.
      {
        std::lock_guard<std::mutex> lock(mutex_);
        notifications_.emplace_back(message.begin(), message.end());
      }
      changed_.notify_all();
      continue;
    }
    const int error = Write(device, message);
    if (error == ENODEV) break;
    if (error != 0 && error != ENOENT) {
      std::lock_guard<std::mutex> lock(mutex_);
      complaints_.push_back("the reply to " + std::to_string(header.unique) +
                            " of " + std::to_string(n) +
                            " bytes: " + strerror(error));
    }
  }
  End();
}

void SocketRelay::SendNotifications(const UniqueFd& device) {
  for (;;) {
    std::vector<std::byte> message;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || !notifications_.empty(); });
      if (ended_) return;
      message = std::move(notifications_.front());
      notifications_.pop_front();
    }
    const int error = Write(device, message);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      results_.push_back(error);
    }
    changed_.notify_all();
  }
}

int SocketRelay::AwaitNotification(uint64_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  const bool there = changed_.wait_for(lock, std::chrono::seconds(20), [&] {
    return ended_ || results_.size() >= count;
  });
  if (!there || count == 0 || results_.size() < count) return ETIME;
  return results_[count - 1];
}

std::vector<std::string> SocketRelay::complaints() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return complaints_;
}

}  // namespace barefuse::testing
