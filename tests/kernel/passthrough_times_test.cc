// When reading moves access times, which is the source's own affair.
#include <dirent.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>

#include "tests/kernel/passthrough_twins.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using testing::WriteFile;

constexpr size_t kPage = 4096;

struct ReadWay {
  const char* name;
  int flags;
  std::function<long(int fd)> run;
};

long ReadMapped(int fd) {
  void* const map = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return -1;
  const char seen = *static_cast<volatile char*>(map);
  munmap(map, kPage);
  return seen;
}

const std::vector<ReadWay>& ReadWays() {
  static const auto read_one = [](int fd) -> long {
    AlignedBuffer block(kPage);
    return pread(fd, block.data(), kPage, 0);
  };
  static const auto* const ways = new std::vector<ReadWay>{
      {"read", O_RDONLY, read_one},
      {"read with O_NOATIME", O_RDONLY | O_NOATIME, read_one},
      {"read with O_DIRECT", O_RDONLY | O_DIRECT, read_one},
      {"read with O_DIRECT and O_NOATIME", O_RDONLY | O_DIRECT | O_NOATIME,
       read_one},
      {"read with O_RDWR", O_RDWR, read_one},
      {"read of nothing", O_RDONLY,
       [](int fd) -> long {
         char c;
         return pread(fd, &c, 1, 1 << 20);
       }},
      {"sendfile", O_RDONLY,
       [](int fd) -> long {
         UniqueFd to(memfd_create("to", MFD_CLOEXEC));
         off_t at = 0;
         return sendfile(to.get(), fd, &at, kPage);
       }},
      {"splice", O_RDONLY,
       [](int fd) -> long {
         int ends[2];
         if (pipe2(ends, O_CLOEXEC) != 0) return -1;
         UniqueFd out(ends[0]), in(ends[1]);
         loff_t at = 0;
         return splice(fd, &at, in.get(), nullptr, 100, 0);
       }},
      {"a mapping", O_RDONLY, ReadMapped},
      {"a mapping with O_NOATIME", O_RDONLY | O_NOATIME, ReadMapped},
      {"opening", O_RDONLY, [](int) -> long { return 0; }},
  };
  return *ways;
}

// Access times that a relatime mount leaves alone, and those that it moves.
struct Before {
  const char* name;
  timespec atime, mtime;
};
std::vector<Before> TimesBefore() {
  const time_t now = time(nullptr);
  return {
      {"read after it was written", {now - 50, 0}, {now - 100, 0}},
      {"written after it was read", {now - 100, 0}, {now - 50, 0}},
      {"read days ago", {now - 3 * 86400, 0}, {now - 4 * 86400, 0}},
  };
}

class PassthroughTimesTest : public TwinTest {
 protected:
  // Whether each way to read moves the access time, as told by all views.
  void ExpectSameAccessTimes() {
    ExpectAsOnSource([&](const std::string& root) {
      Findings found;
      for (const Before& before : TimesBefore()) {
        for (const ReadWay& way : ReadWays()) {
          if (IsOfTheSourceAlone(way)) continue;
          const std::string step = std::string(way.name) + ", " + before.name;
          const std::string path = root + "/" + step;
          WriteFile(path, std::string(kPage, 'f'));
          SetTimes(path, before);
          UniqueFd fd = Open(path, way.flags);
          Stat(fd);  // cached now
          found[step + " result"] = Number(way.run(fd.get()));
          NoteAccess(step, path, Stat(fd), before, &found);
        }
        NoteOthers(root, before, &found);
      }
      return found;
    });
  }

 private:
  // What the source does as it happens, or is never asked for.
  bool IsOfTheSourceAlone(const ReadWay& way) {
    // Direct reads of btrfs leave the time alone, unless they go through pages
    // after all.
    if (GetParam().type == "btrfs" && (way.flags & O_DIRECT) != 0) return true;
    // With pages of its own the kernel knows the end of the file.
    return !backed() && std::string_view(way.name) == "read of nothing";
  }
  static void SetTimes(const std::string& path, const Before& before) {
    const timespec times[] = {before.atime, before.mtime};
    testing::Check(
        utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0,
        path);
  }
  void NoteAccess(const std::string& step, const std::string& path,
                  const struct stat& by_fstat, const Before& before,
                  Findings* found) {
    const auto moved = [&](const struct stat& info) {
      return FileTime(info.st_atim) == FileTime(before.atime) ? "stays"
                                                              : "moves";
    };
    (*found)[step + ", fstat"] = moved(by_fstat);
    (*found)[step + ", stat"] = moved(testing::Stat(path));
    if (path.starts_with(mnt_)) {
      const struct stat own = testing::Stat(source_ + path.substr(mnt_.size()));
      EXPECT_EQ(FileTime(by_fstat.st_atim), FileTime(own.st_atim)) << step;
      EXPECT_EQ(moved(own), moved(by_fstat)) << step;
    }
  }
  // Directories and symlinks have access times too.
  void NoteOthers(const std::string& root, const Before& before,
                  Findings* found) {
    const std::string dir = root + "/dir, " + before.name;
    const std::string link = root + "/link, " + before.name;
    testing::Check(
        mkdir(dir.c_str(), 0755) == 0 && symlink("target", link.c_str()) == 0,
        dir);
    WriteFile(dir + "/file", "");
    SetTimes(dir, before);
    SetTimes(link, before);
    testing::Stat(dir);
    Names(dir);
    NoteAccess(std::string("a listing, ") + before.name, dir,
               testing::Stat(dir), before, found);
    char target[10];
    testing::Check(readlink(link.c_str(), target, sizeof target) == 6, link);
    NoteAccess(std::string("readlink, ") + before.name, link,
               testing::Stat(link), before, found);
  }
};
INSTANTIATE_SETTINGS(PassthroughTimesTest);

TEST_P(PassthroughTimesTest, AccessTimesAreRelative) {
  RemountSource(MS_RELATIME);
  Mount();
  ExpectSameAccessTimes();
}

TEST_P(PassthroughTimesTest, AccessTimesAreStrict) {
  RemountSource(MS_STRICTATIME);
  Mount();
  ExpectSameAccessTimes();
}

TEST_P(PassthroughTimesTest, AccessTimesDoNotMove) {
  RemountSource(MS_NOATIME);
  Mount();
  ExpectSameAccessTimes();
}

TEST_P(PassthroughTimesTest, AccessTimesOfDirectoriesDoNotMove) {
  RemountSource(MS_NODIRATIME | MS_STRICTATIME);
  Mount();
  ExpectSameAccessTimes();
}

// O_NOATIME is the owner's.
TEST_P(PassthroughTimesTest, OnlyTheOwnerReadsWithoutATrace) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    const std::string path = root + "/file";
    WriteFile(path, "content");
    testing::Check(chown(path.c_str(), 1000, 1000) == 0, path);
    for (const uid_t uid : {0u, 1000u, 1001u}) {
      found[std::to_string(uid)] =
          strerrorname_np(As({uid, uid}, [&] {
                            return TryOpen(path, O_RDONLY | O_NOATIME);
                          }).value);
    }
    return found;
  });
}

}  // namespace
}  // namespace barefuse
