// ioctls with which a program tests the kernel's side of notifications.
#ifndef BAREFUSE_FS_MEMFS_MEMFS_TEST_IOCTLS_H_
#define BAREFUSE_FS_MEMFS_MEMFS_TEST_IOCTLS_H_

#include <cstdint>
#include <memory>
#include <thread>

#include "fs/memfs/ioctls.h"
#include "fs/memfs/open_file.h"
#include "fs/memfs/tree.h"
#include "server/reply.h"
#include "server/request.h"

namespace barefuse {
class Notifier;
}

namespace barefuse::memfs {

// MEMFS_IOC_POKE, _NOTIFY, _NOTIFY_WAIT and _READ_TO of fs/memfs/ioctls.h.
// Notifications are sent by a thread of its own: some of them wait for locks
// that the kernel holds while it waits for a reply.
class TestIoctls {
 public:
  // `tree` outlives it.
  explicit TestIoctls(Tree& tree);
  // Waits for the notification that is being sent; others are not sent.
  ~TestIoctls();
  TestIoctls(const TestIoctls&) = delete;
  TestIoctls& operator=(const TestIoctls&) = delete;

  // From now on notifications go to `notifier`.
  void Use(std::shared_ptr<Notifier> notifier);

  static bool Knows(uint32_t cmd);
  // Requires Knows(request->cmd).
  void Ioctl(const IoctlRequest& request, OpenFile& file, IoctlReply reply);

 private:
  struct Queue;

  int Poke(const memfs_poke& poke, Node& node);
  void Notify(const IoctlRequest& request, const Node& node, IoctlReply reply);
  void Wait(const IoctlRequest& request, IoctlReply reply);

  Tree& tree_;
  // Shared with whoever brings data that was asked for, maybe later than we
  // live.
  const std::shared_ptr<Queue> queue_;
  std::thread thread_;  // begins with the first notification
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_MEMFS_TEST_IOCTLS_H_
