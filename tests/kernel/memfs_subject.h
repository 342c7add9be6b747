// memfs as a subject of the suite (transport_suite.h), by each way in which
// requests can reach it.
#ifndef BAREFUSE_TESTS_KERNEL_MEMFS_SUBJECT_H_
#define BAREFUSE_TESTS_KERNEL_MEMFS_SUBJECT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fs/memfs/memfs.h"
#include "server/session.h"
#include "tests/kernel/transport_suite.h"
#include "tests/testing/socket_relay.h"

namespace barefuse {

class MemfsSubject : public Subject {
 public:
  struct Way {
    TransportKind transport = TransportKind::kAuto;  // kSocket: by a relay
    bool writeback_cache = false;
    bool direct_io = false;
  };
  explicit MemfsSubject(const Way& way) : way_(way) {}
  ~MemfsSubject() override;

  absl::Status Start(const std::string& mountpoint, bool alone) override;
  // Not lazily: a descriptor that a test has leaked shows itself here. Also an
  // error where the session or the kernel has found fault with the other.
  absl::Status Stop() override;

  const Way& way() const { return way_; }
  bool by_socket() const { return way_.transport == TransportKind::kSocket; }
  Session& session() { return *session_; }

  // What the kernel has said to the last of the notifications that were sent by
  // now: 0 or a positive errno. `error` is what the server was told, which is
  // it, unless a socket lies between them, where it is 0 and means nothing yet.
  int ErrorOfLastNotification(int error);

 private:
  absl::Status Serve(std::shared_ptr<FileSystem> memfs,
                     const std::string& mountpoint);
  absl::Status Unmount();
  std::string Complaints() const;

  const Way way_;
  std::string mountpoint_;
  // The relay ends last, so that it sees the server's end.
  std::unique_ptr<testing::SocketRelay> relay_;  // nullptr: there is none
  std::unique_ptr<Session> session_;
};

// The names of the subjects that are memfs.
std::vector<std::string_view> MemfsSubjectNames();

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_KERNEL_MEMFS_SUBJECT_H_
