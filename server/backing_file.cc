#include "server/backing_file.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace barefuse {

absl::StatusOr<BackingFile> Connection::OpenBacking(int fd) {
  if (!terms_.Has(abi::FUSE_PASSTHROUGH)) {
    std::string_view why =
        proto::VerdictText(terms_.VerdictOf(abi::FUSE_PASSTHROUGH));
    return absl::FailedPreconditionError(absl::StrCat(
        "no passthrough: ", absl::string_view(why.data(), why.size())));
  }
  std::shared_ptr<const Device> device;
  {
    absl::MutexLock lock(&mutex_);
    device = device_;
  }
  if (device == nullptr) {
    return absl::FailedPreconditionError("the session has ended");
  }
  absl::StatusOr<int32_t> id = device->OpenBacking(fd);
  if (!id.ok()) return id.status();
  return BackingFile(device, backing_counters_, *id);
}

BackingFile::BackingFile(std::weak_ptr<const Device> device,
                         std::shared_ptr<Connection::BackingCounters> counters,
                         int32_t id)
    : device_(std::move(device)), counters_(std::move(counters)), id_(id) {
  counters_->opens.fetch_add(1, std::memory_order_relaxed);
}

BackingFile::BackingFile(BackingFile&& other) noexcept
    : device_(std::move(other.device_)),
      counters_(std::move(other.counters_)),
      id_(std::exchange(other.id_, 0)) {}

BackingFile& BackingFile::operator=(BackingFile&& other) noexcept {
  if (this != &other) {
    Close();
    device_ = std::move(other.device_);
    counters_ = std::move(other.counters_);
    id_ = std::exchange(other.id_, 0);
  }
  return *this;
}

BackingFile::~BackingFile() { Close(); }

void BackingFile::Close() {
  int32_t id = std::exchange(id_, 0);
  if (id == 0) return;
  // Where the connection is gone, so is the id.
  if (auto device = device_.lock()) device->CloseBacking(id).IgnoreError();
  counters_->closes.fetch_add(1, std::memory_order_relaxed);
}

BackingUse& BackingUse::operator=(BackingUse&& other) noexcept {
  if (this != &other) {
    Leave();
    backing_ = std::exchange(other.backing_, nullptr);
    backing_id_ = std::exchange(other.backing_id_, 0);
    why_not_ = std::move(other.why_not_);
  }
  return *this;
}

void BackingUse::Leave() {
  if (backing_ != nullptr) backing_->Leave(passthrough());
  backing_ = nullptr;
}

BackingUse SharedBacking::Join(Connection& connection, int fd) {
  return Join([&connection, fd] { return connection.OpenBacking(fd); });
}

BackingUse SharedBacking::Join(
    absl::FunctionRef<absl::StatusOr<BackingFile>()> open) {
  BackingUse use;
  use.backing_ = this;
  absl::MutexLock lock(&mutex_);
  if (cached_uses_ != 0) {
    use.why_not_ = absl::FailedPreconditionError(
        "the file is already open through the page cache");
  } else if (!file_.has_value()) {
    absl::StatusOr<BackingFile> file = open();
    if (file.ok()) {
      file_ = *std::move(file);
    } else {
      use.why_not_ = file.status();
    }
  }
  if (!use.why_not_.ok()) {
    ++cached_uses_;
    return use;
  }
  ++passthrough_uses_;
  use.backing_id_ = file_->id();
  return use;
}

void SharedBacking::Leave(bool passthrough) {
  std::optional<BackingFile> last;  // closed without the lock
  absl::MutexLock lock(&mutex_);
  if (!passthrough) {
    --cached_uses_;
  } else if (--passthrough_uses_ == 0) {
    last = std::move(file_);
    file_.reset();
  }
}

uint32_t SharedBacking::uses() const {
  absl::MutexLock lock(&mutex_);
  return passthrough_uses_;
}

}  // namespace barefuse
