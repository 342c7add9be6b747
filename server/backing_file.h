// Passthrough: files whose reads and writes the kernel serves itself.
//
// The kernel holds one rule above all (fs/fuse/iomode.c): at any time an inode
// is used through its page cache, or through one backing file, never both, and
// all passthrough opens of it name the same backing id. SharedBacking keeps
// that rule for one inode.
#ifndef BAREFUSE_SERVER_BACKING_FILE_H_
#define BAREFUSE_SERVER_BACKING_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/connection.h"
#include "server/device.h"

namespace barefuse {

// A backing id, given back when this goes. Move-only, any thread. May outlive
// its session: the id has died with it then.
class BackingFile {
 public:
  BackingFile(BackingFile&&) noexcept;
  BackingFile& operator=(BackingFile&&) noexcept;
  ~BackingFile();

  int32_t id() const { return id_; }  // above 0

 private:
  friend class Connection;
  BackingFile(std::weak_ptr<const Device> device,
              std::shared_ptr<Connection::BackingCounters> counters,
              int32_t id);
  void Close();

  // Weak: a file that nobody closed must not keep a dead connection open.
  std::weak_ptr<const Device> device_;
  std::shared_ptr<Connection::BackingCounters> counters_;
  int32_t id_ = 0;  // 0: moved from
};

class SharedBacking;

// What one open of a file was granted: passthrough, or not and why. Keep it as
// long as the file is open and let it go at RELEASE. Must not outlive the
// SharedBacking that gave it. Move-only.
class BackingUse {
 public:
  BackingUse() = default;  // an open that asked for nothing
  BackingUse(BackingUse&& other) noexcept { *this = std::move(other); }
  BackingUse& operator=(BackingUse&& other) noexcept;
  ~BackingUse() { Leave(); }

  bool passthrough() const { return backing_id_ != 0; }
  int32_t backing_id() const { return backing_id_; }
  // OK where passthrough() is true, otherwise a sentence.
  const absl::Status& why_not() const { return why_not_; }

 private:
  friend class SharedBacking;
  void Leave();

  SharedBacking* backing_ = nullptr;
  int32_t backing_id_ = 0;
  absl::Status why_not_;
};

// The backing file of one inode: opened by the first open, shared by all,
// closed with the last. One of these belongs to each inode that may be opened.
// Any thread.
class SharedBacking {
 public:
  SharedBacking() = default;
  SharedBacking(const SharedBacking&) = delete;
  SharedBacking& operator=(const SharedBacking&) = delete;

  // For an open that is about to be answered. `fd` is the inode's file, O_PATH
  // will do; it is used only where this is the first open. An open that cannot
  // have passthrough while others have not got it either is refused it, as the
  // kernel would refuse to mix.
  BackingUse Join(Connection& connection, int fd);
  // The same with a function that opens the backing file, called only where
  // this is the first open.
  BackingUse Join(absl::FunctionRef<absl::StatusOr<BackingFile>()> open);

  // How many opens share the backing file now.
  uint32_t uses() const;

 private:
  friend class BackingUse;
  void Leave(bool passthrough);

  mutable absl::Mutex mutex_;
  std::optional<BackingFile> file_ ABSL_GUARDED_BY(mutex_);
  uint32_t passthrough_uses_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t cached_uses_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_BACKING_FILE_H_
