// Files of a passthrough mount in memory.
#include <sys/mman.h>

#include "tests/kernel/passthrough_twins.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::WriteFile;

constexpr size_t kPage = 4096;
constexpr User kRoot = {0, 0};

struct Choice {
  const char* name;
  int value;
};
constexpr Choice kOpens[] = {
    {"O_RDONLY", O_RDONLY},
    {"O_WRONLY", O_WRONLY},
    {"O_RDWR", O_RDWR},
    {"O_RDWR|O_APPEND", O_RDWR | O_APPEND},
    {"O_RDONLY|O_DIRECT", O_RDONLY | O_DIRECT},
    {"O_RDWR|O_DIRECT", O_RDWR | O_DIRECT},
    {"O_RDWR|O_SYNC", O_RDWR | O_SYNC},
    {"O_RDONLY|O_NOATIME", O_RDONLY | O_NOATIME},
};
constexpr Choice kKinds[] = {
    {"MAP_SHARED", MAP_SHARED},
    {"MAP_PRIVATE", MAP_PRIVATE},
    {"MAP_SHARED_VALIDATE", MAP_SHARED_VALIDATE},
    {"MAP_SHARED|MAP_POPULATE", MAP_SHARED | MAP_POPULATE},
};
constexpr Choice kProtections[] = {
    {"PROT_READ", PROT_READ},
    {"PROT_WRITE", PROT_WRITE},
    {"PROT_READ|PROT_WRITE", PROT_READ | PROT_WRITE},
    {"PROT_READ|PROT_EXEC", PROT_READ | PROT_EXEC},
    {"PROT_NONE", PROT_NONE},
};
constexpr Choice kSyncs[] = {
    {"0", 0},
    {"MS_SYNC", MS_SYNC},
    {"MS_ASYNC", MS_ASYNC},
    {"MS_INVALIDATE", MS_INVALIDATE},
    {"MS_SYNC|MS_INVALIDATE", MS_SYNC | MS_INVALIDATE},
    {"MS_ASYNC|MS_INVALIDATE", MS_ASYNC | MS_INVALIDATE},
    {"MS_SYNC|MS_ASYNC", MS_SYNC | MS_ASYNC},
};
constexpr Choice kAdvice[] = {
    {"MADV_WILLNEED", MADV_WILLNEED},
    {"MADV_DONTNEED", MADV_DONTNEED},
    {"MADV_POPULATE_READ", MADV_POPULATE_READ},
    {"MADV_POPULATE_WRITE", MADV_POPULATE_WRITE},
    {"MADV_REMOVE", MADV_REMOVE},
};

// A mapping that may not have come about.
struct Map {
  Map(int fd, size_t size_, int protection, int flags)
      : size(size_),
        data(static_cast<char*>(
            mmap(nullptr, size_, protection, flags, fd, 0))) {}
  ~Map() {
    if (good()) munmap(data, size);
  }
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;

  bool good() const { return data != MAP_FAILED; }
  volatile char& operator[](size_t at) const {
    return static_cast<volatile char*>(data)[at];
  }

  const size_t size;
  char* const data;
};

class PassthroughMappingTest : public TwinTest {};
INSTANTIATE_SETTINGS(PassthroughMappingTest);

