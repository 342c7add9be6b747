// The layout of each reply, said once for both directions, like that of the
// requests in proto/request_layout.h. An archive `a` has
//   Struct(T&)       a struct, in the size of the dialect
//   Whole(T&)        a struct that has one size
//   Rest(bytes&)     whatever follows
#ifndef BAREFUSE_PROTO_REPLY_LAYOUT_H_
#define BAREFUSE_PROTO_REPLY_LAYOUT_H_

#include "proto/dialect.h"
#include "proto/replies.h"

namespace barefuse::proto {

// How many bytes of `T` the other side expects. The structs without an overload
// of their own never changed.
template <class T>
constexpr size_t ReplySize(const Dialect&, const T&) {
  return sizeof(T);
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_entry_out&) {
  return d.EntryOutSize();
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_attr_out&) {
  return d.AttrOutSize();
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_statfs_out&) {
  return d.StatfsOutSize();
}
inline size_t ReplySize(const Dialect& d, const abi::fuse_init_out&) {
  return d.InitOutSize();
}

template <class A, class T>
void Layout(A& a, T& out) {
  a.Struct(out);
}
template <class A>
void Layout(A&, EmptyOut&) {}
template <class A>
void Layout(A& a, CreateOut& out) {
  if (out.tmpfile) {
    a.Whole(out.entry);
  } else {
    a.Struct(out.entry);
  }
  a.Struct(out.open);
}
template <class A>
void Layout(A& a, DataOut& out) {
  a.Rest(out.data);
}
template <class A>
void Layout(A& a, DirectoryOut& out) {
  a.Rest(out.records);
}
template <class A>
void Layout(A& a, DirectoryPlusOut& out) {
  a.Rest(out.records);
}
template <class A>
void Layout(A& a, IoctlOut& out) {
  a.template Struct<abi::fuse_ioctl_out>(out);
  a.Rest(out.data);
}
template <class A>
void Layout(A& a, CuseInitOut& out) {
  a.template Struct<abi::cuse_init_out>(out);
  a.Rest(out.info);
}

}  // namespace barefuse::proto

#endif  // BAREFUSE_PROTO_REPLY_LAYOUT_H_
