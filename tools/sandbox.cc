#include "tools/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "kernel_abi/fuse.h"
#include "server/errno_status.h"

// The sanitizers make calls that serving does not (pipes to try memory with,
// ptrace(2) at the end): a program that is built with them has no filter.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BAREFUSE_SANITIZED 1
#else
#define BAREFUSE_SANITIZED 0
#endif

namespace barefuse {
namespace {

absl::Status SetMountAttributes(int tree, uint64_t set, uint64_t propagation) {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.propagation = propagation;
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
              &attributes, sizeof attributes) != 0) {
    return ErrnoStatus(errno, "mount_setattr (Linux 5.12)");
  }
  return absl::OkStatus();
}

// The new root while it is made: a place that surely is there.
constexpr char kNewRoot[] = "/proc";

std::string InNewRoot(std::string_view path) {
  return absl::StrCat(kNewRoot, std::string(path));
}

absl::Status MakeDirectory(std::string_view path) {
  const std::string whole = InNewRoot(path);
  return mkdir(whole.c_str(), 0755) == 0 ? absl::OkStatus()
                                         : ErrnoStatus(errno, whole);
}

absl::Status MountProc() {
  if (absl::Status status = MakeDirectory("/proc"); !status.ok()) return status;
  const std::string path = InNewRoot("/proc");
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  // What is no process is left out (5.8).
  if (mount("proc", path.c_str(), "proc", kFlags, "subset=pid") != 0 &&
      mount("proc", path.c_str(), "proc", kFlags, nullptr) != 0) {
    return ErrnoStatus(errno, "a /proc of its own");
  }
  return absl::OkStatus();
}

// Each worker opens /dev/fuse again; where it is not there, a connection was
// inherited, and they share that. A session that has to cut a device puts
// /dev/null in its place.
absl::Status BindDevices() {
  if (absl::Status status = MakeDirectory("/dev"); !status.ok()) return status;
  for (const char* device : {"/dev/fuse", "/dev/null"}) {
    if (access(device, F_OK) != 0) continue;
    const std::string path = InNewRoot(device);
    if (mknod(path.c_str(), S_IFREG | 0600, 0) != 0 ||
        mount(device, path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return ErrnoStatus(errno, device);
    }
  }
  return absl::OkStatus();
}

absl::Status AttachSource(UniqueFd source) {
  if (absl::Status status = MakeDirectory(kSandboxSource); !status.ok()) {
    return status;
  }
  if (syscall(SYS_move_mount, source.get(), "", AT_FDCWD,
              InNewRoot(kSandboxSource).c_str(),
              MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, "move_mount");
  }
  return absl::OkStatus();
}

// Makes the new root the root, and lets the old one go.
absl::Status Pivot() {
  if (chdir(kNewRoot) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) {
    return ErrnoStatus(errno, "pivot_root");
  }
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return ErrnoStatus(errno, "leaving the old root");
  }
  if (mount(nullptr, "/", nullptr,
            MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
            nullptr) != 0) {
    return ErrnoStatus(errno, "a read-only root");
  }
  return absl::OkStatus();
}

// What serving takes, by libseccomp's numbers: those of this architecture, and
// negative ones for calls that it does not have.
constexpr int kAllowed[] = {
    // Files.
    SCMP_SYS(access),
    SCMP_SYS(chmod),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fallocate),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    452 /* fchmodat2 */,
    SCMP_SYS(fchownat),
    SCMP_SYS(fcntl),
    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getdents64),
    SCMP_SYS(getxattr),
    SCMP_SYS(linkat),
    SCMP_SYS(listxattr),
    SCMP_SYS(lseek),
    SCMP_SYS(mkdirat),
    SCMP_SYS(mknodat),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(newfstatat),
    SCMP_SYS(open),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(openat),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(read),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(readv),
    SCMP_SYS(removexattr),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(setxattr),
    SCMP_SYS(stat),
    SCMP_SYS(statfs),
    SCMP_SYS(statx),
    SCMP_SYS(symlinkat),
    SCMP_SYS(truncate),
    SCMP_SYS(syncfs),
    SCMP_SYS(umask),
    SCMP_SYS(unlinkat),
    SCMP_SYS(utimensat),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    // setxattrat, getxattrat, listxattrat, removexattrat, which libseccomp 2.5
    // does not know.
    463,
    464,
    465,
    466,
    // Acting as callers.
    SCMP_SYS(capget),
    SCMP_SYS(capset),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getuid),
    SCMP_SYS(setfsgid),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setgroups),
    // Threads, memory, time.
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrlimit),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(prctl),
    SCMP_SYS(prlimit64),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(clock_getres),
    SCMP_SYS(getcpu),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(setsid),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sysinfo),
    SCMP_SYS(tgkill),
    SCMP_SYS(uname),
    // The device, the outer process, the log.
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
};

