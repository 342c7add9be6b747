// The fields of each request, in the order of the wire, for whoever shows
// messages to a person. A visitor has:
//   Number(key, uint64_t)   Signed(key, int64_t)
//   Octal(key, uint32_t)    Hex(key, uint64_t)
//   Name(key, string_view)  Data(key, Bytes)
//   Flags(key, uint64_t, FlagNames)
//   Capabilities(key, uint64_t)
//   Duration(key, seconds, nanoseconds)
//   Timestamp(key, seconds, nanoseconds)
//   List(key, size, item(i))
//   Contexts(key, Extensions)
#ifndef BAREFUSE_PROTO_REQUEST_FIELDS_H_
#define BAREFUSE_PROTO_REQUEST_FIELDS_H_

#include <span>
#include <string_view>
#include <utility>

#include "kernel_abi/fuse.h"
#include "proto/extensions.h"
#include "proto/flag_names.h"
#include "proto/requests.h"

namespace barefuse::proto {

template <class V>
void Fields(V& v, const Lookup& r) {
  v.Name("name", r.name);
}
template <class V>
void Fields(V& v, const Forget& r) {
  v.Number("nlookup", r.nlookup);
}
template <class V>
void Fields(V& v, const Getattr& r) {
  v.Flags("flags", r.getattr_flags, kGetattrFlags);
  if (r.getattr_flags & abi::FUSE_GETATTR_FH) v.Number("fh", r.fh);
}
template <class V>
void Fields(V& v, const Setattr& r) {
  v.Flags("valid", r.valid, kSetattrFlags);
  if (r.valid & abi::FATTR_FH) v.Number("fh", r.fh);
  if (r.valid & abi::FATTR_MODE) v.Octal("mode", r.mode);
  if (r.valid & abi::FATTR_UID) v.Number("uid", r.uid);
  if (r.valid & abi::FATTR_GID) v.Number("gid", r.gid);
  if (r.valid & abi::FATTR_SIZE) v.Number("size", r.size);
  if (r.valid & abi::FATTR_ATIME)
    v.Timestamp("atime", static_cast<int64_t>(r.atime), r.atimensec);
  if (r.valid & abi::FATTR_MTIME)
    v.Timestamp("mtime", static_cast<int64_t>(r.mtime), r.mtimensec);
  if (r.valid & abi::FATTR_CTIME)
    v.Timestamp("ctime", static_cast<int64_t>(r.ctime), r.ctimensec);
}
template <class V>
void Fields(V&, const Readlink&) {}
template <class V>
void Fields(V& v, const Extensions& extensions) {
  if (extensions.bytes.empty()) return;
  v.Contexts("secctx", extensions);
  ExtensionReader reader(extensions);
  while (reader.Next()) {
    if (reader.kind() != ExtensionReader::Kind::kGroups) continue;
    v.List("groups", reader.groups().size(),
           [&](size_t i) -> uint64_t { return reader.groups()[i]; });
    return;
  }
}
template <class V>
void Fields(V& v, const Symlink& r) {
  v.Name("name", r.name);
  v.Name("target", r.target);
  Fields(v, r.extensions);
}
template <class V>
void Fields(V& v, const Mknod& r) {
  v.Name("name", r.name);
  v.Octal("mode", r.mode);
  v.Number("rdev", r.rdev);
  v.Octal("umask", r.umask);
  Fields(v, r.extensions);
}
template <class V>
void Fields(V& v, const Mkdir& r) {
  v.Name("name", r.name);
  v.Octal("mode", r.mode);
  v.Octal("umask", r.umask);
  Fields(v, r.extensions);
}
template <class V>
void Fields(V& v, const Unlink& r) {
  v.Name("name", r.name);
}
template <class V>
void Fields(V& v, const Rmdir& r) {
  v.Name("name", r.name);
}
template <class V>
void Fields(V& v, const Rename& r) {
  v.Name("old", r.old_name);
  v.Number("newdir", r.newdir);
  v.Name("new", r.new_name);
}
template <class V>
void Fields(V& v, const Rename2& r) {
  v.Name("old", r.old_name);
  v.Number("newdir", r.newdir);
  v.Name("new", r.new_name);
  v.Flags("flags", r.flags, kRenameFlags);
}
template <class V>
void Fields(V& v, const Link& r) {
  v.Number("oldnodeid", r.oldnodeid);
  v.Name("name", r.name);
}
template <class V>
void Fields(V& v, const abi::fuse_open_in& r) {
  v.Flags("flags", r.flags, kOpenFlags);
  v.Flags("open_flags", r.open_flags, kOpenInFlags);
}
template <class V>
void Fields(V& v, const abi::fuse_read_in& r) {
  v.Number("fh", r.fh);
  v.Number("offset", r.offset);
  v.Number("size", r.size);
}
template <class V>
void Fields(V& v, const Write& r) {
  v.Number("fh", r.fh);
  v.Number("offset", r.offset);
  v.Number("size", r.size);
  v.Flags("flags", r.write_flags, kWriteFlags);
  v.Data("data", r.data);
}
template <class V>
void Fields(V&, const Statfs&) {}
template <class V>
void Fields(V& v, const abi::fuse_release_in& r) {
  v.Number("fh", r.fh);
  v.Flags("flags", r.flags, kOpenFlags);
  v.Flags("release", r.release_flags, kReleaseFlags);
}
template <class V>
void Fields(V& v, const abi::fuse_fsync_in& r) {
  v.Number("fh", r.fh);
  v.Flags("flags", r.fsync_flags, kFsyncFlags);
}
template <class V>
void Fields(V& v, const Setxattr& r) {
  v.Name("name", r.name);
  v.Data("value", r.value);
  v.Flags("flags", r.flags, kSetxattrFlags);
  v.Flags("setxattr_flags", r.setxattr_flags, kSetxattrExtFlags);
}
template <class V>
void Fields(V& v, const Getxattr& r) {
  v.Name("name", r.name);
  v.Number("size", r.size);
}
template <class V>
void Fields(V& v, const Listxattr& r) {
  v.Number("size", r.size);
}
template <class V>
void Fields(V& v, const Removexattr& r) {
  v.Name("name", r.name);
}
template <class V>
void Fields(V& v, const Flush& r) {
  v.Number("fh", r.fh);
}
template <class V>
void Fields(V& v, const abi::fuse_init_in& r) {
  v.Number("major", r.major);
  v.Number("minor", r.minor);
  v.Number("max_readahead", r.max_readahead);
  v.Capabilities("flags", r.flags | uint64_t{r.flags2} << 32);
}
template <class V>
void Fields(V& v, const abi::cuse_init_in& r) {
  v.Number("major", r.major);
  v.Number("minor", r.minor);
  v.Number("flags", r.flags);
}
template <class V>
void Fields(V& v, const abi::fuse_file_lock& r) {
  v.Name("type", LockTypeName(r.type));
  v.Number("start", r.start);
  v.Number("end", r.end);
  v.Number("pid", r.pid);
}
template <class V>
void Fields(V& v, const abi::fuse_lk_in& r) {
  v.Number("fh", r.fh);
  v.Number("owner", r.owner);
  Fields(v, r.lk);
  v.Flags("lk_flags", r.lk_flags, kLockFlags);
}
template <class V>
void Fields(V& v, const Access& r) {
  v.Octal("mask", r.mask);
}
template <class V>
void CreationFields(V& v, const abi::fuse_create_in& r) {
  v.Flags("flags", r.flags, kOpenFlags);
  v.Octal("mode", r.mode);
  v.Octal("umask", r.umask);
}
template <class V>
void Fields(V& v, const Create& r) {
  v.Name("name", r.name);
  CreationFields(v, r);
  Fields(v, r.extensions);
}
template <class V>
void Fields(V& v, const Tmpfile& r) {
  CreationFields(v, r);
  Fields(v, r.extensions);
}
template <class V>
void Fields(V& v, const Interrupt& r) {
  v.Number("victim", r.victim);
}
template <class V>
void Fields(V& v, const Bmap& r) {
  v.Number("block", r.block);
  v.Number("blocksize", r.blocksize);
}
template <class V>
void Fields(V&, const Destroy&) {}
template <class V>
void Fields(V& v, const Ioctl& r) {
  v.Number("fh", r.fh);
  v.Hex("cmd", r.cmd);
  v.Hex("arg", r.arg);
  v.Number("out_size", r.out_size);
  v.Flags("flags", r.flags, kIoctlFlags);
  v.Data("data", r.data);
}
template <class V>
void Fields(V& v, const Poll& r) {
  v.Number("fh", r.fh);
  v.Number("kh", r.kh);
  v.Hex("events", r.events);
  v.Flags("flags", r.flags, kPollFlags);
}
template <class V>
void Fields(V& v, const NotifyReply& r) {
  v.Number("offset", r.offset);
  v.Data("data", r.data);
}
template <class V>
void Fields(V& v, const BatchForget& r) {
  v.Number("count", r.count);
  v.List("items", r.items.size(), [&](size_t i) {
    return std::pair<uint64_t, uint64_t>(r.items[i].nodeid, r.items[i].nlookup);
  });
}
template <class V>
void Fields(V& v, const Fallocate& r) {
  v.Number("fh", r.fh);
  v.Number("offset", r.offset);
  v.Number("length", r.length);
  v.Hex("mode", r.mode);
}
template <class V>
void Fields(V& v, const Lseek& r) {
  v.Number("fh", r.fh);
  v.Signed("offset", static_cast<int64_t>(r.offset));
  v.Number("whence", r.whence);
}
template <class V>
void Fields(V& v, const abi::fuse_copy_file_range_in& r) {
  v.Number("fh_in", r.fh_in);
  v.Number("off_in", r.off_in);
  v.Number("nodeid_out", r.nodeid_out);
  v.Number("fh_out", r.fh_out);
  v.Number("off_out", r.off_out);
  v.Number("len", r.len);
}
template <class V>
void Fields(V& v, const Setupmapping& r) {
  v.Number("fh", r.fh);
  v.Number("foffset", r.foffset);
  v.Number("len", r.len);
  v.Flags("flags", r.flags, kMappingFlags);
  v.Number("moffset", r.moffset);
}
template <class V>
void Fields(V& v, const Removemapping& r) {
  v.Number("count", r.count);
  v.List("items", r.items.size(), [&](size_t i) {
    return std::pair<uint64_t, uint64_t>(r.items[i].moffset, r.items[i].len);
  });
}
template <class V>
void Fields(V&, const Syncfs&) {}
template <class V>
void Fields(V& v, const Statx& r) {
  v.Flags("getattr_flags", r.getattr_flags, kGetattrFlags);
  if (r.getattr_flags & abi::FUSE_GETATTR_FH) v.Number("fh", r.fh);
  v.Hex("sx_flags", r.sx_flags);
  v.Hex("sx_mask", r.sx_mask);
}

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_REQUEST_FIELDS_H_
