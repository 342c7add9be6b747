#include "tests/differential/pair.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <utility>

#include "server/errno_status.h"
#include "tests/differential/tree.h"

namespace barefuse::differential {

using testing::Check;

const std::vector<Mode>& Modes() {
  static const auto* const modes = new std::vector<Mode>{
      // Direct writes beside mappings and cached writes of one file need not
      // come to the same twice on any filesystem (open(2)).
      {"passthrough", {}, false},
      {"nopassthrough", {.passthrough = false}, false, false},
      // splice(2) goes through the page cache all the same.
      {"direct_io", {.direct_io = true}, false, false},
      {"cache_always",
       {.passthrough = false, .cache = CacheMode::kAlways},
       false,
       false},
  };
  return *modes;
}

absl::StatusOr<std::unique_ptr<Pair>> Pair::Make(std::string_view file_system,
                                                 const Mode& mode, Wrap wrap) {
  std::unique_ptr<Pair> pair(new Pair(mode, std::move(wrap)));
  auto below = testing::SourceFileSystem::Mount(file_system, pair->below_);
  if (!below.ok()) return below.status();
  pair->file_system_ = *std::move(below);
  // With relatime it would depend on the clock's ticks whether reading moves
  // the time of access.
  Check(::mount(nullptr, pair->below_.c_str(), nullptr,
                MS_REMOUNT | MS_BIND | MS_STRICTATIME, nullptr) == 0,
        "strictatime");
  pair->plain_ = pair->below_ + "/plain";
  pair->source_ = pair->below_ + "/source";
  return pair;
}

Pair::~Pair() {
  Stop().IgnoreError();
  if (file_system_ != nullptr) ClearDirectory(below_);
}

absl::Status Pair::Start() {
  ClearDirectory(below_);
  for (const std::string& path : {plain_, source_}) {
    Check(mkdir(path.c_str(), 0) == 0 && chmod(path.c_str(), 0777) == 0, path);
  }
  PassthroughOptions options = mode_.options;
  options.source = source_;
  auto made = Passthrough::Create(std::move(options));
  if (!made.ok()) return made.status();
  std::shared_ptr<FileSystem> served = *std::move(made);
  if (wrap_) served = wrap_(std::move(served));
  SessionOptions session;
  session.mount.default_permissions = true;
  session.mount.allow_other = true;
  session.mount.flags = 0;  // devices and all
  session.log = [this](LogLevel level, std::string_view line) {
    if (level != LogLevel::kError) return;
    std::lock_guard<std::mutex> lock(mutex_);
    errors_ += std::string(line) + "\n";
  };
  auto mounted = Session::Mount(std::move(served), mount_, std::move(session));
  if (!mounted.ok()) return mounted.status();
  session_ = *std::move(mounted);
  return absl::OkStatus();
}

absl::Status Pair::Stop() {
  if (session_ == nullptr) return absl::OkStatus();
  // Not lazily: nothing must be left open.
  const int error = umount2(mount_.c_str(), 0) == 0 ? 0 : errno;
  if (error != 0) session_->Stop();
  const StopReason reason = session_->Wait();
  const uint64_t refused = session_->statistics().refused_replies;
  session_.reset();
  std::lock_guard<std::mutex> lock(mutex_);
  const std::string errors = std::exchange(errors_, "");
  if (error != 0) return ErrnoStatus(error, "umount");
  if (reason.kind != StopReason::Kind::kUnmounted) {
    return absl::InternalError("the session ended otherwise: " + reason.detail);
  }
  if (refused != 0) return absl::InternalError("the kernel refused replies");
  if (!errors.empty()) return absl::InternalError(errors);
  return absl::OkStatus();
}

}  // namespace barefuse::differential
