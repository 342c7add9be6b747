#include "tests/codec/random_messages.h"

#include <algorithm>
#include <cerrno>

#include "proto/directory.h"
#include "proto/extensions.h"
#include "proto/reply_layout.h"
#include "proto/request_layout.h"

namespace barefuse::testing {

using proto::Dialect;

namespace {

// Makes up the fields of requests.
class RequestMaker {
 public:
  RequestMaker(const Dialect& dialect, RandomParts* parts)
      : dialect_(dialect), parts_(*parts) {}

  template <class T>
  void Fixed(T& value) {
    parts_.Fill(value);
  }
  void Init(abi::fuse_init_in& value) { parts_.Fill(value); }
  void Name(std::string_view& name) { name = parts_.Name(dialect_.name_max); }
  void Attribute(std::string_view& name) {
    name = parts_.Name(dialect_.name_max, /*slash=*/true);
  }
  void Text(std::string_view& text) {
    text = parts_.Name(dialect_.name_max, /*slash=*/true);
  }
  void Data(proto::Bytes& data, uint32_t& size) {
    data = parts_.Bytes(parts_.Below(500));
    size = static_cast<uint32_t>(data.size());
  }
  template <class T>
  void Array(proto::WireArray<T>& items, uint32_t& count) {
    items = proto::WireArray<T>(parts_.Bytes(parts_.Below(20) * sizeof(T)));
    count = static_cast<uint32_t>(items.size());
  }
  void Extensions(proto::Extensions& extensions) {
    // Before 7.38 there is one security context, or nothing.
    if (dialect_.HasExtensionLength() && parts_.Coin()) {
      extensions = parts_.Extensions();
    }
  }

 private:
  const Dialect& dialect_;
  RandomParts& parts_;
};

// Makes up the structs of replies.
class ReplyMaker {
 public:
  explicit ReplyMaker(RandomParts* parts) : parts_(*parts) {}
  template <class T>
  void Struct(T& value) {
    parts_.Fill(value);
  }
  template <class T>
  void Whole(T& value) {
    parts_.Fill(value);
  }
  void Rest(proto::Bytes&) {}

