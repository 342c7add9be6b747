// /dev/fuse, or a socket in its place: one connection to the kernel.
#ifndef BAREFUSE_SERVER_DEVICE_H_
#define BAREFUSE_SERVER_DEVICE_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/unique_fd.h"

namespace barefuse {

// An open /dev/fuse, or a SOCK_SEQPACKET socket whose other end sends and takes
// the same messages. Its descriptor is O_NONBLOCK and O_CLOEXEC: no thread can
// be caught in a read that another one won, and no child keeps a dead mount
// alive. Const functions may be called from any thread.
class Device {
 public:
  // Not mounted yet: the descriptor is handed to mount(2).
  static absl::StatusOr<Device> Open();
  // Takes over a descriptor of a mount made elsewhere, or of a socket. Fails
  // where it is neither.
  static absl::StatusOr<Device> Adopt(UniqueFd fd);
  // Whether a descriptor that Adopt would take is a socket; its failure where
  // it would not.
  static absl::StatusOr<bool> IsSocket(int fd);

  int fd() const { return fd_.get(); }
  bool is_socket() const { return is_socket_; }

  // Keeps `keeper` open as long as this device, its clones, or a process that
  // dies with them, have the connection open. When a process is killed, the
  // kernel lets its descriptors go from the highest number to the lowest, so
  // this one and its clones get numbers above the keeper's; requests of an
  // io_uring may hold the connection longer than that, so a ring that reads
  // the device registers the keeper as a file. Before anybody uses fd().
  absl::Status Keep(UniqueFd keeper);
  // -1 where there is none.
  int keeper_fd() const { return keeper_ == nullptr ? -1 : keeper_->get(); }

  // Another descriptor of the same connection, with a queue of replies of its
  // own (FUSE_DEV_IOC_CLONE): a reply goes out on the descriptor that read the
  // request. Fails where /dev/fuse may not be opened (a user other than root).
  absl::StatusOr<Device> Clone() const;

  // Registers the file behind `fd` for passthrough (FUSE_DEV_IOC_BACKING_OPEN)
  // and gives its id, which is above 0. `fd` may be O_PATH; it is not needed
  // afterwards. I/O will run with the credentials of the calling thread.
  // Needs CAP_SYS_ADMIN and FUSE_PASSTHROUGH.
  absl::StatusOr<int32_t> OpenBacking(int fd) const;
  // Gives an id back. Files that are open with it go on.
  absl::Status CloseBacking(int32_t backing_id) const;

  // Lets go of the connection without giving the descriptor's number free: it
  // is what `null`, a descriptor of /dev/null, is from now on, for whoever
  // still uses it. Takes no further descriptor.
  absl::Status Cut(int null) const;

  // Reads one request, waiting at most `timeout`. Gives its size in bytes.
  absl::StatusOr<size_t> Read(std::span<std::byte> buffer,
                              absl::Duration timeout) const;
  // Writes one reply.
  absl::Status Write(std::span<const std::byte> reply) const;

  // Reads one request that is there: its size in bytes, or a negative errno.
  // -EAGAIN: there is none; -ENODEV: there will be none.
  ssize_t ReadNow(std::span<std::byte> buffer) const;
  // Writes one message of `count` parts: 0, or a positive errno. EAGAIN: the
  // socket is full, POLLOUT says when it is not.
  int SendNow(const iovec* parts, size_t count) const;
  // Writes a notification. Waits for locks that the kernel takes; for room in
  // a socket at most a second (EAGAIN).
  int Notify(std::span<const std::byte> head,
             std::span<const std::byte> data) const;

 private:
  explicit Device(UniqueFd fd, bool is_socket = false)
      : fd_(std::move(fd)), is_socket_(is_socket) {}

  // fd_ with a number above the keeper's.
  absl::Status Raise();

  std::shared_ptr<const UniqueFd> keeper_;  // goes after fd_
  UniqueFd fd_;
  bool is_socket_ = false;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_DEVICE_H_
