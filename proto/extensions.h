// The extensions behind the names of a creating request (CREATE, MKDIR, MKNOD,
// SYMLINK, TMPFILE): security contexts, where FUSE_SECURITY_CTX is on, and
// supplementary groups, where FUSE_CREATE_SUPP_GROUP is. Each starts with its
// size and is padded to 8 bytes; they come in any order.
#ifndef BAREFUSE_PROTO_EXTENSIONS_H_
#define BAREFUSE_PROTO_EXTENSIONS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proto/error.h"
#include "proto/requests.h"

namespace barefuse::proto {

// A security context of the new inode: an extended attribute that it is to
// have, such as "security.selinux".
struct SecurityContext {
  std::string_view name;
  Bytes value;
};

// Walks through the extensions of a decoded request.
//
//   ExtensionReader reader(request->extensions);
//   while (reader.Next()) {
//     if (reader.kind() == ExtensionReader::Kind::kSecurityContext) ...
//   }
class ExtensionReader {
 public:
  enum class Kind : uint8_t {
    kSecurityContext,  // context(): one of possibly several
    kGroups,           // groups()
    kUnknown,          // type() and bytes(): to be passed over
  };

  explicit ExtensionReader(const Extensions& extensions)
      : bytes_(extensions.bytes) {}

  // Goes to the next item. False at the end, or where sizes do not add up.
  bool Next();
  // Whether everything so far was as it should be. Always true for extensions
  // that a request was decoded with.
  bool ok() const { return ok_; }
  // Where the walk is, in bytes from the start of the extensions.
  size_t offset() const { return position_; }

  Kind kind() const { return kind_; }
  uint32_t type() const { return type_; }  // FUSE_EXT_* or a count of contexts
  const SecurityContext& context() const { return context_; }
  // Group ids. The kernel sends one: the parent directory's, where the caller
  // is a member and it is not the caller's own.
  const WireArray<uint32_t>& groups() const { return groups_; }
  Bytes bytes() const { return unknown_; }

 private:
  bool NextExtension();
  bool NextContext();
  bool ReadGroups(Bytes body);
  bool Fail() {
    ok_ = false;
    return false;
  }

  Bytes bytes_;
  size_t position_ = 0;
  size_t contexts_end_ = 0;     // where the extension with contexts ends
  uint32_t contexts_left_ = 0;  // in it
  bool ok_ = true;
  Kind kind_ = Kind::kUnknown;
  uint32_t type_ = 0;
  SecurityContext context_;
  WireArray<uint32_t> groups_;
  Bytes unknown_;
};

// Whether all sizes add up; where not, `*offset` is where.
bool CheckExtensions(Bytes bytes, size_t* offset);

// Builds extensions in a buffer, for the kernel's side.
class ExtensionWriter {
 public:
  explicit ExtensionWriter(std::span<std::byte> buffer) : buffer_(buffer) {}

  // At most 31 contexts. Without any, the extension of a kernel whose security
  // module has nothing to say. False where there is no room, or a name cannot
  // be; nothing is added then.
  bool AddContexts(std::span<const SecurityContext> contexts);
  bool AddGroups(std::span<const uint32_t> groups);

  Extensions extensions() const { return {buffer_.first(size_)}; }

 private:
  std::span<std::byte> buffer_;
  size_t size_ = 0;
};

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_EXTENSIONS_H_
