// The table of operations: one row for each opcode of FUSE 7.1 .. 7.45.
//
// Everything that has to know "all the operations" is generated from this
// table: the decoder, the dispatcher, the debug output, the statistics. A row
// without its request struct, its decode function or its FileSystem callback
// does not compile.
#ifndef BAREFUSE_PROTO_OPERATIONS_H_
#define BAREFUSE_PROTO_OPERATIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_abi/fuse.h"

namespace barefuse::proto {

// What follows the fixed struct of a request.
enum class Payload : uint8_t {
  kNone,       // nothing
  kName,       // one name
  kNames,      // two names: from and to
  kNameExt,    // one name, then extensions
  kLinkExt,    // a name and the target of a symlink, then extensions
  kNameValue,  // the name and the value of an extended attribute
  kData,       // bytes
  kArray,      // as many structs as the fixed struct counts
};

// What a successful reply carries after fuse_out_header.
enum class ReplyKind : uint8_t {
  kNone,           // no reply exists
  kEmpty,          // the header alone
  kInit,           // fuse_init_out
  kEntry,          // fuse_entry_out
  kAttr,           // fuse_attr_out
  kStatx,          // fuse_statx_out
  kOpen,           // fuse_open_out
  kCreate,         // fuse_entry_out, fuse_open_out
  kWrite,          // fuse_write_out
  kStatfs,         // fuse_statfs_out
  kXattr,          // fuse_getxattr_out when size 0 was asked, else the bytes
  kLock,           // fuse_lk_out
  kBmap,           // fuse_bmap_out
  kIoctl,          // fuse_ioctl_out, bytes or iovecs
  kPoll,           // fuse_poll_out
  kLseek,          // fuse_lseek_out
  kCopyFileRange,  // fuse_copy_file_range_out
  kData,           // bytes: file data, a link's target
  kDirectory,      // fuse_dirent records
  kDirectoryPlus,  // fuse_direntplus records
  kCuseInit,       // cuse_init_out, then strings
};

// What the server owes the kernel for a request.
enum class Owed : uint8_t {
  kReply,      // exactly one reply
  kNothing,    // a reply would be an error
  kSometimes,  // INTERRUPT: only EAGAIN or ENOSYS, and only on purpose
  kCommit,     // no reply, but on a ring the entry must be committed
};

// Whose uid, gid and pid the request's header carries.
enum class Caller : uint8_t {
  kCaller,  // the calling task's; of NOTIFY_REPLY, whoever asked for the data
  kNone,    // zeros: the kernel sends the request on nobody's behalf
};

// CONSTANT the opcode
// Type     the request struct in proto/requests.h
// since    the first minor version that has the opcode
// fixed    the fixed struct's size in bytes today, without what follows it
// old      its size before minor `grew`, where it grew at all
// grew     that minor, or 0
// payload  what follows the fixed struct
// reply    what a successful reply carries
// owed     what the server owes
// caller   whose credentials the header carries
//
// INIT's fixed struct has grown twice: 8 bytes before 7.6, 16 before 7.36, 64
// since. SETXATTR's grows with the FUSE_SETXATTR_EXT capability, not with a
// minor. Both are settled in proto/dialect.h.
// clang-format off
#define BAREFUSE_OPERATIONS(X)                                                                                            \
  /* CONSTANT                 Type              since  fixed  old  grew payload     reply           owed        caller */ \
  X(FUSE_LOOKUP,             Lookup,              1,     0,   0,    0, kName,      kEntry,         kReply,     kCaller)   \
  X(FUSE_FORGET,             Forget,              1,     8,   8,    0, kNone,      kNone,          kNothing,   kNone)     \
  X(FUSE_GETATTR,            Getattr,             1,    16,   0,    9, kNone,      kAttr,          kReply,     kCaller)   \
  X(FUSE_SETATTR,            Setattr,             1,    88,  88,    0, kNone,      kAttr,          kReply,     kCaller)   \
  X(FUSE_READLINK,           Readlink,            1,     0,   0,    0, kNone,      kData,          kReply,     kCaller)   \
  X(FUSE_SYMLINK,            Symlink,             1,     0,   0,    0, kLinkExt,   kEntry,         kReply,     kCaller)   \
  X(FUSE_MKNOD,              Mknod,               1,    16,   8,   12, kNameExt,   kEntry,         kReply,     kCaller)   \
  X(FUSE_MKDIR,              Mkdir,               1,     8,   8,    0, kNameExt,   kEntry,         kReply,     kCaller)   \
  X(FUSE_UNLINK,             Unlink,              1,     0,   0,    0, kName,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_RMDIR,              Rmdir,               1,     0,   0,    0, kName,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_RENAME,             Rename,              1,     8,   8,    0, kNames,     kEmpty,         kReply,     kCaller)   \
  X(FUSE_LINK,               Link,                1,     8,   8,    0, kName,      kEntry,         kReply,     kCaller)   \
  X(FUSE_OPEN,               Open,                1,     8,   8,    0, kNone,      kOpen,          kReply,     kCaller)   \
  X(FUSE_READ,               Read,                1,    40,  24,    9, kNone,      kData,          kReply,     kCaller)   \
  X(FUSE_WRITE,              Write,               1,    40,  24,    9, kData,      kWrite,         kReply,     kCaller)   \
  X(FUSE_STATFS,             Statfs,              1,     0,   0,    0, kNone,      kStatfs,        kReply,     kCaller)   \
  X(FUSE_RELEASE,            Release,             1,    24,  16,    8, kNone,      kEmpty,         kReply,     kNone)     \
  X(FUSE_FSYNC,              Fsync,               1,    16,  16,    0, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_SETXATTR,           Setxattr,            1,    16,   8,    0, kNameValue, kEmpty,         kReply,     kCaller)   \
  X(FUSE_GETXATTR,           Getxattr,            1,     8,   8,    0, kName,      kXattr,         kReply,     kCaller)   \
  X(FUSE_LISTXATTR,          Listxattr,           1,     8,   8,    0, kNone,      kXattr,         kReply,     kCaller)   \
  X(FUSE_REMOVEXATTR,        Removexattr,         1,     0,   0,    0, kName,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_FLUSH,              Flush,               1,    24,  16,    7, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_INIT,               Init,                1,    64,   8,    0, kNone,      kInit,          kReply,     kNone)     \
  X(FUSE_OPENDIR,            Opendir,             1,     8,   8,    0, kNone,      kOpen,          kReply,     kCaller)   \
  X(FUSE_READDIR,            Readdir,             1,    40,  24,    9, kNone,      kDirectory,     kReply,     kCaller)   \
  X(FUSE_RELEASEDIR,         Releasedir,          1,    24,  16,    8, kNone,      kEmpty,         kReply,     kNone)     \
  X(FUSE_FSYNCDIR,           Fsyncdir,            2,    16,  16,    0, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_GETLK,              Getlk,               7,    48,  40,    9, kNone,      kLock,          kReply,     kCaller)   \
  X(FUSE_SETLK,              Setlk,               7,    48,  40,    9, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_SETLKW,             Setlkw,              7,    48,  40,    9, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_ACCESS,             Access,              3,     8,   8,    0, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_CREATE,             Create,              3,    16,   8,   12, kNameExt,   kCreate,        kReply,     kCaller)   \
  X(FUSE_INTERRUPT,          Interrupt,           7,     8,   8,    0, kNone,      kNone,          kSometimes, kNone)     \
  X(FUSE_BMAP,               Bmap,                8,    16,  16,    0, kNone,      kBmap,          kReply,     kCaller)   \
  X(FUSE_DESTROY,            Destroy,             8,     0,   0,    0, kNone,      kEmpty,         kReply,     kNone)     \
  X(FUSE_IOCTL,              Ioctl,              11,    32,  32,    0, kData,      kIoctl,         kReply,     kCaller)   \
  X(FUSE_POLL,               Poll,               11,    24,  24,    0, kNone,      kPoll,          kReply,     kCaller)   \
  X(FUSE_NOTIFY_REPLY,       NotifyReply,        15,    40,  40,    0, kData,      kNone,          kCommit,    kCaller)   \
  X(FUSE_BATCH_FORGET,       BatchForget,        16,     8,   8,    0, kArray,     kNone,          kNothing,   kNone)     \
  X(FUSE_FALLOCATE,          Fallocate,          19,    32,  32,    0, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_READDIRPLUS,        Readdirplus,        21,    40,  40,    0, kNone,      kDirectoryPlus, kReply,     kCaller)   \
  X(FUSE_RENAME2,            Rename2,            23,    16,  16,    0, kNames,     kEmpty,         kReply,     kCaller)   \
  X(FUSE_LSEEK,              Lseek,              24,    24,  24,    0, kNone,      kLseek,         kReply,     kCaller)   \
  X(FUSE_COPY_FILE_RANGE,    CopyFileRange,      28,    56,  56,    0, kNone,      kWrite,         kReply,     kCaller)   \
  X(FUSE_SETUPMAPPING,       Setupmapping,       31,    40,  40,    0, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_REMOVEMAPPING,      Removemapping,      31,     4,   4,    0, kArray,     kEmpty,         kReply,     kCaller)   \
  X(FUSE_SYNCFS,             Syncfs,             34,     8,   8,    0, kNone,      kEmpty,         kReply,     kCaller)   \
  X(FUSE_TMPFILE,            Tmpfile,            37,    16,  16,    0, kNameExt,   kCreate,        kReply,     kCaller)   \
  X(FUSE_STATX,              Statx,              39,    24,  24,    0, kNone,      kStatx,         kReply,     kCaller)   \
  X(FUSE_COPY_FILE_RANGE_64, CopyFileRange64,    45,    56,  56,    0, kNone,      kCopyFileRange, kReply,     kCaller)   \
  X(CUSE_INIT,               CuseInit,           12,    16,  16,    0, kNone,      kCuseInit,      kReply,     kNone)
// clang-format on

// One row of the table.
struct Operation {
  uint32_t opcode = 0;
  std::string_view name;  // "LOOKUP"; empty where no such opcode exists
  uint8_t since = 0;
  uint8_t fixed_size = 0;
  uint8_t old_fixed_size = 0;
  uint8_t grew = 0;
  Payload payload = Payload::kNone;
  ReplyKind reply = ReplyKind::kNone;
  Owed owed = Owed::kNothing;
  Caller caller = Caller::kNone;
};

// One above the highest opcode of the filesystem protocol.
inline constexpr uint32_t kOpcodeLimit = 54;
// Places for everything that is kept per operation, see OperationIndex().
inline constexpr size_t kOperationSlots = kOpcodeLimit + 1;

// The place of an opcode: its number, and the last place for CUSE_INIT. Opcodes
// that do not exist have the place 0, which belongs to none.
constexpr size_t OperationIndex(uint32_t opcode) {
  if (opcode < kOpcodeLimit) return opcode;
  return opcode == abi::CUSE_INIT ? kOpcodeLimit : 0;
}

namespace internal {
// "FUSE_LOOKUP" is LOOKUP; CUSE_INIT is itself.
constexpr std::string_view ShortName(std::string_view constant) {
  constexpr std::string_view kPrefix = "FUSE_";
  if (constant.starts_with(kPrefix)) constant.remove_prefix(kPrefix.size());
  return constant;
}

constexpr std::array<Operation, kOperationSlots> MakeOperations() {
  std::array<Operation, kOperationSlots> table{};
#define BAREFUSE_ROW(CONSTANT, Type, since, fixed, old, grew, payload, reply, \
                     owed, caller)                                            \
  table[OperationIndex(abi::CONSTANT)] = Operation{abi::CONSTANT,             \
                                                   ShortName(#CONSTANT),      \
                                                   since,                     \
                                                   fixed,                     \
                                                   old,                       \
                                                   grew,                      \
                                                   Payload::payload,          \
                                                   ReplyKind::reply,          \
                                                   Owed::owed,                \
                                                   Caller::caller};
  BAREFUSE_OPERATIONS(BAREFUSE_ROW)
#undef BAREFUSE_ROW
  return table;
}
}  // namespace internal

// By OperationIndex(). The holes (0, 7, 19) have an empty name.
inline constexpr std::array<Operation, kOperationSlots> kOperations =
    internal::MakeOperations();

// The row of `opcode`, or nullptr where the protocol has no such operation.
constexpr const Operation* FindOperation(uint32_t opcode) {
  const Operation& operation = kOperations[OperationIndex(opcode)];
  return operation.name.empty() ? nullptr : &operation;
}

// "LOOKUP", or "?" for an opcode that the table does not have.
constexpr std::string_view OperationName(uint32_t opcode) {
  const Operation* operation = FindOperation(opcode);
  return operation == nullptr ? std::string_view("?") : operation->name;
}

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_OPERATIONS_H_
