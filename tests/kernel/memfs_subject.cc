#include "tests/kernel/memfs_subject.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace barefuse {
namespace {

SessionOptions OptionsOf(const MemfsSubject::Way& way) {
  SessionOptions options;
  options.mount.flags = 0;  // set-user-id bits and device nodes count
  options.mount.allow_other = true;
  options.mount.default_permissions = true;
  options.workers = 2;
  if (way.transport != TransportKind::kSocket) {
    options.transport = way.transport;
  }
  return options;
}

// What must not happen between a kernel and a server that understand each
// other.
std::string ComplaintsOf(const Statistics& statistics) {
  const std::pair<std::string_view, uint64_t> counts[] = {
      {"malformed requests", statistics.malformed},
      {"unknown opcodes", statistics.unknown},
      {"dropped messages", statistics.dropped_messages},
      {"dropped replies", statistics.dropped_replies},
  };
  std::string complaints;
  for (const auto& [what, count] : counts) {
    if (count == 0) continue;
    absl::StrAppend(&complaints, count, " ",
                    absl::string_view(what.data(), what.size()), "; ");
  }
  return complaints;
}

}  // namespace

MemfsSubject::~MemfsSubject() { session_.reset(); }

absl::Status MemfsSubject::Start(const std::string& mountpoint,
                                 bool /*alone*/) {
  MemfsOptions options;
  options.size_limit = kCapacity;
  options.writeback_cache = way_.writeback_cache;
  options.direct_io = way_.direct_io;
  options.test_ioctls = true;
  absl::StatusOr<std::shared_ptr<Memfs>> memfs = Memfs::Create(options);
  if (!memfs.ok()) return memfs.status();
  if (absl::Status status = Serve(*std::move(memfs), mountpoint);
      !status.ok()) {
    return status;
  }
  mountpoint_ = mountpoint;
  if (way_.transport != TransportKind::kAuto &&
      session_->transport() != way_.transport) {
    return absl::InternalError(
        absl::StrCat("is served by another transport, number ",
                     static_cast<int>(session_->transport())));
  }
  return absl::OkStatus();
}

absl::Status MemfsSubject::Serve(std::shared_ptr<FileSystem> memfs,
                                 const std::string& mountpoint) {
  const SessionOptions options = OptionsOf(way_);
  absl::StatusOr<std::unique_ptr<Session>> session;
  if (by_socket()) {
    auto relay = testing::SocketRelay::Mount(mountpoint, options.mount);
    if (!relay.ok()) return relay.status();
    relay_ = *std::move(relay);
    session =
        Session::Serve(std::move(memfs), relay_->TakeServersEnd(), options);
  } else {
    session = Session::Mount(std::move(memfs), mountpoint, options);
  }
  if (!session.ok()) return session.status();
  session_ = *std::move(session);
  return absl::OkStatus();
}

absl::Status MemfsSubject::Unmount() {
  if (relay_ != nullptr) return relay_->Unmount();
  if (umount2(mountpoint_.c_str(), 0) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("umount: ", strerror(errno)));
}

absl::Status MemfsSubject::Stop() {
  absl::Status unmounted = Unmount();
  if (!unmounted.ok()) session_->Stop();
  const StopReason reason = session_->Wait();
  if (!unmounted.ok()) return unmounted;
  if (reason.kind != StopReason::Kind::kUnmounted || !reason.detail.empty()) {
    return absl::InternalError(
        absl::StrCat("the session has ended by itself, kind ",
                     static_cast<int>(reason.kind), ": ", reason.detail));
  }
  const std::string complaints = Complaints();
  if (complaints.empty()) return absl::OkStatus();
  return absl::InternalError(complaints);
}

std::string MemfsSubject::Complaints() const {
  std::string complaints = ComplaintsOf(session_->statistics());
  if (relay_ == nullptr) return complaints;
  for (const std::string& complaint : relay_->complaints()) {
    absl::StrAppend(&complaints, complaint, "; ");
  }
  return complaints;
}

int MemfsSubject::ErrorOfLastNotification(int error) {
  if (relay_ == nullptr || error != 0) return error;
  return relay_->AwaitNotification(session_->connection().notifier()->sent());
}

}  // namespace barefuse
