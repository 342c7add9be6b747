// Holds the structs to the wire at compile time: every size, every offset, and
// where the shorter structs of older versions end.
#ifndef BAREFUSE_KERNEL_ABI_LAYOUT_ASSERTS_H_
#define BAREFUSE_KERNEL_ABI_LAYOUT_ASSERTS_H_

#include <type_traits>

#include "kernel_abi/attributes.h"
#include "kernel_abi/device.h"
#include "kernel_abi/replies.h"
#include "kernel_abi/requests.h"
#include "kernel_abi/uring.h"

namespace barefuse::abi {

#define BAREFUSE_SIZE(type, size)                                            \
  static_assert(sizeof(type) == (size), "size of " #type);                   \
  static_assert(                                                             \
      std::is_trivially_copyable_v<type> && std::is_standard_layout_v<type>, \
      #type " must be plain bytes")
#define BAREFUSE_FIELD(type, field, offset)        \
  static_assert(offsetof(type, field) == (offset), \
                "offset of " #type "." #field)

BAREFUSE_SIZE(fuse_attr, 88);
BAREFUSE_FIELD(fuse_attr, ino, 0);
BAREFUSE_FIELD(fuse_attr, size, 8);
BAREFUSE_FIELD(fuse_attr, blocks, 16);
BAREFUSE_FIELD(fuse_attr, atime, 24);
BAREFUSE_FIELD(fuse_attr, mtime, 32);
BAREFUSE_FIELD(fuse_attr, ctime, 40);
BAREFUSE_FIELD(fuse_attr, atimensec, 48);
BAREFUSE_FIELD(fuse_attr, mtimensec, 52);
BAREFUSE_FIELD(fuse_attr, ctimensec, 56);
BAREFUSE_FIELD(fuse_attr, mode, 60);
BAREFUSE_FIELD(fuse_attr, nlink, 64);
BAREFUSE_FIELD(fuse_attr, uid, 68);
BAREFUSE_FIELD(fuse_attr, gid, 72);
BAREFUSE_FIELD(fuse_attr, rdev, 76);
BAREFUSE_FIELD(fuse_attr, blksize, 80);
BAREFUSE_FIELD(fuse_attr, flags, 84);

BAREFUSE_SIZE(fuse_sx_time, 16);
BAREFUSE_FIELD(fuse_sx_time, tv_sec, 0);
BAREFUSE_FIELD(fuse_sx_time, tv_nsec, 8);
BAREFUSE_FIELD(fuse_sx_time, __reserved, 12);

BAREFUSE_SIZE(fuse_statx, 256);
BAREFUSE_FIELD(fuse_statx, mask, 0);
BAREFUSE_FIELD(fuse_statx, blksize, 4);
BAREFUSE_FIELD(fuse_statx, attributes, 8);
BAREFUSE_FIELD(fuse_statx, nlink, 16);
BAREFUSE_FIELD(fuse_statx, uid, 20);
BAREFUSE_FIELD(fuse_statx, gid, 24);
BAREFUSE_FIELD(fuse_statx, mode, 28);
BAREFUSE_FIELD(fuse_statx, __spare0, 30);
BAREFUSE_FIELD(fuse_statx, ino, 32);
BAREFUSE_FIELD(fuse_statx, size, 40);
BAREFUSE_FIELD(fuse_statx, blocks, 48);
BAREFUSE_FIELD(fuse_statx, attributes_mask, 56);
BAREFUSE_FIELD(fuse_statx, atime, 64);
BAREFUSE_FIELD(fuse_statx, btime, 80);
BAREFUSE_FIELD(fuse_statx, ctime, 96);
BAREFUSE_FIELD(fuse_statx, mtime, 112);
BAREFUSE_FIELD(fuse_statx, rdev_major, 128);
BAREFUSE_FIELD(fuse_statx, rdev_minor, 132);
BAREFUSE_FIELD(fuse_statx, dev_major, 136);
BAREFUSE_FIELD(fuse_statx, dev_minor, 140);
BAREFUSE_FIELD(fuse_statx, __spare2, 144);

BAREFUSE_SIZE(fuse_kstatfs, 80);
BAREFUSE_FIELD(fuse_kstatfs, blocks, 0);
BAREFUSE_FIELD(fuse_kstatfs, bfree, 8);
BAREFUSE_FIELD(fuse_kstatfs, bavail, 16);
BAREFUSE_FIELD(fuse_kstatfs, files, 24);
BAREFUSE_FIELD(fuse_kstatfs, ffree, 32);
BAREFUSE_FIELD(fuse_kstatfs, bsize, 40);
BAREFUSE_FIELD(fuse_kstatfs, namelen, 44);
BAREFUSE_FIELD(fuse_kstatfs, frsize, 48);
BAREFUSE_FIELD(fuse_kstatfs, padding, 52);
BAREFUSE_FIELD(fuse_kstatfs, spare, 56);

BAREFUSE_SIZE(fuse_file_lock, 24);
BAREFUSE_FIELD(fuse_file_lock, start, 0);
BAREFUSE_FIELD(fuse_file_lock, end, 8);
BAREFUSE_FIELD(fuse_file_lock, type, 16);
BAREFUSE_FIELD(fuse_file_lock, pid, 20);

BAREFUSE_SIZE(fuse_entry_out, 128);
BAREFUSE_FIELD(fuse_entry_out, nodeid, 0);
BAREFUSE_FIELD(fuse_entry_out, generation, 8);
BAREFUSE_FIELD(fuse_entry_out, entry_valid, 16);
BAREFUSE_FIELD(fuse_entry_out, attr_valid, 24);
BAREFUSE_FIELD(fuse_entry_out, entry_valid_nsec, 32);
BAREFUSE_FIELD(fuse_entry_out, attr_valid_nsec, 36);
BAREFUSE_FIELD(fuse_entry_out, attr, 40);

BAREFUSE_SIZE(fuse_forget_in, 8);
BAREFUSE_FIELD(fuse_forget_in, nlookup, 0);

BAREFUSE_SIZE(fuse_forget_one, 16);
BAREFUSE_FIELD(fuse_forget_one, nodeid, 0);
BAREFUSE_FIELD(fuse_forget_one, nlookup, 8);

BAREFUSE_SIZE(fuse_batch_forget_in, 8);
BAREFUSE_FIELD(fuse_batch_forget_in, count, 0);
BAREFUSE_FIELD(fuse_batch_forget_in, dummy, 4);

BAREFUSE_SIZE(fuse_getattr_in, 16);
BAREFUSE_FIELD(fuse_getattr_in, getattr_flags, 0);
BAREFUSE_FIELD(fuse_getattr_in, dummy, 4);
BAREFUSE_FIELD(fuse_getattr_in, fh, 8);

BAREFUSE_SIZE(fuse_attr_out, 104);
BAREFUSE_FIELD(fuse_attr_out, attr_valid, 0);
BAREFUSE_FIELD(fuse_attr_out, attr_valid_nsec, 8);
BAREFUSE_FIELD(fuse_attr_out, dummy, 12);
BAREFUSE_FIELD(fuse_attr_out, attr, 16);

BAREFUSE_SIZE(fuse_statx_in, 24);
BAREFUSE_FIELD(fuse_statx_in, getattr_flags, 0);
BAREFUSE_FIELD(fuse_statx_in, reserved, 4);
BAREFUSE_FIELD(fuse_statx_in, fh, 8);
BAREFUSE_FIELD(fuse_statx_in, sx_flags, 16);
BAREFUSE_FIELD(fuse_statx_in, sx_mask, 20);

BAREFUSE_SIZE(fuse_statx_out, 288);
BAREFUSE_FIELD(fuse_statx_out, attr_valid, 0);
BAREFUSE_FIELD(fuse_statx_out, attr_valid_nsec, 8);
BAREFUSE_FIELD(fuse_statx_out, flags, 12);
BAREFUSE_FIELD(fuse_statx_out, spare, 16);
BAREFUSE_FIELD(fuse_statx_out, stat, 32);

BAREFUSE_SIZE(fuse_mknod_in, 16);
BAREFUSE_FIELD(fuse_mknod_in, mode, 0);
BAREFUSE_FIELD(fuse_mknod_in, rdev, 4);
BAREFUSE_FIELD(fuse_mknod_in, umask, 8);
BAREFUSE_FIELD(fuse_mknod_in, padding, 12);

BAREFUSE_SIZE(fuse_mkdir_in, 8);
BAREFUSE_FIELD(fuse_mkdir_in, mode, 0);
BAREFUSE_FIELD(fuse_mkdir_in, umask, 4);

BAREFUSE_SIZE(fuse_rename_in, 8);
BAREFUSE_FIELD(fuse_rename_in, newdir, 0);

BAREFUSE_SIZE(fuse_rename2_in, 16);
BAREFUSE_FIELD(fuse_rename2_in, newdir, 0);
BAREFUSE_FIELD(fuse_rename2_in, flags, 8);
BAREFUSE_FIELD(fuse_rename2_in, padding, 12);

BAREFUSE_SIZE(fuse_link_in, 8);
BAREFUSE_FIELD(fuse_link_in, oldnodeid, 0);

BAREFUSE_SIZE(fuse_setattr_in, 88);
BAREFUSE_FIELD(fuse_setattr_in, valid, 0);
BAREFUSE_FIELD(fuse_setattr_in, padding, 4);
BAREFUSE_FIELD(fuse_setattr_in, fh, 8);
BAREFUSE_FIELD(fuse_setattr_in, size, 16);
BAREFUSE_FIELD(fuse_setattr_in, lock_owner, 24);
BAREFUSE_FIELD(fuse_setattr_in, atime, 32);
BAREFUSE_FIELD(fuse_setattr_in, mtime, 40);
BAREFUSE_FIELD(fuse_setattr_in, ctime, 48);
BAREFUSE_FIELD(fuse_setattr_in, atimensec, 56);
BAREFUSE_FIELD(fuse_setattr_in, mtimensec, 60);
BAREFUSE_FIELD(fuse_setattr_in, ctimensec, 64);
BAREFUSE_FIELD(fuse_setattr_in, mode, 68);
BAREFUSE_FIELD(fuse_setattr_in, unused4, 72);
BAREFUSE_FIELD(fuse_setattr_in, uid, 76);
BAREFUSE_FIELD(fuse_setattr_in, gid, 80);
BAREFUSE_FIELD(fuse_setattr_in, unused5, 84);

BAREFUSE_SIZE(fuse_open_in, 8);
BAREFUSE_FIELD(fuse_open_in, flags, 0);
BAREFUSE_FIELD(fuse_open_in, open_flags, 4);

BAREFUSE_SIZE(fuse_create_in, 16);
BAREFUSE_FIELD(fuse_create_in, flags, 0);
BAREFUSE_FIELD(fuse_create_in, mode, 4);
BAREFUSE_FIELD(fuse_create_in, umask, 8);
BAREFUSE_FIELD(fuse_create_in, open_flags, 12);

BAREFUSE_SIZE(fuse_open_out, 16);
BAREFUSE_FIELD(fuse_open_out, fh, 0);
BAREFUSE_FIELD(fuse_open_out, open_flags, 8);
BAREFUSE_FIELD(fuse_open_out, backing_id, 12);

BAREFUSE_SIZE(fuse_release_in, 24);
BAREFUSE_FIELD(fuse_release_in, fh, 0);
BAREFUSE_FIELD(fuse_release_in, flags, 8);
BAREFUSE_FIELD(fuse_release_in, release_flags, 12);
BAREFUSE_FIELD(fuse_release_in, lock_owner, 16);

BAREFUSE_SIZE(fuse_flush_in, 24);
BAREFUSE_FIELD(fuse_flush_in, fh, 0);
BAREFUSE_FIELD(fuse_flush_in, unused, 8);
BAREFUSE_FIELD(fuse_flush_in, padding, 12);
BAREFUSE_FIELD(fuse_flush_in, lock_owner, 16);

BAREFUSE_SIZE(fuse_read_in, 40);
BAREFUSE_FIELD(fuse_read_in, fh, 0);
BAREFUSE_FIELD(fuse_read_in, offset, 8);
BAREFUSE_FIELD(fuse_read_in, size, 16);
BAREFUSE_FIELD(fuse_read_in, read_flags, 20);
BAREFUSE_FIELD(fuse_read_in, lock_owner, 24);
BAREFUSE_FIELD(fuse_read_in, flags, 32);
BAREFUSE_FIELD(fuse_read_in, padding, 36);

BAREFUSE_SIZE(fuse_write_in, 40);
BAREFUSE_FIELD(fuse_write_in, fh, 0);
BAREFUSE_FIELD(fuse_write_in, offset, 8);
BAREFUSE_FIELD(fuse_write_in, size, 16);
BAREFUSE_FIELD(fuse_write_in, write_flags, 20);
BAREFUSE_FIELD(fuse_write_in, lock_owner, 24);
BAREFUSE_FIELD(fuse_write_in, flags, 32);
BAREFUSE_FIELD(fuse_write_in, padding, 36);

BAREFUSE_SIZE(fuse_write_out, 8);
BAREFUSE_FIELD(fuse_write_out, size, 0);
BAREFUSE_FIELD(fuse_write_out, padding, 4);

BAREFUSE_SIZE(fuse_statfs_out, 80);
BAREFUSE_FIELD(fuse_statfs_out, st, 0);

BAREFUSE_SIZE(fuse_fsync_in, 16);
BAREFUSE_FIELD(fuse_fsync_in, fh, 0);
BAREFUSE_FIELD(fuse_fsync_in, fsync_flags, 8);
BAREFUSE_FIELD(fuse_fsync_in, padding, 12);

BAREFUSE_SIZE(fuse_setxattr_in, 16);
BAREFUSE_FIELD(fuse_setxattr_in, size, 0);
BAREFUSE_FIELD(fuse_setxattr_in, flags, 4);
BAREFUSE_FIELD(fuse_setxattr_in, setxattr_flags, 8);
BAREFUSE_FIELD(fuse_setxattr_in, padding, 12);

BAREFUSE_SIZE(fuse_getxattr_in, 8);
BAREFUSE_FIELD(fuse_getxattr_in, size, 0);
BAREFUSE_FIELD(fuse_getxattr_in, padding, 4);

BAREFUSE_SIZE(fuse_getxattr_out, 8);
BAREFUSE_FIELD(fuse_getxattr_out, size, 0);
BAREFUSE_FIELD(fuse_getxattr_out, padding, 4);

BAREFUSE_SIZE(fuse_lk_in, 48);
BAREFUSE_FIELD(fuse_lk_in, fh, 0);
BAREFUSE_FIELD(fuse_lk_in, owner, 8);
BAREFUSE_FIELD(fuse_lk_in, lk, 16);
BAREFUSE_FIELD(fuse_lk_in, lk_flags, 40);
BAREFUSE_FIELD(fuse_lk_in, padding, 44);

BAREFUSE_SIZE(fuse_lk_out, 24);
BAREFUSE_FIELD(fuse_lk_out, lk, 0);

BAREFUSE_SIZE(fuse_access_in, 8);
BAREFUSE_FIELD(fuse_access_in, mask, 0);
BAREFUSE_FIELD(fuse_access_in, padding, 4);

BAREFUSE_SIZE(fuse_init_in, 64);
BAREFUSE_FIELD(fuse_init_in, major, 0);
BAREFUSE_FIELD(fuse_init_in, minor, 4);
BAREFUSE_FIELD(fuse_init_in, max_readahead, 8);
BAREFUSE_FIELD(fuse_init_in, flags, 12);
BAREFUSE_FIELD(fuse_init_in, flags2, 16);
BAREFUSE_FIELD(fuse_init_in, unused, 20);

BAREFUSE_SIZE(fuse_init_out, 64);
BAREFUSE_FIELD(fuse_init_out, major, 0);
BAREFUSE_FIELD(fuse_init_out, minor, 4);
BAREFUSE_FIELD(fuse_init_out, max_readahead, 8);
BAREFUSE_FIELD(fuse_init_out, flags, 12);
BAREFUSE_FIELD(fuse_init_out, max_background, 16);
BAREFUSE_FIELD(fuse_init_out, congestion_threshold, 18);
BAREFUSE_FIELD(fuse_init_out, max_write, 20);
BAREFUSE_FIELD(fuse_init_out, time_gran, 24);
BAREFUSE_FIELD(fuse_init_out, max_pages, 28);
BAREFUSE_FIELD(fuse_init_out, map_alignment, 30);
BAREFUSE_FIELD(fuse_init_out, flags2, 32);
BAREFUSE_FIELD(fuse_init_out, max_stack_depth, 36);
BAREFUSE_FIELD(fuse_init_out, request_timeout, 40);
BAREFUSE_FIELD(fuse_init_out, unused, 42);

BAREFUSE_SIZE(cuse_init_in, 16);
BAREFUSE_FIELD(cuse_init_in, major, 0);
BAREFUSE_FIELD(cuse_init_in, minor, 4);
BAREFUSE_FIELD(cuse_init_in, unused, 8);
BAREFUSE_FIELD(cuse_init_in, flags, 12);

BAREFUSE_SIZE(cuse_init_out, 72);
BAREFUSE_FIELD(cuse_init_out, major, 0);
BAREFUSE_FIELD(cuse_init_out, minor, 4);
BAREFUSE_FIELD(cuse_init_out, unused, 8);
BAREFUSE_FIELD(cuse_init_out, flags, 12);
BAREFUSE_FIELD(cuse_init_out, max_read, 16);
BAREFUSE_FIELD(cuse_init_out, max_write, 20);
BAREFUSE_FIELD(cuse_init_out, dev_major, 24);
BAREFUSE_FIELD(cuse_init_out, dev_minor, 28);
BAREFUSE_FIELD(cuse_init_out, spare, 32);

BAREFUSE_SIZE(fuse_interrupt_in, 8);
BAREFUSE_FIELD(fuse_interrupt_in, unique, 0);

BAREFUSE_SIZE(fuse_bmap_in, 16);
BAREFUSE_FIELD(fuse_bmap_in, block, 0);
BAREFUSE_FIELD(fuse_bmap_in, blocksize, 8);
BAREFUSE_FIELD(fuse_bmap_in, padding, 12);

BAREFUSE_SIZE(fuse_bmap_out, 8);
BAREFUSE_FIELD(fuse_bmap_out, block, 0);

BAREFUSE_SIZE(fuse_ioctl_in, 32);
BAREFUSE_FIELD(fuse_ioctl_in, fh, 0);
BAREFUSE_FIELD(fuse_ioctl_in, flags, 8);
BAREFUSE_FIELD(fuse_ioctl_in, cmd, 12);
BAREFUSE_FIELD(fuse_ioctl_in, arg, 16);
BAREFUSE_FIELD(fuse_ioctl_in, in_size, 24);
BAREFUSE_FIELD(fuse_ioctl_in, out_size, 28);

BAREFUSE_SIZE(fuse_ioctl_iovec, 16);
BAREFUSE_FIELD(fuse_ioctl_iovec, base, 0);
BAREFUSE_FIELD(fuse_ioctl_iovec, len, 8);

BAREFUSE_SIZE(fuse_ioctl_out, 16);
BAREFUSE_FIELD(fuse_ioctl_out, result, 0);
BAREFUSE_FIELD(fuse_ioctl_out, flags, 4);
BAREFUSE_FIELD(fuse_ioctl_out, in_iovs, 8);
BAREFUSE_FIELD(fuse_ioctl_out, out_iovs, 12);

BAREFUSE_SIZE(fuse_poll_in, 24);
BAREFUSE_FIELD(fuse_poll_in, fh, 0);
BAREFUSE_FIELD(fuse_poll_in, kh, 8);
BAREFUSE_FIELD(fuse_poll_in, flags, 16);
BAREFUSE_FIELD(fuse_poll_in, events, 20);

BAREFUSE_SIZE(fuse_poll_out, 8);
BAREFUSE_FIELD(fuse_poll_out, revents, 0);
BAREFUSE_FIELD(fuse_poll_out, padding, 4);

BAREFUSE_SIZE(fuse_notify_poll_wakeup_out, 8);
BAREFUSE_FIELD(fuse_notify_poll_wakeup_out, kh, 0);

BAREFUSE_SIZE(fuse_fallocate_in, 32);
BAREFUSE_FIELD(fuse_fallocate_in, fh, 0);
BAREFUSE_FIELD(fuse_fallocate_in, offset, 8);
BAREFUSE_FIELD(fuse_fallocate_in, length, 16);
BAREFUSE_FIELD(fuse_fallocate_in, mode, 24);
BAREFUSE_FIELD(fuse_fallocate_in, padding, 28);

BAREFUSE_SIZE(fuse_in_header, 40);
BAREFUSE_FIELD(fuse_in_header, len, 0);
BAREFUSE_FIELD(fuse_in_header, opcode, 4);
BAREFUSE_FIELD(fuse_in_header, unique, 8);
BAREFUSE_FIELD(fuse_in_header, nodeid, 16);
BAREFUSE_FIELD(fuse_in_header, uid, 24);
BAREFUSE_FIELD(fuse_in_header, gid, 28);
BAREFUSE_FIELD(fuse_in_header, pid, 32);
BAREFUSE_FIELD(fuse_in_header, total_extlen, 36);
BAREFUSE_FIELD(fuse_in_header, padding, 38);

BAREFUSE_SIZE(fuse_out_header, 16);
BAREFUSE_FIELD(fuse_out_header, len, 0);
BAREFUSE_FIELD(fuse_out_header, error, 4);
BAREFUSE_FIELD(fuse_out_header, unique, 8);

BAREFUSE_SIZE(fuse_dirent, 24);
BAREFUSE_FIELD(fuse_dirent, ino, 0);
BAREFUSE_FIELD(fuse_dirent, off, 8);
BAREFUSE_FIELD(fuse_dirent, namelen, 16);
BAREFUSE_FIELD(fuse_dirent, type, 20);

BAREFUSE_SIZE(fuse_direntplus, 152);
BAREFUSE_FIELD(fuse_direntplus, entry_out, 0);
BAREFUSE_FIELD(fuse_direntplus, dirent, 128);

BAREFUSE_SIZE(fuse_notify_inval_inode_out, 24);
BAREFUSE_FIELD(fuse_notify_inval_inode_out, ino, 0);
BAREFUSE_FIELD(fuse_notify_inval_inode_out, off, 8);
BAREFUSE_FIELD(fuse_notify_inval_inode_out, len, 16);

BAREFUSE_SIZE(fuse_notify_inval_entry_out, 16);
BAREFUSE_FIELD(fuse_notify_inval_entry_out, parent, 0);
BAREFUSE_FIELD(fuse_notify_inval_entry_out, namelen, 8);
BAREFUSE_FIELD(fuse_notify_inval_entry_out, flags, 12);

BAREFUSE_SIZE(fuse_notify_delete_out, 24);
BAREFUSE_FIELD(fuse_notify_delete_out, parent, 0);
BAREFUSE_FIELD(fuse_notify_delete_out, child, 8);
BAREFUSE_FIELD(fuse_notify_delete_out, namelen, 16);
BAREFUSE_FIELD(fuse_notify_delete_out, padding, 20);

BAREFUSE_SIZE(fuse_notify_store_out, 24);
BAREFUSE_FIELD(fuse_notify_store_out, nodeid, 0);
BAREFUSE_FIELD(fuse_notify_store_out, offset, 8);
BAREFUSE_FIELD(fuse_notify_store_out, size, 16);
BAREFUSE_FIELD(fuse_notify_store_out, padding, 20);

BAREFUSE_SIZE(fuse_notify_retrieve_out, 32);
BAREFUSE_FIELD(fuse_notify_retrieve_out, notify_unique, 0);
BAREFUSE_FIELD(fuse_notify_retrieve_out, nodeid, 8);
BAREFUSE_FIELD(fuse_notify_retrieve_out, offset, 16);
BAREFUSE_FIELD(fuse_notify_retrieve_out, size, 24);
BAREFUSE_FIELD(fuse_notify_retrieve_out, padding, 28);

BAREFUSE_SIZE(fuse_notify_retrieve_in, 40);
BAREFUSE_FIELD(fuse_notify_retrieve_in, dummy1, 0);
BAREFUSE_FIELD(fuse_notify_retrieve_in, offset, 8);
BAREFUSE_FIELD(fuse_notify_retrieve_in, size, 16);
BAREFUSE_FIELD(fuse_notify_retrieve_in, dummy2, 20);
BAREFUSE_FIELD(fuse_notify_retrieve_in, dummy3, 24);
BAREFUSE_FIELD(fuse_notify_retrieve_in, dummy4, 32);

BAREFUSE_SIZE(fuse_notify_prune_out, 16);
BAREFUSE_FIELD(fuse_notify_prune_out, count, 0);
BAREFUSE_FIELD(fuse_notify_prune_out, padding, 4);
BAREFUSE_FIELD(fuse_notify_prune_out, spare, 8);

BAREFUSE_SIZE(fuse_backing_map, 16);
BAREFUSE_FIELD(fuse_backing_map, fd, 0);
BAREFUSE_FIELD(fuse_backing_map, flags, 4);
BAREFUSE_FIELD(fuse_backing_map, padding, 8);

BAREFUSE_SIZE(fuse_lseek_in, 24);
BAREFUSE_FIELD(fuse_lseek_in, fh, 0);
BAREFUSE_FIELD(fuse_lseek_in, offset, 8);
BAREFUSE_FIELD(fuse_lseek_in, whence, 16);
BAREFUSE_FIELD(fuse_lseek_in, padding, 20);

BAREFUSE_SIZE(fuse_lseek_out, 8);
BAREFUSE_FIELD(fuse_lseek_out, offset, 0);

BAREFUSE_SIZE(fuse_copy_file_range_in, 56);
BAREFUSE_FIELD(fuse_copy_file_range_in, fh_in, 0);
BAREFUSE_FIELD(fuse_copy_file_range_in, off_in, 8);
BAREFUSE_FIELD(fuse_copy_file_range_in, nodeid_out, 16);
BAREFUSE_FIELD(fuse_copy_file_range_in, fh_out, 24);
BAREFUSE_FIELD(fuse_copy_file_range_in, off_out, 32);
BAREFUSE_FIELD(fuse_copy_file_range_in, len, 40);
BAREFUSE_FIELD(fuse_copy_file_range_in, flags, 48);

BAREFUSE_SIZE(fuse_copy_file_range_out, 8);
BAREFUSE_FIELD(fuse_copy_file_range_out, bytes_copied, 0);

BAREFUSE_SIZE(fuse_setupmapping_in, 40);
BAREFUSE_FIELD(fuse_setupmapping_in, fh, 0);
BAREFUSE_FIELD(fuse_setupmapping_in, foffset, 8);
BAREFUSE_FIELD(fuse_setupmapping_in, len, 16);
BAREFUSE_FIELD(fuse_setupmapping_in, flags, 24);
BAREFUSE_FIELD(fuse_setupmapping_in, moffset, 32);

BAREFUSE_SIZE(fuse_removemapping_in, 4);
BAREFUSE_FIELD(fuse_removemapping_in, count, 0);

BAREFUSE_SIZE(fuse_removemapping_one, 16);
BAREFUSE_FIELD(fuse_removemapping_one, moffset, 0);
BAREFUSE_FIELD(fuse_removemapping_one, len, 8);

BAREFUSE_SIZE(fuse_syncfs_in, 8);
BAREFUSE_FIELD(fuse_syncfs_in, padding, 0);

BAREFUSE_SIZE(fuse_secctx, 8);
BAREFUSE_FIELD(fuse_secctx, size, 0);
BAREFUSE_FIELD(fuse_secctx, padding, 4);

BAREFUSE_SIZE(fuse_secctx_header, 8);
BAREFUSE_FIELD(fuse_secctx_header, size, 0);
BAREFUSE_FIELD(fuse_secctx_header, nr_secctx, 4);

BAREFUSE_SIZE(fuse_ext_header, 8);
BAREFUSE_FIELD(fuse_ext_header, size, 0);
BAREFUSE_FIELD(fuse_ext_header, type, 4);

BAREFUSE_SIZE(fuse_supp_groups, 4);
BAREFUSE_FIELD(fuse_supp_groups, nr_groups, 0);

BAREFUSE_SIZE(fuse_uring_ent_in_out, 32);
BAREFUSE_FIELD(fuse_uring_ent_in_out, flags, 0);
BAREFUSE_FIELD(fuse_uring_ent_in_out, commit_id, 8);
BAREFUSE_FIELD(fuse_uring_ent_in_out, payload_sz, 16);
BAREFUSE_FIELD(fuse_uring_ent_in_out, padding, 20);
BAREFUSE_FIELD(fuse_uring_ent_in_out, reserved, 24);

BAREFUSE_SIZE(fuse_uring_req_header, 288);
BAREFUSE_FIELD(fuse_uring_req_header, in_out, 0);
BAREFUSE_FIELD(fuse_uring_req_header, op_in, 128);
BAREFUSE_FIELD(fuse_uring_req_header, ring_ent_in_out, 256);

BAREFUSE_SIZE(fuse_uring_cmd_req, 24);
BAREFUSE_FIELD(fuse_uring_cmd_req, flags, 0);
BAREFUSE_FIELD(fuse_uring_cmd_req, commit_id, 8);
BAREFUSE_FIELD(fuse_uring_cmd_req, qid, 16);
BAREFUSE_FIELD(fuse_uring_cmd_req, padding, 18);
// A compat size is the offset of the first field that older versions lack.
static_assert(FUSE_COMPAT_ENTRY_OUT_SIZE ==
              offsetof(fuse_entry_out, attr) + offsetof(fuse_attr, blksize));
static_assert(FUSE_COMPAT_ATTR_OUT_SIZE ==
              offsetof(fuse_attr_out, attr) + offsetof(fuse_attr, blksize));
static_assert(FUSE_COMPAT_MKNOD_IN_SIZE == offsetof(fuse_mknod_in, umask));
static_assert(FUSE_COMPAT_WRITE_IN_SIZE == offsetof(fuse_write_in, lock_owner));
static_assert(FUSE_COMPAT_STATFS_SIZE == offsetof(fuse_kstatfs, frsize));
static_assert(FUSE_COMPAT_SETXATTR_IN_SIZE ==
              offsetof(fuse_setxattr_in, setxattr_flags));
static_assert(FUSE_COMPAT_INIT_OUT_SIZE ==
              offsetof(fuse_init_out, max_readahead));
static_assert(FUSE_COMPAT_22_INIT_OUT_SIZE ==
              offsetof(fuse_init_out, time_gran));

#undef BAREFUSE_SIZE
#undef BAREFUSE_FIELD

}  // namespace barefuse::abi

#endif  // BAREFUSE_KERNEL_ABI_LAYOUT_ASSERTS_H_
