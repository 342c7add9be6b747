// Operations on what is in files.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "tests/differential/operation.h"
#include "tests/differential/side.h"

namespace barefuse::differential {
namespace {

// As much of the buffer as the operation wants, filled or not. O_DIRECT reads
// and writes memory at a place that `value` may put out of line.
std::span<char> Memory(const Operation& operation, bool filled) {
  const size_t shift = operation.value % 16 == 0 ? 3 : 0;
  std::span<char> memory = Buffer().subspan(shift, operation.length);
  if (filled) FillPattern(operation.value, memory);
  return memory;
}

bool IsDirectory(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
}

// Beyond the end nothing is read, which counts as access to splice(2), but not
// to read(2), and who serves may do one for the other.
bool IsBeyondEnd(int fd, int64_t offset) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
         offset >= info.st_size;
}

void SetRead(int64_t n, std::span<const char> memory, Outcome& outcome) {
  outcome.Set(n);
  if (n > 0) outcome.data.assign(memory.data(), static_cast<size_t>(n));
}

void RunRead(const Operation& operation, Side& side, Outcome& outcome) {
  // It fails, but in different ways at different positions, which are the
  // directory's own affair.
  if (IsDirectory(side.Fd(operation.slot))) return;
  const std::span<char> memory = Memory(operation, false);
  SetRead(read(side.Fd(operation.slot), memory.data(), memory.size()), memory,
          outcome);
}

void RunPread(const Operation& operation, Side& side, Outcome& outcome) {
  const std::span<char> memory = Memory(operation, false);
  SetRead(pread(side.Fd(operation.slot), memory.data(), memory.size(),
                operation.offset),
          memory, outcome);
}

// At least a byte: to read nothing is to have read in some filesystems, and not
// in backing files.
void MakeRead(Random& random, Operation& operation) {
  MakeRange(random, operation);
  if (operation.length == 0) operation.length = 1;
}

// Whether a write might be refused for not being aligned: by the source before
// it takes set-id bits away, by the kernel above a passed-through file after.
bool IsRefusedLate(const Operation& operation, Side& side) {
  const int fd = side.Fd(operation.slot);
  struct stat info;
  return operation.user != 0 && (fcntl(fd, F_GETFL) & O_DIRECT) != 0 &&
         fstat(fd, &info) == 0 && (info.st_mode & (S_ISUID | S_ISGID)) != 0;
}

void RunWrite(const Operation& operation, Side& side, Outcome& outcome) {
  if (IsRefusedLate(operation, side)) return;
  const std::span<char> memory = Memory(operation, true);
  outcome.Set(write(side.Fd(operation.slot), memory.data(), memory.size()));
}

void RunPwrite(const Operation& operation, Side& side, Outcome& outcome) {
  if (IsRefusedLate(operation, side)) return;
  const std::span<char> memory = Memory(operation, true);
  outcome.Set(pwrite(side.Fd(operation.slot), memory.data(), memory.size(),
                     operation.offset));
}

// In three parts, one of which is empty.
struct Parts {
  explicit Parts(std::span<char> memory) {
    const size_t first = memory.size() / 3 / 512 * 512;
    parts[0] = {memory.data(), first};
    parts[1] = {memory.data() + first, 0};
    parts[2] = {memory.data() + first, memory.size() - first};
  }
  iovec parts[3];
};

void RunPreadv2(const Operation& operation, Side& side, Outcome& outcome) {
  const std::span<char> memory = Memory(operation, false);
  SetRead(preadv2(side.Fd(operation.slot), Parts(memory).parts, 3,
                  operation.offset, static_cast<int>(operation.flags)),
          memory, outcome);
}

void RunPwritev2(const Operation& operation, Side& side, Outcome& outcome) {
  if (IsRefusedLate(operation, side)) return;
  outcome.Set(pwritev2(side.Fd(operation.slot),
                       Parts(Memory(operation, true)).parts, 3,
                       operation.offset, static_cast<int>(operation.flags)));
}

void MakePwritev2(Random& random, Operation& operation) {
  MakeRange(random, operation);
  operation.flags = random.Pick<uint32_t>({0, 0, RWF_APPEND});
  if (random.OneIn(20)) operation.flags |= RWF_DSYNC;
}

void MakePreadv2(Random& random, Operation& operation) {
  MakeRead(random, operation);
  operation.flags = 0;
}

void RunLseek(const Operation& operation, Side& side, Outcome& outcome) {
  // What positions a directory has is its own affair.
  if (IsDirectory(side.Fd(operation.slot))) return;
  // To read a hole of tmpfs through a mapping fills it, which a page cache
  // above it does not.
  const bool seeks_holes =
      operation.flags == SEEK_DATA || operation.flags == SEEK_HOLE;
  if (seeks_holes && !side.knows_direct()) return;
  outcome.Set(lseek(side.Fd(operation.slot), operation.offset,
                    static_cast<int>(operation.flags)));
}

void MakeLseek(Random& random, Operation& operation) {
  operation.offset = MakeOffset(random);
  operation.flags = static_cast<uint32_t>(random.Pick(
      {SEEK_SET, SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 17}));
  if (operation.flags == SEEK_END && random.OneIn(2)) {
    operation.offset = -static_cast<int64_t>(random.Below(100));
  }
}

void RunFtruncate(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(ftruncate(side.Fd(operation.slot), operation.offset));
}

void MakeFtruncate(Random& random, Operation& operation) {
  operation.offset = MakeOffset(random);
}

// The system call knows no base.
void MakeTruncate(Random& random, Operation& operation) {
  MakeFtruncate(random, operation);
  operation.path = MakePath(random, Likely::kFile);
  operation.base = Base::kRoot;
}

void RunTruncate(const Operation& operation, Side& side, Outcome& outcome) {
  const std::string path = side.Path(operation, operation.path);
  outcome.Set(truncate(path.c_str(), operation.offset));
}

void RunFallocate(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(fallocate(side.Fd(operation.slot),
                        static_cast<int>(operation.flags), operation.offset,
                        static_cast<off_t>(operation.length)));
}

void MakeFallocate(Random& random, Operation& operation) {
  MakeRange(random, operation);
  constexpr int kKeep = FALLOC_FL_KEEP_SIZE;
  // The mount's kernel knows no others.
  operation.flags = static_cast<uint32_t>(
      random.Pick({0, kKeep, kKeep | FALLOC_FL_PUNCH_HOLE,
                   kKeep | FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE,
                   kKeep | FALLOC_FL_ZERO_RANGE, FALLOC_FL_PUNCH_HOLE}));
  // It takes set-user-id away before it asks: also where the source does not,
  // since it does not know how to do that, or there is a hole already.
  if ((operation.flags & ~uint32_t{kKeep}) != 0) operation.user = 0;
}

void RunCopyFileRange(const Operation& operation, Side& side,
                      Outcome& outcome) {
  // The server copies without O_DIRECT, which is less strict.
  for (const uint8_t slot : {operation.slot, operation.slot2}) {
    if ((fcntl(side.Fd(slot), F_GETFL) & O_DIRECT) != 0) return;
  }
  off64_t from = operation.offset;
  off64_t to = operation.offset2;
  const bool here = (operation.value & 1) != 0;
  outcome.Set(copy_file_range(side.Fd(operation.slot), here ? nullptr : &from,
                              side.Fd(operation.slot2), here ? nullptr : &to,
                              operation.length, operation.flags));
  if (!here && outcome.error == 0) {
    outcome.data = std::to_string(from) + " " + std::to_string(to);
  }
}

void MakeCopyFileRange(Random& random, Operation& operation) {
  MakeRead(random, operation);
  operation.offset2 = MakeOffset(random);
  operation.flags = random.OneIn(40) ? 1 : 0;
}

void RunSendfile(const Operation& operation, Side& side, Outcome& outcome) {
  // The system call itself counts as access, besides the reading, which the
  // mount's source does not learn. It shows where nothing is read: from a
  // directory, or by O_DIRECT beyond the end.
  const int source = side.Fd(operation.slot);
  if (IsDirectory(source) || (fcntl(source, F_GETFL) & O_DIRECT) != 0) return;
  // Within one file what is read may have been written by the same call.
  struct stat from_info {};
  struct stat to_info {};
  fstat(source, &from_info);
  fstat(side.Fd(operation.slot2), &to_info);
  if (from_info.st_ino == to_info.st_ino) return;
  if (IsBeyondEnd(source, operation.offset)) return;
  off_t from = operation.offset;
  outcome.Set(sendfile(side.Fd(operation.slot2), side.Fd(operation.slot), &from,
                       operation.length));
  if (outcome.error == 0) outcome.data = std::to_string(from);
}

struct Pipe {
  Pipe() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) return;
    out.reset(fds[0]);
    in.reset(fds[1]);
  }
  UniqueFd out;
  UniqueFd in;
};

