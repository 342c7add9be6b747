// What the kernel may keep of a passthrough mount, by mode.
#include <dirent.h>
#include <sys/mman.h>

#include <set>
#include <string>

#include "tests/kernel/passthrough_fixture.h"

using barefuse::testing::ReadFile;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

namespace barefuse {
namespace {

class PassthroughCacheTest : public PassthroughTest {
 protected:
  std::string Mnt(const std::string& name) const { return mnt_ + "/" + name; }
  std::string Source(const std::string& name) const {
    return source_ + "/" + name;
  }
  std::set<std::string> List(const std::string& path) {
    std::set<std::string> names;
    DIR* stream = opendir(path.c_str());
    EXPECT_NE(stream, nullptr) << path;
    if (stream == nullptr) return names;
    while (const dirent* entry = readdir(stream)) names.insert(entry->d_name);
    closedir(stream);
    return names;
  }
  uint64_t Listings() {
    return Requests(abi::FUSE_READDIR) + Requests(abi::FUSE_READDIRPLUS);
  }
};

TEST_F(PassthroughCacheTest, NeverAsksForAttributesEveryTime) {
  WriteFile(Source("file"), "1");
  Mount({.cache = CacheMode::kNever});
  for (const char* content : {"12", "123", "1234"}) {
    WriteFile(Source("file"), content);
    EXPECT_EQ(Stat(Mnt("file")).st_size,
              static_cast<off_t>(std::string(content).size()));
  }
}

TEST_F(PassthroughCacheTest, NeverLooksNamesUpEveryTime) {
  Mount({.cache = CacheMode::kNever});
  EXPECT_NE(access(Mnt("file").c_str(), F_OK), 0);
  WriteFile(Source("file"), "");
  EXPECT_EQ(access(Mnt("file").c_str(), F_OK), 0);
  ASSERT_EQ(unlink(Source("file").c_str()), 0);
  EXPECT_NE(access(Mnt("file").c_str(), F_OK), 0);
}

TEST_F(PassthroughCacheTest, NeverReadsDataOfOpenFilesAnew) {
  WriteFile(Source("file"), "before");
  Mount({.passthrough = false, .cache = CacheMode::kNever});
  UniqueFd fd = Open("file", O_RDONLY);
  EXPECT_EQ(ReadAt(fd, 0, 6), "before");
  // In place, so that neither size nor inode tell.
  UniqueFd source(open(Source("file").c_str(), O_WRONLY | O_CLOEXEC));
  WriteAt(source, 0, "after!");
  EXPECT_EQ(ReadAt(fd, 0, 6), "after!");
  // Mappings work beside that.
  void* map = mmap(nullptr, 6, PROT_READ, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED) << strerror(errno);
  EXPECT_EQ(std::string(static_cast<char*>(map), 6), "after!");
  munmap(map, 6);
}

TEST_F(PassthroughCacheTest, AutoTrustsForItsTimeout) {
  WriteFile(Source("file"), "1");
  Mount({.timeout = absl::Hours(1)});
  EXPECT_EQ(Stat(Mnt("file")).st_size, 1);
  WriteFile(Source("file"), "12");
  EXPECT_EQ(Stat(Mnt("file")).st_size, 1);
}

TEST_F(PassthroughCacheTest, AttributesHaveATimeoutOfTheirOwn) {
  WriteFile(Source("file"), "1");
  Mount({.timeout = absl::Hours(1), .attr_timeout = absl::ZeroDuration()});
  EXPECT_EQ(Stat(Mnt("file")).st_size, 1);
  WriteFile(Source("file"), "12");
  EXPECT_EQ(Stat(Mnt("file")).st_size, 2);
  // The name is still trusted.
  WriteFile(Source("other"), "123");
  ASSERT_EQ(rename(Source("other").c_str(), Source("file").c_str()), 0);
  EXPECT_EQ(Stat(Mnt("file")).st_size, 2);
}

TEST_F(PassthroughCacheTest, AutoKeepsTheDataOfAFileThatHasNotChanged) {
  source_ = "/usr/bin";  // with a file that is not of today
  Mount({.passthrough = false});
  const std::string content = ReadFile(Mnt("env"));
  EXPECT_EQ(ReadFile(Mnt("env")), content);
  const uint64_t reads = Requests(abi::FUSE_READ);
  EXPECT_GT(reads, 0u);
  EXPECT_EQ(ReadFile(Mnt("env")), content);
  EXPECT_EQ(Requests(abi::FUSE_READ), reads);
}

TEST_F(PassthroughCacheTest, AutoDropsTheDataOfAFileThatMayHaveChanged) {
  WriteFile(Source("file"), "before");
  Mount({.passthrough = false, .timeout = absl::Hours(1)});
  // Of one size, and within a step of the clock.
  for (const char* content : {"after1", "after2", "after3"}) {
    WriteFile(Source("file"), content);
    EXPECT_EQ(ReadFile(Mnt("file")), content);
  }
}

TEST_F(PassthroughCacheTest, AlwaysKeepsDataAndEntries) {
  WriteFile(Source("file"), "before");
  Mount({.passthrough = false, .cache = CacheMode::kAlways});
  EXPECT_EQ(ReadFile(Mnt("file")), "before");
  const uint64_t reads = Requests(abi::FUSE_READ);
  EXPECT_EQ(ReadFile(Mnt("file")), "before");
  EXPECT_EQ(Requests(abi::FUSE_READ), reads);

  const std::set<std::string> names = {".", "..", "file"};
  EXPECT_EQ(List(mnt_), names);
  const uint64_t listings = Listings();
  EXPECT_EQ(List(mnt_), names);
  EXPECT_EQ(Listings(), listings);
}

TEST_F(PassthroughCacheTest, AlwaysSeesWhatIsDoneThroughTheMount) {
  Mount({.cache = CacheMode::kAlways});
  EXPECT_EQ(List(mnt_), (std::set<std::string>{".", ".."}));
  WriteFile(Mnt("one"), "1");
  EXPECT_EQ(List(mnt_), (std::set<std::string>{".", "..", "one"}));
  EXPECT_EQ(ReadFile(Mnt("one")), "1");
  WriteFile(Mnt("one"), "12");
  EXPECT_EQ(ReadFile(Mnt("one")), "12");
  EXPECT_EQ(Stat(Mnt("one")).st_size, 2);
  ASSERT_EQ(rename(Mnt("one").c_str(), Mnt("two").c_str()), 0);
  EXPECT_EQ(List(mnt_), (std::set<std::string>{".", "..", "two"}));
  ASSERT_EQ(symlink("two", Mnt("link").c_str()), 0);
  EXPECT_EQ(ReadFile(Mnt("link")), "12");
}

TEST_F(PassthroughCacheTest, WritebackGathersWrites) {
  Mount({.writeback = true});
  EXPECT_NE(log().find("no passthrough, reads and writes go through the "
                       "server: excluded by FUSE_WRITEBACK_CACHE"),
            std::string::npos)
      << log();
  {
    UniqueFd fd = Open("file", O_CREAT | O_WRONLY);
    for (int i = 0; i < 1000; ++i) WriteAt(fd, i, "x");
    EXPECT_EQ(Stat(Mnt("file")).st_size, 1000);
    ASSERT_EQ(fsync(fd.get()), 0);
  }
  EXPECT_EQ(ReadFile(Source("file")), std::string(1000, 'x'));
  EXPECT_LT(Requests(abi::FUSE_WRITE), 10u);
}

// A write to a part of a page reads the rest of it first.
TEST_F(PassthroughCacheTest, WritebackReadsThroughHandlesThatOnlyWrite) {
  WriteFile(Source("file"), std::string(5000, 'a'));
  ASSERT_EQ(chmod(Source("file").c_str(), 0200), 0);
  Mount({.writeback = true});
  {
    UniqueFd fd = Open("file", O_WRONLY);
    WriteAt(fd, 100, "bbb");
    UniqueFd append = Open("file", O_WRONLY | O_APPEND);
    EXPECT_EQ(write(append.get(), "end", 3), 3) << strerror(errno);
    ASSERT_EQ(fsync(fd.get()), 0) << strerror(errno);
  }
  std::string expected = std::string(5000, 'a') + "end";
  expected.replace(100, 3, "bbb");
  EXPECT_EQ(ReadFile(Source("file")), expected);
}

TEST_F(PassthroughCacheTest, WritebackTakesNoModeWithoutACache) {
  for (PassthroughOptions options :
       {PassthroughOptions{.direct_io = true, .writeback = true},
        PassthroughOptions{.cache = CacheMode::kNever, .writeback = true}}) {
    options.source = source_;
    auto made = Passthrough::Create(options);
    ASSERT_FALSE(made.ok());
    EXPECT_NE(made.status().message().find("choose one"), std::string::npos);
  }
}

// The kernel trusts attributes for an hour, but not of a file whose mapping may
// be stored to.
TEST_F(PassthroughCacheTest, StoresToMappingsShowInTheTimes) {
  WriteFile(Source("file"), std::string(4096, 'a'));
  const timespec old[] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, Source("file").c_str(), old, 0), 0);
  Mount({.timeout = absl::Hours(1)});
  EXPECT_EQ(Stat(Mnt("file")).st_mtim.tv_sec, 1000);
  UniqueFd fd = Open("file", O_RDWR);
  void* map =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  EXPECT_EQ(Stat(Mnt("file")).st_mtim.tv_sec, 1000);
  static_cast<char*>(map)[0] = 'b';
  ASSERT_EQ(msync(map, 4096, MS_SYNC), 0);
  const struct stat mounted = Stat(Mnt("file"));
  EXPECT_EQ(mounted.st_mtim.tv_sec, Stat(Source("file")).st_mtim.tv_sec);
  EXPECT_GT(mounted.st_mtim.tv_sec, 1000);
  munmap(map, 4096);
}

}  // namespace
}  // namespace barefuse
