// The fields of each reply and notification, in the order of the wire, like
// those of the requests in proto/request_fields.h.
#ifndef BAREFUSE_PROTO_REPLY_FIELDS_H_
#define BAREFUSE_PROTO_REPLY_FIELDS_H_

#include <utility>

#include "kernel_abi/fuse.h"
#include "proto/directory.h"
#include "proto/flag_names.h"
#include "proto/notifications.h"
#include "proto/replies.h"
#include "proto/request_fields.h"

namespace barefuse::proto {

template <class V>
void Fields(V& v, const abi::fuse_attr& a) {
  v.Number("ino", a.ino);
  v.Octal("mode", a.mode);
  v.Number("nlink", a.nlink);
  v.Number("uid", a.uid);
  v.Number("gid", a.gid);
  v.Number("rdev", a.rdev);
  v.Number("size", a.size);
  v.Number("blocks", a.blocks);
  v.Timestamp("atime", static_cast<int64_t>(a.atime), a.atimensec);
  v.Timestamp("mtime", static_cast<int64_t>(a.mtime), a.mtimensec);
  v.Timestamp("ctime", static_cast<int64_t>(a.ctime), a.ctimensec);
  v.Flags("attr_flags", a.flags, kAttrFlags);
}
template <class V>
void Fields(V& v, const abi::fuse_entry_out& r) {
  v.Number("nodeid", r.nodeid);
  if (r.generation != 0) v.Number("generation", r.generation);
  v.Duration("entry_valid", r.entry_valid, r.entry_valid_nsec);
  v.Duration("attr_valid", r.attr_valid, r.attr_valid_nsec);
  if (r.nodeid != 0) Fields(v, r.attr);
}
template <class V>
void Fields(V& v, const abi::fuse_attr_out& r) {
  v.Duration("attr_valid", r.attr_valid, r.attr_valid_nsec);
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
  v.Duration("attr_valid", r.attr_valid, r.attr_valid_nsec);
  v.Hex("mask", r.stat.mask);
  v.Number("ino", r.stat.ino);
  v.Octal("mode", r.stat.mode);
  v.Number("nlink", r.stat.nlink);
  v.Number("uid", r.stat.uid);
  v.Number("gid", r.stat.gid);
  v.Number("size", r.stat.size);
  v.Number("blocks", r.stat.blocks);
  v.Timestamp("atime", r.stat.atime.tv_sec, r.stat.atime.tv_nsec);
  v.Timestamp("btime", r.stat.btime.tv_sec, r.stat.btime.tv_nsec);
  v.Timestamp("ctime", r.stat.ctime.tv_sec, r.stat.ctime.tv_nsec);
  v.Timestamp("mtime", r.stat.mtime.tv_sec, r.stat.mtime.tv_nsec);
}
template <class V>
void Fields(V& v, const abi::fuse_lk_out& r) {
  Fields(v, r.lk);
}
template <class V>
void Fields(V& v, const abi::fuse_bmap_out& r) {
  v.Number("block", r.block);
}
template <class V>
void Fields(V& v, const IoctlOut& r) {
  v.Signed("result", r.result);
  v.Flags("flags", r.flags, kIoctlFlags);
  if ((r.flags & abi::FUSE_IOCTL_RETRY) == 0) {
    v.Data("data", r.data);
    return;
  }
  v.Number("in_iovs", r.in_iovs);
  v.Number("out_iovs", r.out_iovs);
  v.List("iovs", r.iovecs().size(), [&](size_t i) {
    return std::pair<uint64_t, uint64_t>(r.iovecs()[i].base, r.iovecs()[i].len);
  });
}
template <class V>
void Fields(V& v, const abi::fuse_poll_out& r) {
  v.Hex("revents", r.revents);
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

template <class V>
void Fields(V&, const EmptyOut&) {}
template <class V>
void Fields(V& v, const DataOut& r) {
  v.Number("size", r.data.size());
  v.Data("data", r.data);
}
// The first and the last name tell where in the directory this is.
template <class V>
void DirectoryFields(V& v, DirectoryReader reader) {
  DirectoryEntry entry;
  DirectoryEntry first;
  uint64_t count = 0;
  while (reader.Next(&entry)) {
    if (count++ == 0) first = entry;
  }
  v.Number("entries", count);
  if (count == 0) return;
  v.Name("first", first.name);
  v.Name("last", entry.name);
  v.Number("next", entry.next);
}
template <class V>
void Fields(V& v, const DirectoryOut& r) {
  DirectoryFields(v, DirectoryReader(r.records));
}
template <class V>
void Fields(V& v, const DirectoryPlusOut& r) {
  DirectoryFields(v, DirectoryReader(r));
}
template <class V>
void Fields(V& v, const CuseInitOut& r) {
  v.Number("major", r.major);
  v.Number("minor", r.minor);
  v.Hex("flags", r.flags);
  v.Number("max_read", r.max_read);
  v.Number("max_write", r.max_write);
  v.Number("dev_major", r.dev_major);
  v.Number("dev_minor", r.dev_minor);
  v.Data("info", r.info);
}

// Notifications.
template <class V>
void Fields(V& v, const NotifyPoll& r) {
  v.Number("kh", r.kh);
}
template <class V>
void Fields(V& v, const NotifyInvalInode& r) {
  v.Number("ino", r.ino);
  v.Signed("off", r.off);
  v.Signed("len", r.len);
}
template <class V>
void Fields(V& v, const NotifyInvalEntry& r) {
  v.Number("parent", r.parent);
  v.Name("name", r.name);
  v.Flags("flags", r.flags, kInvalEntryFlags);
}
template <class V>
void Fields(V& v, const NotifyStore& r) {
  v.Number("nodeid", r.nodeid);
  v.Number("offset", r.offset);
  v.Number("size", r.data.size());
  v.Data("data", r.data);
}
template <class V>
void Fields(V& v, const NotifyRetrieve& r) {
  v.Number("notify_unique", r.notify_unique);
  v.Number("nodeid", r.nodeid);
  v.Number("offset", r.offset);
  v.Number("size", r.size);
}
template <class V>
void Fields(V& v, const NotifyDelete& r) {
  v.Number("parent", r.parent);
  v.Number("child", r.child);
  v.Name("name", r.name);
}
template <class V>
void Fields(V&, const NotifyResend&) {}
template <class V>
void Fields(V&, const NotifyIncEpoch&) {}
template <class V>
void Fields(V& v, const NotifyPrune& r) {
  v.Number("count", r.nodeids.size());
  v.List("nodeids", r.nodeids.size(),
         [&](size_t i) -> uint64_t { return r.nodeids[i]; });
}

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_REPLY_FIELDS_H_