 private:
  RandomParts& parts_;
};

template <class T>
T Make(RandomParts* parts) {
  T value{};
  ReplyMaker maker(parts);
  proto::Layout(maker, value);
  return value;
}

proto::IoctlOut MakeIoctl(size_t most, RandomParts* parts) {
  auto out = Make<proto::IoctlOut>(parts);
  if (parts->Coin()) {
    out.flags |= abi::FUSE_IOCTL_RETRY;
    out.in_iovs = static_cast<uint32_t>(parts->Below(257));
    out.out_iovs = static_cast<uint32_t>(parts->Below(257 - out.in_iovs));
    out.data = parts->Bytes((size_t{out.in_iovs} + out.out_iovs) *
                            sizeof(abi::fuse_ioctl_iovec));
  } else {
    out.flags &= ~abi::FUSE_IOCTL_RETRY;
    out.data = parts->Bytes(parts->Below(most + 1));
  }
  return out;
}

proto::AnyReply MakeBody(proto::ReplyKind kind, size_t most,
                         RandomParts* parts) {
  using proto::ReplyKind;
  switch (kind) {
    case ReplyKind::kNone:
    case ReplyKind::kEmpty:
      return proto::EmptyOut{};
    case ReplyKind::kInit:
      return Make<abi::fuse_init_out>(parts);
    case ReplyKind::kEntry:
      return Make<abi::fuse_entry_out>(parts);
    case ReplyKind::kAttr:
      return Make<abi::fuse_attr_out>(parts);
    case ReplyKind::kStatx:
      return Make<abi::fuse_statx_out>(parts);
    case ReplyKind::kOpen:
      return Make<abi::fuse_open_out>(parts);
    case ReplyKind::kCreate:
      return Make<proto::CreateOut>(parts);
    case ReplyKind::kWrite:
      return Make<abi::fuse_write_out>(parts);
    case ReplyKind::kStatfs:
      return Make<abi::fuse_statfs_out>(parts);
    case ReplyKind::kXattr:
      if (most == 0) return Make<abi::fuse_getxattr_out>(parts);
      return proto::DataOut{parts->Bytes(parts->Below(most + 1))};
    case ReplyKind::kLock:
      return Make<abi::fuse_lk_out>(parts);
    case ReplyKind::kBmap:
      return Make<abi::fuse_bmap_out>(parts);
    case ReplyKind::kIoctl:
      return MakeIoctl(most, parts);
    case ReplyKind::kPoll:
      return Make<abi::fuse_poll_out>(parts);
    case ReplyKind::kLseek:
      return Make<abi::fuse_lseek_out>(parts);
    case ReplyKind::kCopyFileRange:
      return Make<abi::fuse_copy_file_range_out>(parts);
    case ReplyKind::kData:
      return proto::DataOut{parts->Bytes(parts->Below(most + 1))};
    case ReplyKind::kDirectory:
      return proto::DirectoryOut{parts->Directory(false, most)};
    case ReplyKind::kDirectoryPlus:
      return proto::DirectoryPlusOut{parts->Directory(true, most)};
    case ReplyKind::kCuseInit: {
      auto out = Make<proto::CuseInitOut>(parts);
      out.info = parts->Bytes(parts->Below(4097));
      return out;
    }
  }
  return proto::EmptyOut{};
}

}  // namespace

proto::Bytes RandomParts::Bytes(size_t size) {
  std::string& bytes = owned_.emplace_back(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random_());
  return std::as_bytes(std::span(bytes.data(), bytes.size()));
}

std::string_view RandomParts::Name(size_t max, bool slash) {
  // Mostly short, now and then of the greatest length.
  const size_t size =
      Below(20) == 0 ? max : 1 + Below(std::min<size_t>(max, 40));
  std::string& name = owned_.emplace_back(size, '\0');
  for (char& c : name) {
    do {
      c = static_cast<char>(random_());
    } while (c == '\0' || (c == '/' && !slash));
  }
  return name;
}

proto::Extensions RandomParts::Extensions() {
  std::string& buffer = owned_.emplace_back(8192, '\0');
  auto space = std::as_writable_bytes(std::span(buffer.data(), buffer.size()));
  size_t size = 0;
  for (size_t left = Below(4); left > 0; --left) {
    proto::ExtensionWriter writer(space.subspan(size));
    switch (Below(3)) {
      case 0: {
        std::vector<proto::SecurityContext> contexts(Below(4));
        for (auto& context : contexts) {
          context = {Name(60, true), Bytes(Below(50))};
        }
        writer.AddContexts(contexts);
        break;
      }
      case 1: {
        std::vector<uint32_t> groups(Below(5));
        for (uint32_t& group : groups) group = static_cast<uint32_t>(Number());
        writer.AddGroups(groups);
        break;
      }
      default: {
        // A type that nobody knows.
        const auto body = static_cast<uint32_t>(8 * Below(4));
        const abi::fuse_ext_header header{
            static_cast<uint32_t>(sizeof header) + body,
            static_cast<uint32_t>(33 + Below(1000))};
        std::memcpy(space.data() + size, &header, sizeof header);
        size += header.size;
        continue;
      }
    }
    size += writer.extensions().bytes.size();
  }
  return {space.first(size)};
}

proto::Bytes RandomParts::Directory(bool plus, size_t size) {
  std::string& buffer = owned_.emplace_back(size, '\0');
  proto::DirectoryWriter writer(
      std::as_writable_bytes(std::span(buffer.data(), buffer.size())));
  const size_t most = Below(30);
  for (uint64_t offset = 1; offset <= most; ++offset) {
    const auto type = static_cast<uint32_t>(Below(16));
    const std::string_view name = Name(255);
    bool added;
    if (plus) {
      abi::fuse_entry_out entry;
      Fill(entry);
      added = writer.AddPlus(entry, name, type, offset);
    } else {
      added = writer.Add(name, Number(), type, offset);
    }
    if (!added) break;
  }
  return std::as_bytes(std::span(buffer.data(), writer.size()));
}

proto::Request RandomRequest(uint32_t opcode, const Dialect& dialect,
                             RandomParts* parts) {
  proto::Request request;
  parts->Fill(request.header);
  request.header.opcode = opcode;
  request.header.unique |= 1;  // not 0
  request.header.padding = 0;
  RequestMaker maker(dialect, parts);
  switch (opcode) {
#define BAREFUSE_CASE(CONSTANT, Type, ...)                          \
  case abi::CONSTANT:                                               \
    proto::Layout(maker, request.operation.emplace<proto::Type>()); \
    break;
    BAREFUSE_OPERATIONS(BAREFUSE_CASE)
#undef BAREFUSE_CASE
  }
  return request;
}

proto::ReplyMessage RandomReply(const proto::Request& request,
                                RandomParts* parts) {
  const proto::Operation& operation =
      *proto::FindOperation(request.header.opcode);
  proto::ReplyMessage reply;
  reply.header.unique = request.header.unique;
  if (operation.owed == proto::Owed::kSometimes) {
    reply.header.error = -EAGAIN;
  } else if (parts->Below(8) == 0) {
    reply.header.error = -static_cast<int32_t>(1 + parts->Below(511));
  } else {
    // No test needs more than this of the up to 4 GiB that may be asked for.
    const size_t most =
        std::min<size_t>(proto::WhatIsAsked(request).size, 4096);
    reply.body = MakeBody(operation.reply, most, parts);
    if (auto* create = std::get_if<proto::CreateOut>(&reply.body)) {
      create->tmpfile = operation.opcode == abi::FUSE_TMPFILE;
    }
  }
  return reply;
}

proto::AnyNotification RandomNotification(uint32_t code, const Dialect& dialect,
                                          RandomParts* parts) {
  proto::AnyNotification notification;
  switch (code) {
    case abi::FUSE_NOTIFY_POLL:
      parts->Fill(notification.emplace<proto::NotifyPoll>());
      break;
    case abi::FUSE_NOTIFY_INVAL_INODE:
      parts->Fill(notification.emplace<proto::NotifyInvalInode>());
      break;
    case abi::FUSE_NOTIFY_INVAL_ENTRY:
      notification = proto::NotifyInvalEntry{
          parts->Number(), static_cast<uint32_t>(parts->Number()),
          parts->Name(dialect.name_max)};
      break;
    case abi::FUSE_NOTIFY_STORE:
      notification = proto::NotifyStore{parts->Number(), parts->Number(),
                                        parts->Bytes(parts->Below(300))};
      break;
    case abi::FUSE_NOTIFY_RETRIEVE:
      parts->Fill(notification.emplace<proto::NotifyRetrieve>());
      break;
    case abi::FUSE_NOTIFY_DELETE:
      notification = proto::NotifyDelete{parts->Number(), parts->Number(),
                                         parts->Name(dialect.name_max)};
      break;
    case abi::FUSE_NOTIFY_RESEND:
      notification = proto::NotifyResend{};
      break;
    case abi::FUSE_NOTIFY_INC_EPOCH:
      notification = proto::NotifyIncEpoch{};
      break;
    case abi::FUSE_NOTIFY_PRUNE:
      notification = proto::NotifyPrune{
          proto::WireArray<uint64_t>(parts->Bytes(8 * parts->Below(20)))};
      break;
  }
  return notification;
}

std::vector<uint32_t> AllOpcodes() {
  std::vector<uint32_t> opcodes;
  for (const proto::Operation& operation : proto::kOperations) {
    if (!operation.name.empty()) opcodes.push_back(operation.opcode);
  }
  return opcodes;
}

}  // namespace barefuse::testing
