#include "server/notifier.h"

#include <cerrno>
#include <utility>

namespace barefuse {

int Notifier::Send(const proto::AnyNotification& notification,
                   uint64_t capability, std::span<const std::byte> data) {
  uint32_t since = 0;
  std::visit(
      [&since](const auto& n) {
        since = proto::NotificationSince(
            proto::NotificationCode<std::decay_t<decltype(n)>>);
      },
      notification);
  if (since > terms_.dialect.minor || !terms_.Has(capability)) {
    return EOPNOTSUPP;
  }
  if (data.size() > terms_.max_transfer()) return EINVAL;
  std::byte buffer[proto::kNotificationHeadMax];
  const proto::Encoded head =
      proto::EncodeNotificationHead(notification, terms_.dialect, buffer);
  if (!head.ok()) return EINVAL;
  std::shared_ptr<const Device> device;
  {
    absl::MutexLock lock(&mutex_);
    if (device_ == nullptr || refusing_) return ENODEV;
    device = device_;
    ++under_way_;
  }
  const std::span<const std::byte> bytes(buffer, head.size);
  observers_->Tap(Direction::kToKernel, bytes, data);
  // Not under the lock: it may wait for the kernel.
  const int error = device->Notify(bytes, data);
  device.reset();
  {
    absl::MutexLock lock(&mutex_);
    --under_way_;
  }
  (error == 0 ? sent_ : refused_).fetch_add(1, std::memory_order_relaxed);
  return error;
}

int Notifier::InvalInode(uint64_t node, int64_t offset, int64_t length) {
  return Send(proto::NotifyInvalInode{{node, offset, length}}, 0);
}

int Notifier::InvalEntry(uint64_t parent, std::string_view name) {
  return Send(proto::NotifyInvalEntry{parent, 0, name}, 0);
}

int Notifier::ExpireEntry(uint64_t parent, std::string_view name) {
  return Send(proto::NotifyInvalEntry{parent, abi::FUSE_EXPIRE_ONLY, name},
              abi::FUSE_HAS_EXPIRE_ONLY);
}

int Notifier::Delete(uint64_t parent, uint64_t child, std::string_view name) {
  return Send(proto::NotifyDelete{parent, child, name}, 0);
}

int Notifier::Store(uint64_t node, uint64_t offset,
                    std::span<const std::byte> data) {
  if (data.empty()) return EINVAL;
  return Send(proto::NotifyStore{node, offset, data}, 0, data);
}

int Notifier::Retrieve(uint64_t node, uint64_t offset, uint32_t size,
                       Retrieved done) {
  if (size == 0 || !done) return EINVAL;
  uint64_t unique = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (device_ == nullptr) return ENODEV;
    if (retrievals_.size() >= kMostRetrievals) return EAGAIN;
    unique = next_unique_;
    next_unique_ += 2;  // odd: those of the kernel's requests are even
    retrievals_.emplace(unique, std::move(done));
  }
  const int error =
      Send(proto::NotifyRetrieve{{unique, node, offset,
                                  std::min(size, terms_.max_transfer()), 0}},
           0);
  // Where the session has ended meanwhile, `done` has been told.
  if (error != 0 && TakeRetrieval(unique) == nullptr) return 0;
  return error;
}

int Notifier::PollWakeup(uint64_t kh) {
  return Send(proto::NotifyPoll{{kh}}, 0);
}

int Notifier::Resend() {
  return Send(proto::NotifyResend{}, abi::FUSE_HAS_RESEND);
}

int Notifier::IncEpoch() { return Send(proto::NotifyIncEpoch{}, 0); }

int Notifier::Prune(std::span<const uint64_t> nodes) {
  if (nodes.empty()) return EINVAL;
  const std::span<const std::byte> bytes = std::as_bytes(nodes);
  return Send(proto::NotifyPrune{proto::WireArray<uint64_t>(bytes)}, 0, bytes);
}

Notifier::Retrieved Notifier::TakeRetrieval(uint64_t unique) {
  absl::MutexLock lock(&mutex_);
  auto it = retrievals_.find(unique);
  if (it == retrievals_.end()) return nullptr;
  Retrieved done = std::move(it->second);
  retrievals_.erase(it);
  return done;
}

void Notifier::OnReply(uint64_t unique, const proto::NotifyReply& reply) {
  if (Retrieved done = TakeRetrieval(unique)) {
    done(0, reply.offset, reply.data);
  }
}

void Notifier::Refuse() {
  absl::MutexLock lock(&mutex_);
  refusing_ = true;
}

bool Notifier::AwaitIdle(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return under_way_ == 0;
  };
  return mutex_.AwaitWithDeadline(absl::Condition(&idle), deadline);
}

void Notifier::Close() {
  std::map<uint64_t, Retrieved> left;
  {
    absl::MutexLock lock(&mutex_);
    device_.reset();
    left.swap(retrievals_);
  }
  for (auto& [unique, done] : left) done(ENODEV, 0, {});
}

}  // namespace barefuse