// In a process of its own, since the one that serves the mount must not wait
// for itself under its own lock.
TEST_P(PassthroughMappingTest, EveryKindOfMappingOfEveryOpen) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    return FoundBy(kRoot, [&] {
      Findings found;
      for (const Choice& how : kOpens) {
        for (const Choice& kind : kKinds) {
          for (const Choice& protection : kProtections) {
            const std::string step =
                std::string(how.name) + " " + kind.name + " " + protection.name;
            const std::string path = root + "/" + step;
            WriteFile(path, std::string(2 * kPage, 'f'));
            UniqueFd fd = Open(path, how.value);
            {
              Map map(fd.get(), 2 * kPage, protection.value, kind.value);
              found[step] = Said(map.good() ? 0 : -1);
              if (!map.good()) continue;
              if ((protection.value & PROT_READ) != 0) {
                found[step + " reads"] = std::string(1, map[0]);
              }
              if ((protection.value & PROT_WRITE) != 0) map[kPage] = 'w';
              for (const Choice& sync : kSyncs) {
                found[step + " msync " + sync.name] =
                    Said(msync(map.data, map.size, sync.value));
              }
              found[step + " mprotect"] =
                  Said(mprotect(map.data, map.size, PROT_READ | PROT_WRITE));
              for (const Choice& advice : kAdvice) {
                found[step + " madvise " + advice.name] =
                    Said(madvise(map.data, kPage, advice.value));
              }
            }
            const std::string content = ReadFile(path);
            found[step + " content"] = {content.at(0), content.at(kPage)};
          }
        }
      }
      return found;
    });
  });
}

// Descriptor and mapping of one process, descriptors of others.
TEST_P(PassthroughMappingTest, WritesAndStoresMeet) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    return FoundBy(kRoot, [&] {
      Findings found;
      for (const Choice& how : kOpens) {
        const std::string step = how.name;
        const std::string path = root + "/" + step;
        WriteFile(path, std::string(2 * kPage, 'f'));
        UniqueFd mapped = Open(path, how.value);
        UniqueFd file = Open(path, O_RDWR);
        UniqueFd direct = Open(path, O_RDWR | O_DIRECT);
        const bool stores = (how.value & O_ACCMODE) == O_RDWR;
        Map map(mapped.get(), 2 * kPage, PROT_READ | (stores ? PROT_WRITE : 0),
                MAP_SHARED);
        if (!map.good()) continue;
        Map own(file.get(), 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        own[100] = 'p';
        WriteAt(file, 1, "w");
        found[step + " sees a write"] = {map[0], map[1], own[1]};
        AlignedBuffer block(kPage, 'd');
        found[step + " direct write"] =
            Number(pwrite(direct.get(), block.data(), kPage, kPage));
        found[step + " sees a direct write"] =
            std::string(1, map[kPage]) + map[2 * kPage - 1];
        if (stores) {
          map[2] = 's';
          found[step + " is seen by a read"] = ReadAt(file, 0, 4);
          map[kPage + 1] = 's';
          found[step + " direct read"] =
              Number(pread(direct.get(), block.data(), kPage, kPage));
          found[step + " is seen by a direct read"] =
              std::string(block.data(), 3);
        }
        found[step + " private"] = {own[100], map[100]};
      }
      return found;
    });
  });
}

TEST_P(PassthroughMappingTest, AMappingOutlivesTheFile) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    return FoundBy(kRoot, [&] {
      Findings found;
      for (const Choice& how :
           {Choice{"buffered", O_RDWR}, Choice{"direct", O_RDWR | O_DIRECT}}) {
        const std::string path = root + "/" + how.name;
        WriteFile(path, std::string(2 * kPage, 'f'));
        UniqueFd fd = Open(path, how.value);
        Map map(fd.get(), 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
        fd.reset();
        if (!map.good()) continue;
        map[0] = 's';
        found[std::string(how.name) + " msync"] =
            Said(msync(map.data, map.size, MS_SYNC));
        // Opened again, in another way, while the mapping is there.
        for (const Choice& again : kOpens) {
          UniqueFd other(open(path.c_str(), again.value | O_CLOEXEC));
          found[std::string(how.name) + ", then " + again.name] =
              Said(other.get());
        }
        UniqueFd other = Open(path, O_RDWR);
        WriteAt(other, 1, "w");
        map[2] = 'S';
        found[std::string(how.name) + " map"] = {map[0], map[1], map[2]};
        found[std::string(how.name) + " file"] = ReadAt(other, 0, 4);
        found["unlink"] = Said(unlink(path.c_str()));
        other.reset();
        map[kPage] = 'x';
        found[std::string(how.name) + " without a name"] =
            Said(msync(map.data, map.size, MS_SYNC)) + map[kPage];
      }
      return found;
    });
  });
  AwaitOpenFiles(0);
  AwaitBackingCloses(BackingOpens());
}

