/* The ioctl(2) requests of memfs, for programs in C and C++.
 *
 * Beside these, files and directories know FS_IOC_GETFLAGS, FS_IOC_SETFLAGS,
 * FS_IOC_FSGETXATTR and FS_IOC_FSSETXATTR (chattr(1)) with FS_IMMUTABLE_FL and
 * FS_APPEND_FL, which are enforced, and FS_NODUMP_FL and FS_NOATIME_FL, which
 * are kept. Others give ENOTTY.
 */
#ifndef BAREFUSE_FS_MEMFS_IOCTLS_H_
#define BAREFUSE_FS_MEMFS_IOCTLS_H_

#include <stdint.h>
#include <sys/ioctl.h>

#define MEMFS_IOC_MAGIC 0xb5

/* What poll(2) says of a file from now on: a mask of POLL*, for everybody who
 * has it open, as long as the file lives. Files are ready for reading and
 * writing until somebody says otherwise. Whoever polls is woken. The file must
 * be open for writing (EBADF). */
#define MEMFS_IOC_SET_POLL _IOW(MEMFS_IOC_MAGIC, 1, uint32_t)

struct memfs_info {
  uint64_t nodeid;
  uint64_t generation; /* always 0: node ids are never used again */
  uint64_t size;       /* bytes */
  uint64_t allocated;  /* bytes that content takes */
  uint64_t lookups;    /* that the kernel has not given back */
  uint32_t opens;      /* open files, this one among them */
  uint32_t pollers;    /* open files that wait in poll(2) */
  uint32_t poll_mask;
  uint32_t flags; /* FS_*_FL */
};
#define MEMFS_IOC_GET_INFO _IOR(MEMFS_IOC_MAGIC, 2, struct memfs_info)

/* --- With MemfsOptions::test_ioctls only --------------------------------- */

/* Changes something behind the kernel's back, so that what it has cached is out
 * of date. What is missing gives ENOENT, and so on. */
enum memfs_poke_kind {
  MEMFS_POKE_WRITE = 1,  /* `data` at `offset` of the file */
  MEMFS_POKE_RESIZE = 2, /* the file to `offset` bytes */
  MEMFS_POKE_CREATE = 3, /* a file `name` in the directory, content `data` */
  MEMFS_POKE_REMOVE = 4, /* the file `name` in the directory */
  MEMFS_POKE_RENAME = 5, /* `name` in the directory to `to` in it */
  MEMFS_POKE_CHMOD = 6,  /* the permissions of the file, in `offset` */
};
struct memfs_poke {
  uint32_t kind;
  uint32_t size; /* of data, at most sizeof data */
  uint64_t offset;
  char name[256]; /* with NUL */
  char to[256];
  unsigned char data[4096];
};
#define MEMFS_IOC_POKE _IOW(MEMFS_IOC_MAGIC, 16, struct memfs_poke)

/* Sends a notification to the kernel, from a thread that serves no requests.
 * Returns at once, with the id to wait for. */
enum memfs_notify_kind {
  MEMFS_NOTIFY_INVAL_INODE = 1,  /* offset, length */
  MEMFS_NOTIFY_INVAL_ENTRY = 2,  /* `name` in the directory */
  MEMFS_NOTIFY_EXPIRE_ENTRY = 3, /* `name` in the directory */
  MEMFS_NOTIFY_DELETE = 4,       /* `name` in the directory, `nodeid` */
  MEMFS_NOTIFY_STORE = 5,        /* offset, data */
  MEMFS_NOTIFY_RETRIEVE = 6,     /* offset, size: result.data */
  MEMFS_NOTIFY_RESEND = 7,
  MEMFS_NOTIFY_INC_EPOCH = 8,
  MEMFS_NOTIFY_PRUNE = 9, /* `nodeid` */
};
struct memfs_notify {
  uint32_t kind;
  uint32_t size;   /* bytes, at most sizeof data */
  uint64_t nodeid; /* 0: that of the file itself */
  int64_t offset;
  int64_t length;
  uint64_t id; /* out */
  char name[256];
  unsigned char data[4096];
};
#define MEMFS_IOC_NOTIFY _IOWR(MEMFS_IOC_MAGIC, 17, struct memfs_notify)

/* Waits until the notification `id` has been taken by the kernel, or refused;
 * of MEMFS_NOTIFY_RETRIEVE, until the data is there. Once for each id; another
 * gives ENOENT. */
struct memfs_notify_result {
  uint64_t id;     /* in */
  int32_t error;   /* a positive errno, or 0 */
  uint32_t size;   /* bytes that were retrieved */
  uint64_t offset; /* where they are in the file */
  unsigned char data[4096];
};
#define MEMFS_IOC_NOTIFY_WAIT \
  _IOWR(MEMFS_IOC_MAGIC, 18, struct memfs_notify_result)

/* An ioctl whose number does not say how much memory it reads and writes: the
 * file's first bytes go to where a struct points to. memfs asks for them one
 * after the other (FUSE_IOCTL_RETRY), which the kernel allows to CUSE servers
 * only; on a mounted filesystem it gives EIO. */
struct memfs_vector {
  uint64_t base; /* an address */
  uint64_t len;  /* bytes, at most 64 KiB are read */
};
#define MEMFS_IOC_READ_TO _IO(MEMFS_IOC_MAGIC, 19)

#endif /* BAREFUSE_FS_MEMFS_IOCTLS_H_ */
