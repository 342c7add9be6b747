// The fields of each message, in the order of the wire, for whoever shows
// messages to a person. A visitor has:
//   Number(key, uint64_t)   Octal(key, uint32_t)       Name(key, string_view)
//   Signed(key, int64_t)    Flags(key, uint64_t, FlagNames)
//   Data(key, Bytes)        Time(key, seconds, nanoseconds)
#ifndef BAREFUSE_PROTO_FIELDS_H_
#define BAREFUSE_PROTO_FIELDS_H_

#include <span>
#include <string_view>

#include "kernel_abi/fuse.h"
#include "proto/encode_reply.h"
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
  if (r.valid & abi::FATTR_ATIME) v.Time("atime", r.atime, r.atimensec);
  if (r.valid & abi::FATTR_MTIME) v.Time("mtime", r.mtime, r.mtimensec);
  if (r.valid & abi::FATTR_CTIME) v.Time("ctime", r.ctime, r.ctimensec);
}
template <class V>
void Fields(V&, const Readlink&) {}
template <class V>
void Fields(V& v, const Symlink& r) {
  v.Name("name", r.name);
  v.Name("target", r.target);
}
template <class V>
void Fields(V& v, const Mknod& r) {
  v.Name("name", r.name);
  v.Octal("mode", r.mode);
  v.Number("rdev", r.rdev);
  v.Octal("umask", r.umask);
}
template <class V>
void Fields(V& v, const Mkdir& r) {
  v.Name("name", r.name);
  v.Octal("mode", r.mode);
  v.Octal("umask", r.umask);
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
  if (r.open_flags != 0) v.Number("open_flags", r.open_flags);
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
  v.Number("flags", r.flags);
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
void Fields(V& v, const abi::fuse_lk_in& r) {
  v.Number("fh", r.fh);
  v.Number("owner", r.owner);
  v.Number("type", r.lk.type);
  v.Number("start", r.lk.start);
  v.Number("end", r.lk.end);
  v.Number("lk_flags", r.lk_flags);
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
}
template <class V>
void Fields(V& v, const Tmpfile& r) {
  CreationFields(v, r);
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
  v.Number("cmd", r.cmd);
  v.Number("arg", r.arg);
  v.Number("in_size", r.in_size);
  v.Number("out_size", r.out_size);
  v.Number("flags", r.flags);
}
template <class V>
void Fields(V& v, const Poll& r) {
  v.Number("fh", r.fh);
  v.Number("kh", r.kh);
  v.Number("events", r.events);
  v.Number("flags", r.flags);
}
template <class V>
void Fields(V& v, const NotifyReply& r) {
  v.Number("offset", r.offset);
  v.Data("data", r.data);
}
template <class V>
void Fields(V& v, const BatchForget& r) {
  v.Number("count", r.count);
}
template <class V>
void Fields(V& v, const Fallocate& r) {
  v.Number("fh", r.fh);
  v.Number("offset", r.offset);
  v.Number("length", r.length);
  v.Number("mode", r.mode);
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
  v.Number("moffset", r.moffset);
}
template <class V>
void Fields(V& v, const Removemapping& r) {
  v.Number("count", r.count);
}
template <class V>
void Fields(V&, const Syncfs&) {}
template <class V>
void Fields(V& v, const Statx& r) {
  v.Flags("getattr_flags", r.getattr_flags, kGetattrFlags);
  if (r.getattr_flags & abi::FUSE_GETATTR_FH) v.Number("fh", r.fh);
  v.Number("sx_flags", r.sx_flags);
  v.Number("sx_mask", r.sx_mask);
}

// Replies.
template <class V>
void Fields(V& v, const abi::fuse_attr& a) {
  v.Number("ino", a.ino);
  v.Octal("mode", a.mode);
  v.Number("nlink", a.nlink);
  v.Number("uid", a.uid);
  v.Number("gid", a.gid);
  v.Number("size", a.size);
  v.Time("mtime", a.mtime, a.mtimensec);
}
template <class V>
void Fields(V& v, const abi::fuse_entry_out& r) {
  v.Number("nodeid", r.nodeid);
  if (r.generation != 0) v.Number("generation", r.generation);
  v.Time("entry_valid", r.entry_valid, r.entry_valid_nsec);
  v.Time("attr_valid", r.attr_valid, r.attr_valid_nsec);
  if (r.nodeid != 0) Fields(v, r.attr);
}
template <class V>
void Fields(V& v, const abi::fuse_attr_out& r) {
  v.Time("attr_valid", r.attr_valid, r.attr_valid_nsec);
  Fields(v, r.attr);
}
template <class V>
void Fields(V& v, const abi::fuse_open_out& r) {
  v.Number("fh", r.fh);
  v.Flags("open_flags", r.open_flags, kOpenOutFlags);
  if (r.open_flags & abi::FOPEN_PASSTHROUGH) {
    v.Signed("backing_id", r.backing_id);
  }
}
template <class V>
void Fields(V& v, const CreateOut& r) {
  Fields(v, r.entry);
  Fields(v, r.open);
}
template <class V>
void Fields(V& v, const abi::fuse_init_out& r) {
  v.Number("major", r.major);
  v.Number("minor", r.minor);
  v.Number("max_readahead", r.max_readahead);
  v.Number("max_write", r.max_write);
  v.Number("max_background", r.max_background);
  v.Number("congestion_threshold", r.congestion_threshold);
  v.Number("time_gran", r.time_gran);
  v.Number("max_pages", r.max_pages);
  v.Number("max_stack_depth", r.max_stack_depth);
  v.Number("request_timeout", r.request_timeout);
  v.Capabilities("flags", r.flags | uint64_t{r.flags2} << 32);
}
template <class V>
void Fields(V& v, const abi::fuse_write_out& r) {
  v.Number("size", r.size);
}
template <class V>
void Fields(V& v, const abi::fuse_statfs_out& r) {
  v.Number("blocks", r.st.blocks);
  v.Number("bfree", r.st.bfree);
  v.Number("bavail", r.st.bavail);
  v.Number("files", r.st.files);
  v.Number("ffree", r.st.ffree);
  v.Number("frsize", r.st.frsize);
}
template <class V>
void Fields(V& v, const abi::fuse_statx_out& r) {
  v.Time("attr_valid", r.attr_valid, r.attr_valid_nsec);
  v.Number("mask", r.stat.mask);
  v.Number("ino", r.stat.ino);
  v.Octal("mode", r.stat.mode);
  v.Number("size", r.stat.size);
}
template <class V>
void Fields(V& v, const abi::fuse_lk_out& r) {
  v.Number("type", r.lk.type);
  v.Number("start", r.lk.start);
  v.Number("end", r.lk.end);
  v.Number("pid", r.lk.pid);
}
template <class V>
void Fields(V& v, const abi::fuse_bmap_out& r) {
  v.Number("block", r.block);
}
template <class V>
void Fields(V& v, const abi::fuse_ioctl_out& r) {
  v.Signed("result", r.result);
  v.Number("flags", r.flags);
}
template <class V>
void Fields(V& v, const abi::fuse_poll_out& r) {
  v.Number("revents", r.revents);
}
template <class V>
void Fields(V& v, const abi::fuse_lseek_out& r) {
  v.Number("offset", r.offset);
}
template <class V>
void Fields(V& v, const abi::fuse_copy_file_range_out& r) {
  v.Number("bytes_copied", r.bytes_copied);
}
template <class V>
void Fields(V& v, const abi::fuse_getxattr_out& r) {
  v.Number("size", r.size);
}

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_FIELDS_H_