TEST_P(PassthroughMappingTest, MappingsOfMountAndSourceAreTheSame) {
  WriteFile(source_ + "/file", std::string(2 * kPage, 'f'));
  Mount();
  const Findings found = FoundBy(kRoot, [&] {
    UniqueFd here = Open(mnt_ + "/file", O_RDWR);
    UniqueFd there = Open(source_ + "/file", O_RDWR);
    Map mount(here.get(), 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
    Map source(there.get(), 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (!mount.good() || !source.good()) return Findings{{"mapped", "no"}};
    mount[0] = 'm';
    // Pages of the mount's own reach the source when they are written.
    if (!backed()) msync(mount.data, mount.size, MS_SYNC);
    std::string seen = {source[0]};
    if (backed()) {
      source[1] = 's';
      WriteAt(there, 2, "w");
      seen += {mount[1], mount[2]};
    }
    return Findings{{"seen", seen}};
  });
  EXPECT_EQ(found, (Findings{{"seen", backed() ? "msw" : "m"}}));
}

// How a process ends that reads one byte of the second page.
std::string EndOfReader(const volatile char* page) {
  fflush(nullptr);
  testing::Process reader([page] { return *page == 0 ? 1 : 2; });
  return std::to_string(reader.Wait());
}

TEST_P(PassthroughMappingTest, BehindTheEndOfTheFileThereIsNothing) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    return FoundBy(kRoot, [&] {
      Findings found;
      for (const Choice& how : {Choice{"O_RDWR", O_RDWR},
                                Choice{"O_RDWR|O_DIRECT", O_RDWR | O_DIRECT}}) {
        for (const Choice& kind :
             {Choice{"shared", MAP_SHARED}, Choice{"private", MAP_PRIVATE}}) {
          for (const char* way : {"ftruncate", "truncate", "O_TRUNC"}) {
            const std::string step =
                std::string(how.name) + " " + kind.name + " " + way;
            const std::string path = root + "/" + step;
            WriteFile(path, std::string(2 * kPage, 'f'));
            UniqueFd fd = Open(path, how.value);
            Map map(fd.get(), 2 * kPage, PROT_READ, kind.value);
            if (!map.good()) continue;
            const volatile char* second = &map[kPage];
            found[step + " before"] = EndOfReader(second);
            if (way == std::string_view("ftruncate")) {
              found[step] = Said(ftruncate(fd.get(), kPage - 1));
            } else if (way == std::string_view("truncate")) {
              found[step] = Said(truncate(path.c_str(), kPage - 1));
            } else {
              Open(path, O_WRONLY | O_TRUNC);
            }
            found[step + " after"] = EndOfReader(second);
            found[step + " first page"] = EndOfReader(&map[kPage - 1]);
            found[step + " grows"] = Said(ftruncate(fd.get(), 2 * kPage));
            found[step + " grown"] = EndOfReader(second);
          }
        }
      }
      return found;
    });
  });
}

// A truncation in the source itself, which the mount's kernel knows nothing of.
TEST_P(PassthroughMappingTest, TheSourceTruncatesBelowAMapping) {
  if (!backed()) GTEST_SKIP() << "the mount has pages of its own";
  WriteFile(source_ + "/file", std::string(2 * kPage, 'f'));
  Mount();
  UniqueFd fd = Open(mnt_ + "/file", O_RDWR);
  Map map(fd.get(), 2 * kPage, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(map.good());
  EXPECT_EQ(EndOfReader(&map[kPage]), "2");
  ASSERT_EQ(truncate((source_ + "/file").c_str(), kPage), 0);
  EXPECT_EQ(EndOfReader(&map[kPage]), std::to_string(128 + SIGBUS));
}

}  // namespace
}  // namespace barefuse
