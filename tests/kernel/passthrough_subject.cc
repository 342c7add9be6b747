#include "tests/kernel/passthrough_subject.h"

#include <errno.h>
#include <sys/mount.h>

#include <utility>

#include "fs/passthrough/passthrough.h"
#include "server/errno_status.h"

namespace barefuse {

PassthroughSubject::~PassthroughSubject() {
  session_.reset();  // before its source goes
}

absl::Status PassthroughSubject::Start(const std::string& mountpoint,
                                       bool alone) {
  auto source = SuiteSource::Mount(way_.source, source_path_, alone);
  if (!source.ok()) return source.status();
  source_ = *std::move(source);
  auto file_system = Passthrough::Create({.source = source_path_,
                                          .passthrough = way_.passthrough,
                                          .direct_io = way_.direct_io});
  if (!file_system.ok()) return file_system.status();
  // Modes arrive as they are to be; the program has set the same for itself.
  SessionOptions session;
  session.mount.allow_other = true;
  session.mount.default_permissions = true;
  session.mount.flags = 0;
  // Only with this do files on a stacked filesystem become backing files.
  session.backing_depth = way_.source == "overlay" ? 1 : 0;
  auto mounted =
      Session::Mount(*std::move(file_system), mountpoint, std::move(session));
  if (!mounted.ok()) return mounted.status();
  session_ = *std::move(mounted);
  mountpoint_ = mountpoint;
  // The filesystem has tried it with a first file.
  if (way_.passthrough && session_->statistics().backing_opens == 0) {
    return absl::InternalError("the source's files cannot be passed through");
  }
  return absl::OkStatus();
}

absl::Status PassthroughSubject::Stop() {
  const std::string mountpoint = std::exchange(mountpoint_, "");
  if (mountpoint.empty()) return absl::OkStatus();
  // Not lazily: a descriptor that a test has leaked shows itself here.
  if (umount2(mountpoint.c_str(), 0) != 0) {
    return ErrnoStatus(errno, "umount of the mount");
  }
  const StopReason reason = session_->Wait();
  const uint64_t refused = session_->statistics().refused_replies;
  session_.reset();
  if (reason.kind != StopReason::Kind::kUnmounted || refused != 0) {
    return absl::InternalError("the session ended otherwise: " + reason.detail);
  }
  // The source is not in use any more either.
  return source_->Unmount();
}

}  // namespace barefuse
