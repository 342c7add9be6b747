// Replies: each is given exactly once.
//
// A handler receives one by value. It answers with `std::move(reply).Ok(...)`
// or `std::move(reply).Error(errno)`, at once or later, on any thread; the
// memory of the request is gone from then on. A reply that is dropped answers
// EIO and is counted. One that outlives its session does nothing.
//
// An answer that is given while its worker is in a handler is sent once that
// handler returns; a worker that waits for requests sends it at once.
#ifndef BAREFUSE_SERVER_REPLY_H_
#define BAREFUSE_SERVER_REPLY_H_

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "proto/directory.h"
#include "proto/encode_reply.h"
#include "server/backing_file.h"
#include "server/slot.h"

namespace barefuse {

// What all replies have in common. Move-only.
class ReplyBase {
 public:
  ReplyBase(ReplyBase&& other) noexcept
      : slot_(std::exchange(other.slot_, nullptr)) {}
  ReplyBase& operator=(ReplyBase&& other) noexcept {
    if (this != &other) {
      if (slot_ != nullptr) Drop();
      slot_ = std::exchange(other.slot_, nullptr);
    }
    return *this;
  }
  ~ReplyBase() {
    if (slot_ != nullptr) Drop();
  }

  // `error` is a positive errno, 1 .. 511; anything else is sent as EIO.
  void Error(int error) &&;

  // Whether the caller was interrupted by a signal. The kernel waits for the
  // answer all the same; EINTR is what a call that has done nothing gives.
  bool interrupted() const { return slot_->interrupt.interrupted(); }

  // `callback` is called at most once, when the caller is interrupted: on the
  // thread that hears of it, or at once, on this one, if it has been by now.
  // It may come while the reply is being given elsewhere, and shortly after:
  // what it uses it must own, and look up rather than point to. It must not
  // block. Where it is never called it goes with the reply.
  void OnInterrupt(std::function<void()> callback) {
    slot_->interrupt.OnInterrupt(std::move(callback));
  }

  // For a handler that finds out that it has to wait, and is on a worker: the
  // handler is called again with the same request, on a thread of the session's
  // pool (Request::may_block). True: the request is that call's now, and this
  // one must touch neither it nor the reply. False: there is no such thread, or
  // this is one; nothing has changed.
  bool CallAgain();

 protected:
  explicit ReplyBase(Slot& slot) : slot_(&slot) {}

  // For an answer that will take long. Moves the request to a slot of the
  // session's own (SessionOptions::parked_requests), so that it takes none of
  // its worker's. The Request, its names and data, and what buffer() gave are
  // not valid any more; the reply is. False: there is no room, nothing has
  // changed.
  bool Detach();

  const proto::Dialect& dialect() const {
    return slot_->pool->connection().dialect();
  }
  Connection& connection() const { return slot_->pool->connection(); }
  const proto::Request& request() const { return slot_->request; }
  std::span<std::byte> data_buffer() const { return slot_->data_buffer; }

  // Says so where a name is none (proto::DirectoryWriter::IsName).
  void CheckName(std::string_view name) const;

  // The reply is `out` and nothing else.
  template <class T>
  void Send(const T& out) {
    slot_->head.Encode(dialect(), out);
    Finish({});
  }
  // The reply is `data`, which lies in the slot or lives longer than it.
  void SendData(std::span<const std::byte> data) {
    slot_->head.Encode(dialect());
    Finish(data);
  }
  template <class T>
  void SendWithData(const T& out, std::span<const std::byte> data) {
    slot_->head.Encode(dialect(), out);
    Finish(data);
  }

 private:
  void Drop();
  void Finish(std::span<const std::byte> data) {
    Slot* slot = std::exchange(slot_, nullptr);
    slot->data = data;
    slot->head.Finish(slot->request.header.unique, data.size());
    slot->pool->Finish(slot);
  }

  Slot* slot_;
};

// A reply that is one struct: `Ok(out)`.
template <class Out>
class Reply : public ReplyBase {
 public:
  explicit Reply(Slot& slot) : ReplyBase(slot) {}
  using ReplyBase::Detach;
  void Ok(const Out& out) && { Send(out); }
};

using EntryReply = Reply<abi::fuse_entry_out>;
using AttrReply = Reply<abi::fuse_attr_out>;
using StatxReply = Reply<abi::fuse_statx_out>;
using StatfsReply = Reply<abi::fuse_statfs_out>;
using LockReply = Reply<abi::fuse_lk_out>;
using BmapReply = Reply<abi::fuse_bmap_out>;
using PollReply = Reply<abi::fuse_poll_out>;
using LseekReply = Reply<abi::fuse_lseek_out>;
using CopyFileRangeReply = Reply<abi::fuse_copy_file_range_out>;

// Success without more.
class EmptyReply : public ReplyBase {
 public:
  explicit EmptyReply(Slot& slot) : ReplyBase(slot) {}
  using ReplyBase::Detach;
  void Ok() && { SendData({}); }
};

// How many bytes were taken: WRITE, COPY_FILE_RANGE.
class WriteReply : public ReplyBase {
 public:
  explicit WriteReply(Slot& slot) : ReplyBase(slot) {}
  using ReplyBase::Detach;
  void Ok(size_t bytes) && {
    Send(abi::fuse_write_out{static_cast<uint32_t>(bytes), 0});
  }
};

// Bytes: READ, READLINK.
class DataReply : public ReplyBase {
 public:
  explicit DataReply(Slot& slot);
  using ReplyBase::Detach;

