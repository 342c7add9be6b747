// The content of a regular file.
#ifndef BAREFUSE_FS_MEMFS_FILE_DATA_H_
#define BAREFUSE_FS_MEMFS_FILE_DATA_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "fs/memfs/space.h"

namespace barefuse::memfs {

// Sparse: pages exist where something was written or allocated, and everything
// else reads as zeros. Sizes and offsets cost nothing by themselves. Offsets
// and lengths are in bytes and may have any value. Functions give 0 or a count,
// or a negative errno. Any thread; reads do not exclude each other.
class FileData {
 public:
  static constexpr uint64_t kPageSize = 4096;
  // The largest size, the kernel's MAX_LFS_FILESIZE.
  static constexpr uint64_t kMaxSize = INT64_MAX;

  // `space` outlives the file.
  explicit FileData(Space& space) : space_(space) {}
  ~FileData();
  FileData(const FileData&) = delete;
  FileData& operator=(const FileData&) = delete;

  uint64_t size() const { return size_.load(std::memory_order_acquire); }
  // What the pages take, in bytes.
  uint64_t allocated() const {
    return pages_.load(std::memory_order_acquire) * kPageSize;
  }

  // How many bytes there were, up to the end of the file.
  size_t Read(uint64_t offset, std::span<std::byte> to) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  // How many bytes were written. Fewer than asked where the space or the
  // largest size ended; -ENOSPC or -EFBIG where not even one.
  int64_t Write(uint64_t offset, std::span<const std::byte> from)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // truncate(2). -EFBIG.
  int Resize(uint64_t size) ABSL_LOCKS_EXCLUDED(mutex_);

  // fallocate(2): pages for a range, all or none. -EFBIG, -ENOSPC.
  int Allocate(uint64_t offset, uint64_t length, bool keep_size)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes a range a hole, without changing the size.
  void Punch(uint64_t offset, uint64_t length) ABSL_LOCKS_EXCLUDED(mutex_);
  // Allocates a range and makes it zeros.
  int Zero(uint64_t offset, uint64_t length, bool keep_size)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes a range a hole, and grows the file to contain it. -EFBIG.
  int MakeHole(uint64_t offset, uint64_t length) ABSL_LOCKS_EXCLUDED(mutex_);

  // lseek(2) with SEEK_DATA and SEEK_HOLE. -ENXIO.
  int64_t SeekData(uint64_t offset) const ABSL_LOCKS_EXCLUDED(mutex_);
  int64_t SeekHole(uint64_t offset) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Copies `length` bytes, fewer where the source ends, and holes as holes.
  // Not for ranges of one file that overlap. Gives what Write gives.
  static int64_t Copy(const FileData& from, uint64_t from_offset, FileData& to,
                      uint64_t to_offset, uint64_t length);

 private:
  struct Page {
    std::byte bytes[kPageSize];
  };
  // Pages by the hundred, so that finding the next one is cheap.
  static constexpr uint64_t kChunkPages = 64;
  struct Chunk {
    std::array<std::unique_ptr<Page>, kChunkPages> pages;
    uint32_t used = 0;  // pages that exist
  };

  Page* Find(uint64_t index) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // A page that exists or is made, with zeros. nullptr: no space. `paid` says
  // that the space was taken already.
  Page* Make(uint64_t index, bool paid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t CountPages(uint64_t first, uint64_t end) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void FreePages(uint64_t first, uint64_t end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int AllocateLocked(uint64_t offset, uint64_t length, bool keep_size)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PunchLocked(uint64_t offset, uint64_t length)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Zeros within one page, if it exists.
  void ClearInPage(uint64_t offset, uint64_t length)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GrowTo(uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Space& space_;
  mutable absl::Mutex mutex_;
  // By page index / kChunkPages. None is empty. What pages hold beyond the end
  // of the file is zeros.
  std::map<uint64_t, Chunk> chunks_ ABSL_GUARDED_BY(mutex_);
  // Changed under mutex_, read without.
  std::atomic<uint64_t> size_{0};
  std::atomic<uint64_t> pages_{0};
};

}  // namespace barefuse::memfs

#endif  // BAREFUSE_FS_MEMFS_FILE_DATA_H_
