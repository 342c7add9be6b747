// Notifications about what the kernel has of files: attributes and pages.
//
// With direct I/O read(2) goes to the server, so that only mappings show what
// is in the page cache. With writeback the kernel keeps sizes itself.
#include <sys/mman.h>

#include "tests/kernel/suite_mapping.h"
#include "tests/kernel/suite_memfs.h"

namespace barefuse {
namespace {

using testing::Stat;
using testing::WriteFile;

constexpr size_t kPage = 4096;

class OperationsPageCache : public MemfsSuite {
 protected:
  // A file of so many bytes 'o' that the kernel has in its cache, none of them
  // dirty.
  UniqueFd OpenFile(size_t size) {
    WriteFile(At("file"), std::string(size, 'o'));
    UniqueFd fd = Open(At("file"), O_RDWR);
    testing::Check(fsync(fd.get()) == 0, "fsync");
    ReadAt(fd, 0, size);
    barefuse::Stat(fd);  // attributes as well
    return fd;
  }
  static Error Change(const UniqueFd& fd, uint64_t offset,
                      std::string_view data) {
    return BehindTheKernel(
        fd, {.kind = MEMFS_POKE_WRITE, .offset = offset, .data = data});
  }
  Error Invalidate(const UniqueFd& fd, int64_t offset, int64_t length) {
    return Notify(
        fd,
        {.kind = MEMFS_NOTIFY_INVAL_INODE, .offset = offset, .length = length});
  }
  Error Store(const UniqueFd& fd, int64_t offset, std::string_view data) {
    return Notify(fd,
                  {.kind = MEMFS_NOTIFY_STORE, .offset = offset, .data = data});
  }
  // What the kernel has in its cache, as "OFFSET:CONTENT".
  static std::string Retrieve(const UniqueFd& fd, int64_t offset,
                              uint32_t size) {
    const memfs_notify_result result = Await(
        fd,
        Send(fd,
             {.kind = MEMFS_NOTIFY_RETRIEVE, .offset = offset, .size = size}));
    testing::Check(result.error == 0, "RETRIEVE");
    return std::to_string(result.offset) + ":" +
           std::string(reinterpret_cast<const char*>(result.data), result.size);
  }
};
INSTANTIATE_FOR_MEMFS(OperationsPageCache);

// --- INVAL_INODE ---

TEST_P(OperationsPageCache, InvalidatedContentIsReadAgain) {
  UniqueFd fd = OpenFile(6);
  UniqueFd other = Open(At("file"), O_RDONLY);
  Mapping mapping(fd, kPage, PROT_READ, MAP_SHARED);
  EXPECT_EQ(mapping.Text(0, 6), "oooooo");
  ASSERT_EQ(Change(fd, 1, "new"), 0);
  EXPECT_EQ(ReadAt(other, 0, 6), caches_data() ? "oooooo" : "onewoo");
  EXPECT_EQ(mapping.Text(0, 6), "oooooo");
  ASSERT_EQ(Invalidate(fd, 0, 0), 0);
  EXPECT_EQ(ReadAt(other, 0, 6), "onewoo");
  EXPECT_EQ(mapping.Text(0, 6), "onewoo");
}

TEST_P(OperationsPageCache, OnlyTheRangeIsInvalidated) {
  UniqueFd fd = OpenFile(4 * kPage);
  Mapping mapping(fd, 4 * kPage, PROT_READ, MAP_SHARED);
  const auto seen = [&] {
    std::string bytes;
    for (size_t page = 0; page < 4; ++page) {
      bytes += mapping.Text(page * kPage, 1);
    }
    return bytes;
  };
  EXPECT_EQ(seen(), "oooo");
  for (size_t page = 0; page < 4; ++page) {
    ASSERT_EQ(Change(fd, page * kPage, "n"), 0);
  }
  EXPECT_EQ(seen(), "oooo");
  ASSERT_EQ(Invalidate(fd, -1, 0), 0);
  EXPECT_EQ(seen(), "oooo") << "attributes only";
  ASSERT_EQ(Invalidate(fd, kPage, kPage), 0);
  EXPECT_EQ(seen(), "onoo");
  // Whatever page the range touches, to the end with 0.
  ASSERT_EQ(Invalidate(fd, 3 * kPage - 1, 0), 0);
  EXPECT_EQ(seen(), "onnn");
}

TEST_P(OperationsPageCache, InvalidatedAttributesAreAskedForAgain) {
  UniqueFd fd = OpenFile(6);
  ASSERT_EQ(Permissions(At("file")), mode_t{0644});
  const uint64_t asked = Requests(abi::FUSE_GETATTR);
  ASSERT_EQ(BehindTheKernel(fd, {.kind = MEMFS_POKE_CHMOD, .offset = 0600}), 0);
  EXPECT_EQ(Permissions(At("file")), mode_t{0644});
  EXPECT_EQ(Requests(abi::FUSE_GETATTR), asked);
  ASSERT_EQ(Invalidate(fd, -1, 0), 0);
  EXPECT_EQ(Permissions(At("file")), mode_t{0600});
  EXPECT_EQ(Requests(abi::FUSE_GETATTR), asked + 1);
}

TEST_P(OperationsPageCache, AnotherSizeIsSeenAfterIt) {
  UniqueFd fd = OpenFile(6);
  const auto resize = [&](uint64_t size) {
    return BehindTheKernel(fd, {.kind = MEMFS_POKE_RESIZE, .offset = size});
  };
  ASSERT_EQ(resize(3), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 6);
  ASSERT_EQ(Invalidate(fd, 0, 0), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 3);
  EXPECT_EQ(ReadAt(fd, 0, 10), "ooo");
  ASSERT_EQ(resize(5), 0);
  ASSERT_EQ(Invalidate(fd, 0, 0), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 5);
  EXPECT_EQ(ReadAt(fd, 0, 10), std::string("ooo\0\0", 5));
}

TEST_P(OperationsPageCache, WhatIsDirtyIsWrittenBackFirst) {
  UniqueFd fd = OpenFile(2 * kPage);
  Mapping mapping(fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  mapping[0] = 'd';
  mapping[kPage] = 'D';
  ASSERT_EQ(Invalidate(fd, 0, 0), 0);
  UniqueFd direct = Open(At("file"), O_RDONLY | O_DIRECT);
  alignas(kPage) char page[kPage];
  ASSERT_EQ(pread(direct.get(), page, kPage, 0), ssize_t{kPage});
  EXPECT_EQ(page[0], 'd');
  EXPECT_EQ(mapping.Text(kPage, 1), "D");
}

// --- STORE ---

TEST_P(OperationsPageCache, StoredContentIsThereWithoutReading) {
  UniqueFd fd = OpenFile(2 * kPage);
  const std::string page = Pattern(kPage);
  Mapping mapping(fd, 2 * kPage, PROT_READ, MAP_SHARED);
  ASSERT_EQ(Store(fd, kPage, page), 0);
  const uint64_t reads = Requests(abi::FUSE_READ);
  EXPECT_TRUE(mapping.Text(kPage, kPage) == page);
  EXPECT_EQ(Requests(abi::FUSE_READ), reads);
  EXPECT_TRUE(ReadAt(fd, kPage, kPage) ==
              (caches_data() ? page : std::string(kPage, 'o')));
  // The server's own is as it was, and comes back.
  ASSERT_EQ(Invalidate(fd, 0, 0), 0);
  EXPECT_EQ(mapping.Text(kPage, 3), "ooo");
}

TEST_P(OperationsPageCache, APartOfAPageIsStoredIntoIt) {
  UniqueFd fd = OpenFile(2 * kPage);
  Mapping mapping(fd, 2 * kPage, PROT_READ, MAP_SHARED);
  EXPECT_EQ(mapping.Text(kPage - 2, 4), "oooo");
  ASSERT_EQ(Store(fd, kPage - 1, "SS"), 0);
  EXPECT_EQ(mapping.Text(kPage - 2, 4), "oSSo");
}

TEST_P(OperationsPageCache, StoringExtends) {
  UniqueFd fd = OpenFile(6);
  ASSERT_EQ(Change(fd, 0, "stored it"), 0);
  EXPECT_EQ(Stat(At("file")).st_size, 6);
  ASSERT_EQ(Store(fd, 0, "stored it"), 0);
  const uint64_t reads = Requests(abi::FUSE_READ);
  EXPECT_EQ(ReadAt(fd, 0, 9), "stored it");
  EXPECT_EQ(Requests(abi::FUSE_READ), reads + (caches_data() ? 0 : 1));
  EXPECT_EQ(Stat(At("file")).st_size, 9);
}

// --- RETRIEVE ---

TEST_P(OperationsPageCache, RetrievesWhatIsCached) {
  UniqueFd fd = OpenFile(2 * kPage);
  Mapping mapping(fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  mapping[0] = 'm';  // dirty: the server does not have it
  mapping[kPage] = 'm';
  EXPECT_EQ(Retrieve(fd, 0, 3), "0:moo");
  EXPECT_EQ(Retrieve(fd, kPage - 1, 3), "4095:omo");
  // Not beyond the end.
  EXPECT_EQ(Retrieve(fd, 2 * kPage - 2, 100), "8190:oo");
  ASSERT_EQ(Store(fd, 1, "STORED"), 0);
  EXPECT_EQ(Retrieve(fd, 0, 8), "0:mSTOREDo");
}

TEST_P(OperationsPageCache, RetrievesNothingWhereNothingIsCached) {
  UniqueFd fd = OpenFile(2 * kPage);
  ASSERT_EQ(Invalidate(fd, 0, 0), 0);
  EXPECT_EQ(Retrieve(fd, 0, 100), "0:");
  Mapping mapping(fd, kPage, PROT_READ, MAP_SHARED, kPage);
  EXPECT_EQ(mapping[0], 'o');
}

}  // namespace
}  // namespace barefuse
