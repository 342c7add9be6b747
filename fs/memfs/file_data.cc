#include "fs/memfs/file_data.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

namespace barefuse::memfs {
namespace {

constexpr uint64_t kPageSize = FileData::kPageSize;

// How much of a range of `length` bytes lies in the page of `offset`.
uint64_t InPage(uint64_t offset, uint64_t length) {
  return std::min(length, kPageSize - offset % kPageSize);
}

// The end of a range, no further than offsets go.
uint64_t EndOf(uint64_t offset, uint64_t length) {
  return length > FileData::kMaxSize - offset ? FileData::kMaxSize
                                              : offset + length;
}

}  // namespace

FileData::~FileData() {
  absl::MutexLock lock(&mutex_);
  FreePages(0, UINT64_MAX);
}

FileData::Page* FileData::Find(uint64_t index) const {
  auto it = chunks_.find(index / kChunkPages);
  return it == chunks_.end() ? nullptr
                             : it->second.pages[index % kChunkPages].get();
}

FileData::Page* FileData::Make(uint64_t index, bool paid) {
  if (Page* page = Find(index)) return page;
  if (!paid && !space_.Take(kPageSize)) return nullptr;
  std::unique_ptr<Page> page(new (std::nothrow) Page());
  if (page == nullptr) {
    if (!paid) space_.GiveBack(kPageSize);
    return nullptr;
  }
  Chunk& chunk = chunks_[index / kChunkPages];
  std::unique_ptr<Page>& place = chunk.pages[index % kChunkPages];
  place = std::move(page);
  ++chunk.used;
  pages_.fetch_add(1, std::memory_order_acq_rel);
  return place.get();
}

uint64_t FileData::CountPages(uint64_t first, uint64_t end) const {
  uint64_t count = 0;
  for (auto it = chunks_.lower_bound(first / kChunkPages);
       it != chunks_.end() && it->first * kChunkPages < end; ++it) {
    for (uint64_t i = 0; i < kChunkPages; ++i) {
      const uint64_t index = it->first * kChunkPages + i;
      if (index >= first && index < end && it->second.pages[i]) ++count;
    }
  }
  return count;
}

void FileData::FreePages(uint64_t first, uint64_t end) {
  uint64_t freed = 0;
  for (auto it = chunks_.lower_bound(first / kChunkPages);
       it != chunks_.end() && it->first * kChunkPages < end;) {
    Chunk& chunk = it->second;
    for (uint64_t i = 0; i < kChunkPages; ++i) {
      const uint64_t index = it->first * kChunkPages + i;
      if (index < first || index >= end || !chunk.pages[i]) continue;
      chunk.pages[i].reset();
      --chunk.used;
      ++freed;
    }
    it = chunk.used == 0 ? chunks_.erase(it) : std::next(it);
  }
  pages_.fetch_sub(freed, std::memory_order_acq_rel);
  space_.GiveBack(freed * kPageSize);
}

void FileData::ClearInPage(uint64_t offset, uint64_t length) {
  if (length == 0) return;
  if (Page* page = Find(offset / kPageSize)) {
    std::memset(page->bytes + offset % kPageSize, 0, length);
  }
}

void FileData::GrowTo(uint64_t size) {
  if (size > size_.load(std::memory_order_relaxed)) {
    size_.store(size, std::memory_order_release);
  }
}

size_t FileData::Read(uint64_t offset, std::span<std::byte> to) const {
  absl::ReaderMutexLock lock(&mutex_);
  const uint64_t end = size_.load(std::memory_order_relaxed);
  if (offset >= end) return 0;
  to = to.first(std::min<uint64_t>(to.size(), end - offset));
  for (size_t done = 0; done < to.size();) {
    const size_t piece = InPage(offset + done, to.size() - done);
    if (const Page* page = Find((offset + done) / kPageSize)) {
      std::memcpy(to.data() + done, page->bytes + (offset + done) % kPageSize,
                  piece);
    } else {
      std::memset(to.data() + done, 0, piece);
    }
    done += piece;
  }
  return to.size();
}

int64_t FileData::Write(uint64_t offset, std::span<const std::byte> from) {
  if (from.empty()) return 0;
  if (offset >= kMaxSize) return -EFBIG;
  from = from.first(std::min<uint64_t>(from.size(), kMaxSize - offset));
  absl::MutexLock lock(&mutex_);
  size_t done = 0;
  while (done < from.size()) {
    const size_t piece = InPage(offset + done, from.size() - done);
    Page* page = Make((offset + done) / kPageSize, /*paid=*/false);
    if (page == nullptr) break;
    std::memcpy(page->bytes + (offset + done) % kPageSize, from.data() + done,
                piece);
    done += piece;
  }
  if (done == 0) return -ENOSPC;
  GrowTo(offset + done);
  return static_cast<int64_t>(done);
}

int FileData::Resize(uint64_t size) {
  if (size > kMaxSize) return -EFBIG;
  absl::MutexLock lock(&mutex_);
  if (size < size_.load(std::memory_order_relaxed)) {
    // Whatever the file is extended by later reads as zeros.
    const uint64_t in_last = size % kPageSize;
    if (in_last != 0) ClearInPage(size, kPageSize - in_last);
    FreePages(size / kPageSize + (in_last != 0 ? 1 : 0), UINT64_MAX);
  }
  size_.store(size, std::memory_order_release);
  return 0;
}

int FileData::AllocateLocked(uint64_t offset, uint64_t length, bool keep_size) {
  if (length == 0) return -EINVAL;
  if (offset >= kMaxSize || length > kMaxSize - offset) return -EFBIG;
  const uint64_t first = offset / kPageSize;
  const uint64_t end = (offset + length - 1) / kPageSize + 1;
  const uint64_t missing = end - first - CountPages(first, end);
  // Everything at once: what cannot be is found before anything is done.
  if (!space_.Take(missing * kPageSize)) return -ENOSPC;
  const uint64_t before = pages_.load(std::memory_order_relaxed);
  for (uint64_t index = first; index < end; ++index) {
    if (Make(index, /*paid=*/true) != nullptr) continue;
    const uint64_t made = pages_.load(std::memory_order_relaxed) - before;
    space_.GiveBack((missing - made) * kPageSize);
    return -ENOSPC;
  }
  if (!keep_size) GrowTo(offset + length);
  return 0;
}

int FileData::Allocate(uint64_t offset, uint64_t length, bool keep_size) {
  absl::MutexLock lock(&mutex_);
  return AllocateLocked(offset, length, keep_size);
}

void FileData::PunchLocked(uint64_t offset, uint64_t length) {
  if (offset >= kMaxSize || length == 0) return;
  const uint64_t end = EndOf(offset, length);
  const uint64_t first = (offset + kPageSize - 1) / kPageSize;
  const uint64_t last = end / kPageSize;  // the first page that stays
  if (first > last) {                     // all within one page
    ClearInPage(offset, end - offset);
    return;
  }
  ClearInPage(offset, first * kPageSize - offset);
  ClearInPage(last * kPageSize, end % kPageSize);
  FreePages(first, last);
}

void FileData::Punch(uint64_t offset, uint64_t length) {
  absl::MutexLock lock(&mutex_);
  PunchLocked(offset, length);
}

int FileData::Zero(uint64_t offset, uint64_t length, bool keep_size) {
  absl::MutexLock lock(&mutex_);
  int error = AllocateLocked(offset, length, keep_size);
  if (error != 0) return error;
  for (uint64_t done = 0; done < length;) {
    const uint64_t piece = InPage(offset + done, length - done);
    ClearInPage(offset + done, piece);
    done += piece;
  }
  return 0;
}

int FileData::MakeHole(uint64_t offset, uint64_t length) {
  if (offset > kMaxSize || length > kMaxSize - offset) return -EFBIG;
  absl::MutexLock lock(&mutex_);
  PunchLocked(offset, length);
  GrowTo(offset + length);
  return 0;
}

int64_t FileData::SeekData(uint64_t offset) const {
  absl::ReaderMutexLock lock(&mutex_);
  const uint64_t end = size_.load(std::memory_order_relaxed);
  if (offset >= end) return -ENXIO;
  const uint64_t from = offset / kPageSize;
  for (auto it = chunks_.lower_bound(from / kChunkPages);
       it != chunks_.end() && it->first * kChunkPages * kPageSize < end; ++it) {
    for (uint64_t i = 0; i < kChunkPages; ++i) {
      const uint64_t index = it->first * kChunkPages + i;
      if (index < from || !it->second.pages[i]) continue;
      const uint64_t found = std::max(offset, index * kPageSize);
      return found < end ? static_cast<int64_t>(found) : -ENXIO;
    }
  }
  return -ENXIO;
}

int64_t FileData::SeekHole(uint64_t offset) const {
  absl::ReaderMutexLock lock(&mutex_);
  const uint64_t end = size_.load(std::memory_order_relaxed);
  if (offset >= end) return -ENXIO;
  uint64_t index = offset / kPageSize;
  while (Find(index) != nullptr && index * kPageSize < end) ++index;
  // The end of a file is a hole, however it is allocated.
  return static_cast<int64_t>(
      std::min(std::max(offset, index * kPageSize), end));
}

int64_t FileData::Copy(const FileData& from, uint64_t from_offset, FileData& to,
                       uint64_t to_offset, uint64_t length) {
  constexpr uint64_t kPiece = 128 * 1024;
  std::vector<std::byte> buffer;
  const uint64_t size = from.size();
  if (from_offset >= size) return 0;
  length = std::min(length, size - from_offset);
  if (length == 0) return 0;
  if (to_offset >= kMaxSize) return -EFBIG;
  length = std::min(length, kMaxSize - to_offset);
  uint64_t done = 0;
  while (done < length) {
    const int64_t data = from.SeekData(from_offset + done);
    const uint64_t hole =
        data < 0 ? length - done
                 : std::min(static_cast<uint64_t>(data) - from_offset - done,
                            length - done);
    if (hole > 0) {
      if (int error = to.MakeHole(to_offset + done, hole); error != 0) {
        return done > 0 ? static_cast<int64_t>(done) : error;
      }
      done += hole;
      continue;
    }
    buffer.resize(std::min(kPiece, length - done));
    const size_t read = from.Read(from_offset + done, buffer);
    if (read == 0) break;  // it has become shorter
    const int64_t written =
        to.Write(to_offset + done, std::span(buffer).first(read));
    if (written < 0) return done > 0 ? static_cast<int64_t>(done) : written;
    done += static_cast<uint64_t>(written);
    if (static_cast<size_t>(written) < read) break;
  }
  return static_cast<int64_t>(done);
}

}  // namespace barefuse::memfs
