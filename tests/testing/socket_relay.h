// A mount whose server sits behind a socket.
#ifndef BAREFUSE_TESTS_TESTING_SOCKET_RELAY_H_
#define BAREFUSE_TESTS_TESTING_SOCKET_RELAY_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/mount_options.h"
#include "server/unique_fd.h"

namespace barefuse::testing {

// Mounts a FUSE device, and carries each message between the device and one end
// of a SOCK_SEQPACKET socket pair. Whoever has the other end is the server
// (Session::Serve). When either side ends, so does the other.
//
// What does not pass through a socket is the error that the kernel gives to a
// notification, so it is kept here. Capabilities that need more than messages
// (FUSE_PASSTHROUGH, FUSE_OVER_IO_URING) are struck out of the kernel's offer.
//
// Needs root. Any thread.
class SocketRelay {
 public:
  // `mountpoint` is a path without symbolic links.
  static absl::StatusOr<std::unique_ptr<SocketRelay>> Mount(
      const std::string& mountpoint, const MountOptions& options);
  // Aborts the connection and detaches the mount, unless Unmount has been
  // called, and waits for the threads, which do not wait for anybody then.
  ~SocketRelay();
  SocketRelay(const SocketRelay&) = delete;
  SocketRelay& operator=(const SocketRelay&) = delete;

  // The server's end. Once.
  UniqueFd TakeServersEnd() { return std::move(servers_end_); }

  // As umount(8) does: the server has to serve. EBUSY while a file is open.
  absl::Status Unmount();

  // Waits, for a time that is long for a test, until the kernel has taken or
  // refused `count` notifications in all, and gives what it said to the last of
  // these: 0 or a positive errno; ETIME where they do not come.
  int AwaitNotification(uint64_t count);

  // What the kernel did not take although it should: replies with an error
  // other than ENOENT, which is for those that were aborted meanwhile.
  std::vector<std::string> complaints() const;

 private:
  SocketRelay(std::string mountpoint, UniqueFd device, UniqueFd end,
              UniqueFd servers_end);

  void FromDevice(const UniqueFd& device);
  void FromSocket(const UniqueFd& device);
  void SendNotifications(const UniqueFd& device);
  void End();

  std::string mountpoint_;  // empty: not mounted any more
  const UniqueFd end_;
  UniqueFd servers_end_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::deque<std::vector<std::byte>> notifications_;
  std::vector<int> results_;
  std::vector<std::string> complaints_;

  std::vector<std::thread> threads_;
};

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_TESTING_SOCKET_RELAY_H_
