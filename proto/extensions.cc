#include "proto/extensions.h"

#include <cstring>

#include "proto/cursor.h"
#include "proto/dialect.h"
#include "proto/writer.h"

namespace barefuse::proto {
namespace {

constexpr size_t Align(size_t size) { return (size + 7) & ~size_t{7}; }

}  // namespace

bool ExtensionReader::Next() {
  if (!ok_) return false;
  if (contexts_left_ != 0) return NextContext();
  // An extension without any context is nothing to show.
  while (position_ < bytes_.size()) {
    if (!NextExtension()) return false;
    if (kind_ != Kind::kSecurityContext) return true;
    if (contexts_left_ != 0) return NextContext();
  }
  return false;
}

bool ExtensionReader::NextExtension() {
  Cursor cursor(bytes_.subspan(position_), 0);
  abi::fuse_ext_header header;
  cursor.Struct(&header);
  if (!cursor.ok() || header.size < sizeof header || header.size % 8 != 0 ||
      header.size > bytes_.size() - position_) {
    return Fail();
  }
  type_ = header.type;
  if (type_ > abi::FUSE_MAX_NR_SECCTX) {
    Bytes body =
        bytes_.subspan(position_ + sizeof header, header.size - sizeof header);
    if (type_ == abi::FUSE_EXT_GROUPS) {
      if (!ReadGroups(body)) return Fail();
    } else {
      kind_ = Kind::kUnknown;
      unknown_ = body;
    }
    position_ += header.size;
    return true;
  }
  // The header is a fuse_secctx_header, its type the number of contexts.
  kind_ = Kind::kSecurityContext;
  contexts_left_ = type_;
  contexts_end_ = position_ + header.size;
  position_ += sizeof header;
  return contexts_left_ != 0 || position_ == contexts_end_ || Fail();
}

bool ExtensionReader::NextContext() {
  Cursor cursor(bytes_.subspan(position_, contexts_end_ - position_), 0);
  abi::fuse_secctx secctx;
  cursor.Struct(&secctx);
  context_.name = cursor.CString(kLongNameMax);
  context_.value = cursor.Take(secctx.size);
  if (!cursor.ok() || context_.name.empty()) return Fail();
  const size_t size = Align(contexts_end_ - position_ - cursor.left());
  if (size > contexts_end_ - position_) return Fail();
  position_ += size;
  kind_ = Kind::kSecurityContext;
  --contexts_left_;
  return contexts_left_ != 0 || position_ == contexts_end_ || Fail();
}

bool ExtensionReader::ReadGroups(Bytes body) {
  Cursor cursor(body, 0);
  abi::fuse_supp_groups groups;
  cursor.Struct(&groups);
  groups_ = WireArray<uint32_t>(
      cursor.Take(uint64_t{groups.nr_groups} * sizeof(uint32_t)));
  kind_ = Kind::kGroups;
  return cursor.ok() && cursor.left() < 8;
}

bool CheckExtensions(Bytes bytes, size_t* offset) {
  ExtensionReader reader({bytes});
  while (reader.Next()) {
  }
  *offset = reader.offset();
  return reader.ok();
}

bool ExtensionWriter::AddContexts(std::span<const SecurityContext> contexts) {
  if (contexts.size() > abi::FUSE_MAX_NR_SECCTX) return false;
  Writer writer(buffer_.subspan(size_));
  writer.Skip(sizeof(abi::fuse_secctx_header));
  for (const SecurityContext& context : contexts) {
    if (context.name.empty()) return false;
    writer.Struct(
        abi::fuse_secctx{static_cast<uint32_t>(context.value.size()), 0});
    writer.CString(context.name, kLongNameMax);
    writer.Raw(context.value);
    constexpr std::byte kPadding[8]{};
    writer.Raw(Bytes(kPadding).first(Align(writer.size()) - writer.size()));
  }
  const abi::fuse_secctx_header header{static_cast<uint32_t>(writer.size()),
                                       static_cast<uint32_t>(contexts.size())};
  writer.At(0, &header, sizeof header);
  if (writer.ok()) size_ += writer.size();
  return writer.ok();
}

bool ExtensionWriter::AddGroups(std::span<const uint32_t> groups) {
  Writer writer(buffer_.subspan(size_));
  const size_t size =
      Align(sizeof(abi::fuse_ext_header) + sizeof(abi::fuse_supp_groups) +
            groups.size_bytes());
  writer.Struct(
      abi::fuse_ext_header{static_cast<uint32_t>(size), abi::FUSE_EXT_GROUPS});
  writer.Struct(abi::fuse_supp_groups{static_cast<uint32_t>(groups.size())});
  writer.Raw(std::as_bytes(groups));
  constexpr std::byte kPadding[8]{};
  writer.Raw(Bytes(kPadding).first(size - writer.size()));
  if (writer.ok()) size_ += writer.size();
  return writer.ok();
}

}  // namespace barefuse::proto