// What a pipe holds.
constexpr uint64_t kPipeSize = 64 << 10;

void RunSpliceOut(const Operation& operation, Side& side, Outcome& outcome) {
  Pipe pipe;
  off64_t from = operation.offset;
  if (IsBeyondEnd(side.Fd(operation.slot), from)) return;
  const ssize_t n =
      splice(side.Fd(operation.slot), &from, pipe.in.get(), nullptr,
             std::min(operation.length, kPipeSize / 2), SPLICE_F_NONBLOCK);
  outcome.Set(n);
  // How much of it goes at once depends on how pages lie in the page cache.
  if (n <= 0) return;
  outcome.result = 1;
  const std::span<char> buffer = Buffer();
  const ssize_t got = read(pipe.out.get(), buffer.data(), buffer.size());
  if (got > 0) outcome.data.assign(buffer.data(), static_cast<size_t>(got));
}

void RunSpliceIn(const Operation& operation, Side& side, Outcome& outcome) {
  if (IsRefusedLate(operation, side)) return;
  Pipe pipe;
  const std::span<char> memory =
      Memory(operation, true).first(std::min(operation.length, kPipeSize / 2));
  const ssize_t filled = write(pipe.in.get(), memory.data(), memory.size());
  off64_t to = operation.offset;
  outcome.Set(splice(pipe.out.get(), nullptr, side.Fd(operation.slot), &to,
                     static_cast<size_t>(std::max<ssize_t>(filled, 0)),
                     SPLICE_F_NONBLOCK));
}