  // Room for as many bytes as were asked for (for READLINK, for the longest
  // target), on a page boundary, sent from where it is. Valid until the reply
  // is given.
  std::span<std::byte> buffer() const { return data_buffer().first(asked_); }

  // The first `size` bytes of buffer(). Fewer than asked: the file ends there.
  void Ok(size_t size) && {
    SendData(data_buffer().first(std::min(size, asked_)));
  }
  // A copy of `bytes`, as far as buffer() has room.
  void OkCopy(std::string_view bytes) && {
    size_t size = std::min(bytes.size(), asked_);
    if (size != 0) std::memcpy(data_buffer().data(), bytes.data(), size);
    SendData(data_buffer().first(size));
  }

 private:
  size_t asked_;
};

// GETXATTR and LISTXATTR, which ask for the size (buffer() is empty) or for
// the bytes. Made to go with getxattr(2) and listxattr(2): hand them buffer()
// and answer Ok with what they give.
class XattrReply : public ReplyBase {
 public:
  explicit XattrReply(Slot& slot);
  using ReplyBase::Detach;

  std::span<std::byte> buffer() const { return data_buffer().first(asked_); }

  // Where bytes were asked for: the first `size` of buffer(), ERANGE if it has
  // fewer. Where the size was asked for: `size`.
  void Ok(size_t size) &&;
  // The same with a value that is somewhere else.
  void OkCopy(std::string_view value) &&;

 private:
  size_t asked_;
};

// The flags of an open file, for OPEN, OPENDIR and CREATE.
class OpenFlags {
 public:
  // Reads and writes go to the server, past the page cache.
  void DirectIo() { out_.open_flags |= abi::FOPEN_DIRECT_IO; }
  // Pages that are cached from earlier opens stay valid.
  void KeepCache() { out_.open_flags |= abi::FOPEN_KEEP_CACHE; }
  void NonSeekable() { out_.open_flags |= abi::FOPEN_NONSEEKABLE; }
  // OPENDIR: the kernel may cache the entries.
  void CacheDir() { out_.open_flags |= abi::FOPEN_CACHE_DIR; }
  void Stream() { out_.open_flags |= abi::FOPEN_STREAM; }
  // No FLUSH on close(2), and so no release of POSIX locks by it.
  void NoFlush() { out_.open_flags |= abi::FOPEN_NOFLUSH; }
  // With DirectIo: writes to the file need not exclude each other.
  void ParallelDirectWrites() {
    out_.open_flags |= abi::FOPEN_PARALLEL_DIRECT_WRITES;
  }
  // The kernel serves reads, writes, splice and mmap from the backing file
  // that `use` was granted; nothing where it was not. With DirectIo, reads and
  // writes come to the server and mmap is passed through. KeepCache and the
  // others that the kernel refuses beside passthrough are left out, so the
  // pages of an earlier open are dropped.
  void Passthrough(const BackingUse& use) {
    Passthrough(use.passthrough() ? use.backing_id() : 0);
  }
  // The same with the id of a BackingFile; all opens of an inode must name the
  // same. 0 is none.
  void Passthrough(int32_t backing_id) { out_.backing_id = backing_id; }

 protected:
  // What goes to the kernel.
  abi::fuse_open_out Out(uint64_t fh, Connection& connection) const;

 private:
  abi::fuse_open_out out_{};
};

class OpenReply : public ReplyBase, public OpenFlags {
 public:
  explicit OpenReply(Slot& slot) : ReplyBase(slot) {}
  using ReplyBase::Detach;
  // `fh` comes back with every request on the open file.
  void Ok(uint64_t fh) && { Send(Out(fh, connection())); }
};

class CreateReply : public ReplyBase, public OpenFlags {
 public:
  explicit CreateReply(Slot& slot) : ReplyBase(slot) {}
  using ReplyBase::Detach;
  void Ok(const abi::fuse_entry_out& entry, uint64_t fh) && {
    Send(proto::CreateOut{entry, Out(fh, connection()),
                          request().header.opcode == abi::FUSE_TMPFILE});
  }
};

// READDIR: add entries until one does not fit.
class DirectoryReply : public ReplyBase {
 public:
  explicit DirectoryReply(Slot& slot);