// Those of a session and of chattr(1).
constexpr uint32_t kIoctls[] = {
    abi::FUSE_DEV_IOC_CLONE,
    abi::FUSE_DEV_IOC_BACKING_OPEN,
    abi::FUSE_DEV_IOC_BACKING_CLOSE,
    FS_IOC_GETFLAGS,
    FS_IOC_SETFLAGS,
    FS_IOC_FSGETXATTR,
    FS_IOC_FSSETXATTR,
};

constexpr unsigned kCapabilities[] = {
    CAP_CHOWN,      CAP_DAC_OVERRIDE,    CAP_DAC_READ_SEARCH, CAP_FOWNER,
    CAP_FSETID,     CAP_LINUX_IMMUTABLE, CAP_LEASE,           CAP_MKNOD,
    CAP_SETFCAP,    CAP_SETGID,          CAP_SETUID,          CAP_SYS_ADMIN,
#if BAREFUSE_SANITIZED
    CAP_SYS_PTRACE,
#endif
};

}  // namespace

absl::StatusOr<UniqueFd> CopyMounts(const std::string& source, bool follow) {
  UniqueFd directory(open(source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ErrnoStatus(errno, absl::StrCat("source ", source));
  UniqueFd tree(static_cast<int>(syscall(
      SYS_open_tree, directory.get(), "",
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE)));
  if (!tree) return ErrnoStatus(errno, "open_tree (Linux 5.2)");
  // What the server mounted there would come back to it, and it to the source.
  const absl::Status status =
      SetMountAttributes(tree.get(), MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW,
                         follow ? MS_SLAVE : MS_PRIVATE);
  if (!status.ok()) return status;
  return tree;
}

absl::Status EnterSandbox(UniqueFd source) {
  if (unshare(CLONE_NEWNS) != 0) {
    return ErrnoStatus(errno, "a mount namespace");
  }
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("barefuse", kNewRoot, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
            "mode=755,size=64k") != 0) {
    return ErrnoStatus(errno, "a root of its own");
  }
  if (absl::Status status = MountProc(); !status.ok()) return status;
  if (absl::Status status = BindDevices(); !status.ok()) return status;
  if (absl::Status status = AttachSource(std::move(source)); !status.ok()) {
    return status;
  }
  return Pivot();
}

absl::Status DropCapabilities() {
  // By the raw system call: glibc has no wrapper, and libcap would be one
  // dependency more.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, data) != 0) {
    return ErrnoStatus(errno, "capget");
  }
  uint32_t kept[_LINUX_CAPABILITY_U32S_3] = {};
  for (unsigned capability : kCapabilities) {
    kept[capability / 32] |= 1u << capability % 32;
  }
  for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    data[i].permitted &= kept[i];
    data[i].effective = data[i].permitted;
    data[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) != 0) {
    return ErrnoStatus(errno, "capset");
  }
  return absl::OkStatus();
}

absl::Status FilterSystemCalls() {
#if BAREFUSE_SANITIZED
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
             ? absl::OkStatus()
             : ErrnoStatus(errno, "no_new_privs");
#endif
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) return ErrnoStatus(ENOMEM, "seccomp");
  // The threads that there are, too.
  int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  for (int number : kAllowed) {
    if (error != 0) break;
    if (number >= 0)
      error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
  }
  for (uint32_t command : kIoctls) {
    if (error != 0) break;
    error = seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
        SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, scmp_datum_t{command}));
  }
  // By a tree rather than a list: it is asked for every call.
  if (error == 0) seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  return error == 0 ? absl::OkStatus() : ErrnoStatus(-error, "seccomp");
}

}  // namespace barefuse
