// For tests that need what memfs can do beyond other filesystems, by its ioctls
// (fs/memfs/ioctls.h). They run on the subjects that are memfs:
//
//   class OperationsNotify : public MemfsSuite {};
//   INSTANTIATE_FOR_MEMFS(OperationsNotify);
#ifndef BAREFUSE_TESTS_KERNEL_SUITE_MEMFS_H_
#define BAREFUSE_TESTS_KERNEL_SUITE_MEMFS_H_

#include <string.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "fs/memfs/ioctls.h"
#include "proto/operations.h"
#include "tests/kernel/memfs_subject.h"
#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {

// A change behind the kernel's back, of the file or directory `fd`.
struct Poke {
  uint32_t kind;
  std::string_view name = {};
  std::string_view to = {};
  uint64_t offset = 0;
  std::string_view data = {};
};
inline Error BehindTheKernel(const UniqueFd& fd, const Poke& what) {
  memfs_poke poke = {};
  poke.kind = what.kind;
  poke.offset = what.offset;
  poke.size = static_cast<uint32_t>(what.data.size());
  what.name.copy(poke.name, sizeof poke.name - 1);
  what.to.copy(poke.to, sizeof poke.to - 1);
  what.data.copy(reinterpret_cast<char*>(poke.data), sizeof poke.data);
  return Errno(ioctl(fd.get(), MEMFS_IOC_POKE, &poke));
}

inline memfs_info Info(const UniqueFd& fd) {
  memfs_info info = {};
  testing::Check(ioctl(fd.get(), MEMFS_IOC_GET_INFO, &info) == 0, "GET_INFO");
  return info;
}

// A notification about the file or directory `fd`.
struct Notification {
  uint32_t kind;
  std::string_view name = {};
  uint64_t nodeid = 0;  // 0: that of `fd`
  int64_t offset = 0;
  int64_t length = 0;
  std::string_view data = {};
  uint32_t size = 0;  // of what is to be retrieved
};

class MemfsSuite : public TransportSuite {
 protected:
  MemfsSubject& memfs() { return static_cast<MemfsSubject&>(subject()); }
  // Whether read(2) and write(2) use the kernel's page cache.
  bool caches_data() { return !memfs().way().direct_io; }
  UniqueFd OpenRoot() { return Open(root(), O_RDONLY | O_DIRECTORY); }

  // Has it sent, and gives its number.
  static uint64_t Send(const UniqueFd& fd, const Notification& what) {
    memfs_notify notify = {};
    notify.kind = what.kind;
    notify.nodeid = what.nodeid;
    notify.offset = what.offset;
    notify.length = what.length;
    notify.size =
        what.data.empty() ? what.size : static_cast<uint32_t>(what.data.size());
    what.name.copy(notify.name, sizeof notify.name - 1);
    what.data.copy(reinterpret_cast<char*>(notify.data), sizeof notify.data);
    testing::Check(ioctl(fd.get(), MEMFS_IOC_NOTIFY, &notify) == 0, "NOTIFY");
    return notify.id;
  }
  static memfs_notify_result Await(const UniqueFd& fd, uint64_t id) {
    memfs_notify_result result = {};
    result.id = id;
    testing::Check(ioctl(fd.get(), MEMFS_IOC_NOTIFY_WAIT, &result) == 0,
                   "NOTIFY_WAIT");
    return result;
  }
  // Returns when the kernel has taken or refused it, with what it said.
  Error Notify(const UniqueFd& fd, const Notification& what) {
    return memfs().ErrorOfLastNotification(Await(fd, Send(fd, what)).error);
  }

  // How many requests of this kind the server has seen.
  uint64_t Requests(uint32_t opcode) {
    return memfs()
        .session()
        .statistics()
        .operations[proto::OperationIndex(opcode)]
        .requests;
  }
};

}  // namespace barefuse

#define INSTANTIATE_FOR_MEMFS(fixture)                               \
  INSTANTIATE_TEST_SUITE_P(Subjects, fixture,                        \
                           ::testing::ValuesIn(MemfsSubjectNames()), \
                           SubjectName)

#endif  // BAREFUSE_TESTS_KERNEL_SUITE_MEMFS_H_