  // `type` is DT_*, `next` the offset at which reading goes on behind this
  // entry. False: it did not fit, answer now. A name that no directory can have
  // is logged and passed over.
  bool Add(std::string_view name, uint64_t ino, uint32_t type, uint64_t next) {
    CheckName(name);
    return writer_.Add(name, ino, type, next);
  }
  // An answer without entries is the end of the directory.
  void Ok() && { SendData(data_buffer().first(writer_.size())); }

 private:
  proto::DirectoryWriter writer_;
};

// READDIRPLUS: entries with what LOOKUP would say of them.
class DirectoryPlusReply : public ReplyBase {
 public:
  explicit DirectoryPlusReply(Slot& slot);

  // Whether an entry with this name would fit: ask before taking a lookup.
  bool Fits(std::string_view name) const {
    return writer_.FitsPlus(name.size());
  }
  // Each entry with a nodeid counts as one lookup of it, except "." and "..",
  // whose nodeid should be 0. False: it did not fit and took no lookup.
  bool Add(const abi::fuse_entry_out& entry, std::string_view name,
           uint32_t type, uint64_t next) {
    CheckName(name);
    return writer_.AddPlus(entry, name, type, next);
  }
  bool empty() const { return writer_.size() == 0; }
  void Ok() && { SendData(data_buffer().first(writer_.size())); }

 private:
  proto::DirectoryWriter writer_;
};

class IoctlReply : public ReplyBase {
 public:
  explicit IoctlReply(Slot& slot);
  using ReplyBase::Detach;

  // Room for as many bytes as the caller takes back.
  std::span<std::byte> buffer() const { return data_buffer().first(asked_); }
  // `result` is what ioctl(2) gives, followed by the first `size` bytes of
  // buffer().
  void Ok(int32_t result, size_t size) &&;
  // For an ioctl with FUSE_IOCTL_UNRESTRICTED in its flags, of which the kernel
  // does not know what it reads and writes: asks for it again, with the
  // caller's memory at `in` as its data and room for `out`. At most 256 of them
  // (EIO). Linux sends such ioctls only to character devices (CUSE); on others
  // it refuses this answer (EIO for the caller).
  void Retry(std::span<const abi::fuse_ioctl_iovec> in,
             std::span<const abi::fuse_ioctl_iovec> out) &&;

 private:
  size_t asked_;
};

namespace internal {

// The type of the reply to a request, by the table's reply kind.
template <proto::ReplyKind kind>
struct ReplyTypeOf;
#define BAREFUSE_REPLY_TYPE(kind, Type)        \
  template <>                                  \
  struct ReplyTypeOf<proto::ReplyKind::kind> { \
    using type = Type;                         \
  };
BAREFUSE_REPLY_TYPE(kEmpty, EmptyReply)
BAREFUSE_REPLY_TYPE(kEntry, EntryReply)
BAREFUSE_REPLY_TYPE(kAttr, AttrReply)
BAREFUSE_REPLY_TYPE(kStatx, StatxReply)
BAREFUSE_REPLY_TYPE(kOpen, OpenReply)
BAREFUSE_REPLY_TYPE(kCreate, CreateReply)
BAREFUSE_REPLY_TYPE(kWrite, WriteReply)
BAREFUSE_REPLY_TYPE(kStatfs, StatfsReply)
BAREFUSE_REPLY_TYPE(kXattr, XattrReply)
BAREFUSE_REPLY_TYPE(kLock, LockReply)
BAREFUSE_REPLY_TYPE(kBmap, BmapReply)
BAREFUSE_REPLY_TYPE(kIoctl, IoctlReply)
BAREFUSE_REPLY_TYPE(kPoll, PollReply)
BAREFUSE_REPLY_TYPE(kLseek, LseekReply)
BAREFUSE_REPLY_TYPE(kCopyFileRange, CopyFileRangeReply)
BAREFUSE_REPLY_TYPE(kData, DataReply)
BAREFUSE_REPLY_TYPE(kDirectory, DirectoryReply)
BAREFUSE_REPLY_TYPE(kDirectoryPlus, DirectoryPlusReply)
#undef BAREFUSE_REPLY_TYPE

// For answers that the core gives itself.
class CoreReply : public ReplyBase {
 public:
  explicit CoreReply(Slot& slot) : ReplyBase(slot) {}
};

}  // namespace internal

template <class Op>
using ReplyTo =
    typename internal::ReplyTypeOf<proto::OperationOf<Op>().reply>::type;

}  // namespace barefuse

#endif  // BAREFUSE_SERVER_REPLY_H_
