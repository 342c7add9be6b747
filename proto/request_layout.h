// The layout of each request, said once for both directions: a reader fills the
// struct from bytes, a writer makes the bytes. An operation without an overload
// does not compile.
//
// An archive `a` has
//   Fixed(T&)        the fixed struct
//   Init(T&)         that of INIT, which has three sizes
//   Name(view&)      a name: not empty, no slash
//   Attribute(view&) the name of an extended attribute: not empty
//   Text(view&)      any string without NUL
//   Data(bytes&, size&), Array(array&, count&)
//                    what the fixed struct counts
//   Extensions(x&)   what the header counts
#ifndef BAREFUSE_PROTO_REQUEST_LAYOUT_H_
#define BAREFUSE_PROTO_REQUEST_LAYOUT_H_

#include <concepts>

#include "proto/requests.h"

namespace barefuse::proto {

// What `Op` inherits as its fixed struct, and nothing follows.
template <class Op, class Struct>
concept OnlyFixed = std::derived_from<Op, Struct> &&
                    sizeof(Op) == sizeof(Struct);

template <class A>
void Layout(A& a, Lookup& op) {
  a.Name(op.name);
}
template <class A>
void Layout(A& a, Unlink& op) {
  a.Name(op.name);
}
template <class A>
void Layout(A& a, Rmdir& op) {
  a.Name(op.name);
}
template <class A>
void Layout(A& a, Removexattr& op) {
  a.Attribute(op.name);
}
template <class A>
void Layout(A&, Readlink&) {}
template <class A>
void Layout(A&, Statfs&) {}
template <class A>
void Layout(A&, Destroy&) {}
template <class A>
void Layout(A& a, Symlink& op) {
  a.Name(op.name);
  a.Text(op.target);
  a.Extensions(op.extensions);
}
template <class A>
void Layout(A& a, Mknod& op) {
  a.template Fixed<abi::fuse_mknod_in>(op);
  a.Name(op.name);
  a.Extensions(op.extensions);
}
template <class A>
void Layout(A& a, Mkdir& op) {
  a.template Fixed<abi::fuse_mkdir_in>(op);
  a.Name(op.name);
  a.Extensions(op.extensions);
}
template <class A>
void Layout(A& a, Create& op) {
  a.template Fixed<abi::fuse_create_in>(op);
  a.Name(op.name);
  a.Extensions(op.extensions);
}
template <class A>
void Layout(A& a, Tmpfile& op) {
  a.template Fixed<abi::fuse_create_in>(op);
  a.Text(op.name);  // the kernel sends "/"
  a.Extensions(op.extensions);
}
template <class A>
void Layout(A& a, Rename& op) {
  a.template Fixed<abi::fuse_rename_in>(op);
  a.Name(op.old_name);
  a.Name(op.new_name);
}
template <class A>
void Layout(A& a, Rename2& op) {
  a.template Fixed<abi::fuse_rename2_in>(op);
  a.Name(op.old_name);
  a.Name(op.new_name);
}
template <class A>
void Layout(A& a, Link& op) {
  a.template Fixed<abi::fuse_link_in>(op);
  a.Name(op.name);
}
template <class A>
void Layout(A& a, Write& op) {
  a.template Fixed<abi::fuse_write_in>(op);
  a.Data(op.data, op.size);
}
template <class A>
void Layout(A& a, Setxattr& op) {
  a.template Fixed<abi::fuse_setxattr_in>(op);
  a.Attribute(op.name);
  a.Data(op.value, op.size);
}
template <class A>
void Layout(A& a, Getxattr& op) {
  a.template Fixed<abi::fuse_getxattr_in>(op);
  a.Attribute(op.name);
}
template <class A>
void Layout(A& a, Init& op) {
  a.Init(op);
}
template <class A>
void Layout(A& a, Interrupt& op) {
  abi::fuse_interrupt_in in{op.victim};
  a.Fixed(in);
  op.victim = in.unique;
}
template <class A>
void Layout(A& a, Ioctl& op) {
  a.template Fixed<abi::fuse_ioctl_in>(op);
  a.Data(op.data, op.in_size);
}
template <class A>
void Layout(A& a, NotifyReply& op) {
  a.template Fixed<abi::fuse_notify_retrieve_in>(op);
  a.Data(op.data, op.size);
}
template <class A>
void Layout(A& a, BatchForget& op) {
  a.template Fixed<abi::fuse_batch_forget_in>(op);
  a.Array(op.items, op.count);
}
template <class A>
void Layout(A& a, Removemapping& op) {
  a.template Fixed<abi::fuse_removemapping_in>(op);
  a.Array(op.items, op.count);
}

// Requests that are their fixed struct.
#define BAREFUSE_FIXED_LAYOUT(Struct)      \
  template <class A, OnlyFixed<Struct> Op> \
  void Layout(A& a, Op& op) {              \
    a.template Fixed<Struct>(op);          \
  }
BAREFUSE_FIXED_LAYOUT(abi::fuse_forget_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_getattr_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_setattr_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_open_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_read_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_release_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_fsync_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_getxattr_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_flush_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_lk_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_access_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_bmap_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_poll_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_fallocate_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_lseek_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_copy_file_range_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_setupmapping_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_syncfs_in)
BAREFUSE_FIXED_LAYOUT(abi::fuse_statx_in)
BAREFUSE_FIXED_LAYOUT(abi::cuse_init_in)
#undef BAREFUSE_FIXED_LAYOUT

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_REQUEST_LAYOUT_H_
