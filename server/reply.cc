#include "server/reply.h"

#include <limits.h>

#include "server/detach.h"

namespace barefuse {
namespace {

// How many bytes a request of one of the reading kinds asks for, limited to
// what a reply can carry.
size_t BytesAsked(const Slot& slot) {
  const size_t limit = slot.data_buffer.size();
  return std::visit(
      [limit](const auto& op) -> size_t {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_base_of_v<abi::fuse_read_in, Op> ||
                      std::is_base_of_v<abi::fuse_getxattr_in, Op>) {
          return std::min<size_t>(op.size, limit);
        } else if constexpr (std::is_same_v<Op, proto::Ioctl>) {
          return std::min<size_t>(op.out_size, limit);
        } else if constexpr (std::is_same_v<Op, proto::Readlink>) {
          return PATH_MAX - 1;  // the kernel takes no longer target
        } else {
          return 0;
        }
      },
      slot.request.operation);
}

}  // namespace

void ReplyBase::Error(int error) && {
  Slot* slot = std::exchange(slot_, nullptr);
  slot->data = {};
  slot->head.FinishError(slot->request.header.unique, error);
  slot->pool->Finish(slot);
}

bool ReplyBase::Detach() {
  Slot* parked = barefuse::Detach(slot_);
  if (parked == nullptr) return false;
  slot_ = parked;
  return true;
}

bool ReplyBase::CallAgain() {
  if (slot_->may_block) return false;
  // Once it is handed over it may be served, and be gone, before this returns.
  Slot* slot = std::exchange(slot_, nullptr);
  if (slot->pool->connection().CallAgain(slot)) return true;
  slot_ = slot;
  return false;
}

void ReplyBase::Drop() {
  // Nobody is left to answer, or to be told, where the session has ended.
  if (slot_->state.load(std::memory_order_acquire) != Slot::State::kOrphaned) {
    Connection& connection = slot_->pool->connection();
    connection.CountDroppedReply();
    connection.Log(LogLevel::kError,
                   "a handler dropped its reply; answered EIO");
  }
  std::move(*this).Error(EIO);
}

DataReply::DataReply(Slot& slot) : ReplyBase(slot), asked_(BytesAsked(slot)) {}

XattrReply::XattrReply(Slot& slot)
    : ReplyBase(slot), asked_(BytesAsked(slot)) {}

void XattrReply::Ok(size_t size) && {
  if (asked_ == 0) {
    return Send(abi::fuse_getxattr_out{static_cast<uint32_t>(size), 0});
  }
  if (size > asked_) return std::move(*this).Error(ERANGE);
  SendData(data_buffer().first(size));
}

void XattrReply::OkCopy(std::string_view value) && {
  if (!value.empty() && value.size() <= asked_) {
    std::memcpy(data_buffer().data(), value.data(), value.size());
  }
  std::move(*this).Ok(value.size());
}

abi::fuse_open_out OpenFlags::Out(uint64_t fh, Connection& connection) const {
  abi::fuse_open_out out = out_;
  out.fh = fh;
  if (out.backing_id <= 0 || !connection.terms().Has(abi::FUSE_PASSTHROUGH)) {
    out.backing_id = 0;
    return out;
  }
  constexpr uint32_t kBesidePassthrough = abi::FOPEN_DIRECT_IO |
                                          abi::FOPEN_NOFLUSH |
                                          abi::FOPEN_PARALLEL_DIRECT_WRITES;
  out.open_flags &= kBesidePassthrough;
  out.open_flags |= abi::FOPEN_PASSTHROUGH;
  connection.backing_counters()->passthrough_opens.fetch_add(
      1, std::memory_order_relaxed);
  return out;
}

void ReplyBase::CheckName(std::string_view name) const {
  if (proto::DirectoryWriter::IsName(name)) return;
  connection().Log(LogLevel::kError,
                   "a directory entry with an impossible name was left out");
}

DirectoryReply::DirectoryReply(Slot& slot)
    : ReplyBase(slot), writer_(slot.data_buffer.first(BytesAsked(slot))) {}

DirectoryPlusReply::DirectoryPlusReply(Slot& slot)
    : ReplyBase(slot), writer_(slot.data_buffer.first(BytesAsked(slot))) {}

IoctlReply::IoctlReply(Slot& slot)
    : ReplyBase(slot), asked_(BytesAsked(slot)) {}

void IoctlReply::Retry(std::span<const abi::fuse_ioctl_iovec> in,
                       std::span<const abi::fuse_ioctl_iovec> out) && {
  if (in.size() + out.size() > abi::FUSE_IOCTL_MAX_IOV) {
    return std::move(*this).Error(EIO);
  }
  std::byte* end = data_buffer().data();
  for (std::span<const abi::fuse_ioctl_iovec> part : {in, out}) {
    if (part.empty()) continue;
    std::memcpy(end, part.data(), part.size_bytes());
    end += part.size_bytes();
  }
  SendWithData(abi::fuse_ioctl_out{0, abi::FUSE_IOCTL_RETRY,
                                   static_cast<uint32_t>(in.size()),
                                   static_cast<uint32_t>(out.size())},
               {data_buffer().data(), end});
}

void IoctlReply::Ok(int32_t result, size_t size) && {
  SendWithData(abi::fuse_ioctl_out{result, 0, 0, 0},
               data_buffer().first(std::min(size, asked_)));
}

}  // namespace barefuse