// Of a mapping as much as the file has: what is written behind its end, in the
// last page, may or may not be there when the file grows.
size_t MappedLength(int fd, const Operation& operation) {
  struct stat info;
  if (fstat(fd, &info) != 0 || info.st_size <= operation.offset) return 0;
  return std::min(operation.length,
                  static_cast<uint64_t>(info.st_size - operation.offset));
}

// A mapping from the page of the operation's offset on. The kernel reads and
// writes it for us, so that what is not there is an error instead of a signal.
class Mapping {
 public:
  Mapping(int fd, const Operation& operation, int protection, int flags)
      : into_page_(static_cast<size_t>(operation.offset & 4095)),
        size_(into_page_ + operation.length) {
    start_ = mmap(nullptr, size_, protection, flags, fd,
                  operation.offset - static_cast<off_t>(into_page_));
  }
  ~Mapping() {
    if (mapped()) munmap(start_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  bool mapped() const { return start_ != MAP_FAILED; }
  int Sync() const { return msync(start_, size_, MS_SYNC); }
  iovec Part(size_t length) const {
    return {static_cast<char*>(start_) + into_page_, length};
  }

 private:
  const size_t into_page_;
  const size_t size_;
  void* start_;
};

void RunMapWrite(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  Mapping mapping(fd, operation, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (!mapping.mapped()) return outcome.Set(-1);
  const size_t length = MappedLength(fd, operation);
  const std::span<char> memory = Memory(operation, true).first(length);
  const iovec from = {memory.data(), memory.size()};
  const iovec to = mapping.Part(length);
  outcome.Set(process_vm_writev(getpid(), &from, 1, &to, 1, 0));
  if (mapping.Sync() != 0) outcome.Set(-1);
}

void RunMapRead(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  Mapping mapping(fd, operation, PROT_READ,
                  operation.flags != 0 ? MAP_SHARED : MAP_PRIVATE);
  if (!mapping.mapped()) return outcome.Set(-1);
  // Beyond the end too: zeros, and then nothing.
  const std::span<char> memory = Memory(operation, false);
  const iovec to = {memory.data(), memory.size()};
  const iovec from = mapping.Part(memory.size());
  SetRead(process_vm_readv(getpid(), &to, 1, &from, 1, 0), memory, outcome);
}

void MakeMapping(Random& random, Operation& operation) {
  MakeRange(random, operation);
  operation.offset &= 0x3ffff;
  operation.flags = random.Below(2);
}

void RunFsync(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  outcome.Set(operation.flags != 0 ? fdatasync(fd) : fsync(fd));
}

void MakeFsync(Random& random, Operation& operation) {
  operation.flags = random.Below(2);
}

void RunSyncFileRange(const Operation& operation, Side& side,
                      Outcome& outcome) {
  outcome.Set(sync_file_range(side.Fd(operation.slot), operation.offset,
                              static_cast<off_t>(operation.length),
                              SYNC_FILE_RANGE_WAIT_BEFORE |
                                  SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER));
}

}  // namespace

std::span<const Kind> DataKinds() {
  static constexpr Kind kKinds[] = {
      {"read", 30, "slv", false, MakeRead, RunRead},
      {"pread", 30, "solv", false, MakeRead, RunPread},
      {"preadv2", 10, "solf", false, MakePreadv2, RunPreadv2},
      {"write", 40, "slv", true, MakeRange, RunWrite},
      {"pwrite", 40, "solv", true, MakeRange, RunPwrite},
      {"pwritev2", 20, "solfv", true, MakePwritev2, RunPwritev2},
      {"lseek", 20, "sof", false, MakeLseek, RunLseek},
      {"ftruncate", 10, "so", true, MakeFtruncate, RunFtruncate},
      {"truncate", 10, "po", true, MakeTruncate, RunTruncate},
      {"fallocate", 20, "solf", true, MakeFallocate, RunFallocate},
      {"copy_file_range", 20, "stoOlfvr", true, MakeCopyFileRange,
       RunCopyFileRange},
      {"sendfile", 10, "stol", true, MakeRead, RunSendfile},
      {"splice out", 10, "sol", false, MakeRead, RunSpliceOut},
      {"splice in", 10, "solv", true, MakeRange, RunSpliceIn},
      {"write a mapping", 12, "solvr", true, MakeMapping, RunMapWrite},
      {"read a mapping", 12, "solf", false, MakeMapping, RunMapRead},
      {"fsync", 2, "sf", true, MakeFsync, RunFsync},
      {"sync_file_range", 2, "sol", false, MakeRange, RunSyncFileRange},
  };
  return kKinds;
}

}  // namespace barefuse::differential
