// A source that contains the place where it is mounted, one way or another:
// nothing waits for itself, and nothing contains itself for ever.
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "tests/kernel/program_fixture.h"
#include "tests/testing/files.h"

namespace barefuse::testing {
namespace {

class PassthroughSelfTest : public ProgramFixture {
 protected:
  ~PassthroughSelfTest() override {
    for (pid_t child : Children()) {
      kill(child, SIGTERM);
      WaitFor(child);
    }
  }
  void Serve(const std::string& source, const std::string& mountpoint) {
    const Ended ended = Barefuse({"passthrough", source, mountpoint});
    ASSERT_EQ(ended.status, 0) << ended.err;
  }
  // What find says of a tree; it ends within a time.
  Ended Find(const std::string& path) {
    Ended found = RunToEnd({"timeout", "-s", "KILL", "60", "find", path});
    EXPECT_EQ(found.status, 0) << found.err;
    return found;
  }
  static size_t Lines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  void Unmount(const std::string& path) {
    EXPECT_EQ(umount2(path.c_str(), 0), 0) << strerror(errno);
    for (pid_t child : Children()) EXPECT_EQ(WaitFor(child), 0);
  }
};

TEST_F(PassthroughSelfTest, TheMountpointIsInTheSource) {
  const std::string source = dir_.MakeDir("src");
  const std::string inside = dir_.MakeDir("src/inside");
  WriteFile(source + "/file", "content");
  WriteFile(inside + "/covered", "");
  Serve(source, inside);
  const Ended found = Find(inside);
  // Itself, the file, the directory and what the mount covers.
  EXPECT_EQ(Lines(found.out), 4u) << found.out;
  WriteFile(inside + "/new", "made");
  EXPECT_EQ(ReadFile(source + "/new"), "made");
  EXPECT_EQ(ReadFile(inside + "/inside/covered"), "");
  Unmount(inside);
}

TEST_F(PassthroughSelfTest, TheMountpointIsTheSource) {
  const std::string source = dir_.MakeDir("src");
  WriteFile(source + "/file", "content");
  Serve(source, source);
  EXPECT_EQ(Lines(Find(source).out), 2u);
  EXPECT_EQ(ReadFile(source + "/file"), "content");
  WriteFile(source + "/new", "made");
  Unmount(source);
  EXPECT_EQ(ReadFile(source + "/new"), "made");
}

TEST_F(PassthroughSelfTest, TheSourceIsInTheMountpoint) {
  const std::string outer = dir_.MakeDir("outer");
  const std::string source = dir_.MakeDir("outer/src");
  WriteFile(source + "/file", "content");
  Serve(source, outer);
  EXPECT_EQ(Lines(Find(outer).out), 2u);
  WriteFile(outer + "/new", "made");
  Unmount(outer);
  EXPECT_EQ(ReadFile(source + "/new"), "made");
}

TEST_F(PassthroughSelfTest, TheSourceIsEverything) {
  WriteFile(dir_ / "file", "content");
  Serve("/", mnt_);
  const std::string seen = mnt_ + dir_.path();
  const Ended found = Find(seen);
  EXPECT_EQ(Lines(found.out), 3u) << found.out;
  EXPECT_EQ(ReadFile(seen + "/file"), "content");
  EXPECT_EQ(RunToEnd({"timeout", "-s", "KILL", "60", "ls", "-la", mnt_}).status,
            0);
  // A second one shows the first, which does not show the second.
  const std::string second = dir_.MakeDir("second");
  Serve("/", second);
  const std::string first_in_second = second + mnt_ + dir_.path();
  EXPECT_EQ(ReadFile(first_in_second + "/file"), "content");
  EXPECT_EQ(access((first_in_second + "/second").c_str(), F_OK), 0);
  EXPECT_NE(access((first_in_second + "/second/tmp").c_str(), F_OK), 0);
  EXPECT_EQ(umount2(second.c_str(), 0), 0);
  EXPECT_EQ(umount2(mnt_.c_str(), MNT_DETACH), 0);
}

// A mount is seen wherever its place is bound to, where mounts are shared.
TEST_F(PassthroughSelfTest, TheMountpointIsInTheSourceByAnotherName) {
  const std::string source = dir_.MakeDir("src");
  const std::string alias = dir_.MakeDir("alias");
  ASSERT_EQ(mount("tmpfs", source.c_str(), "tmpfs", 0, "size=1m"), 0);
  ASSERT_EQ(mount("", source.c_str(), nullptr, MS_SHARED, nullptr), 0);
  ASSERT_EQ(mount(source.c_str(), alias.c_str(), nullptr, MS_BIND, nullptr), 0);
  Check(mkdir((source + "/inside").c_str(), 0755) == 0, "inside");
  WriteFile(source + "/file", "content");
  Serve(source, alias + "/inside");
  EXPECT_EQ(ReadFile(alias + "/inside/file"), "content");
  // The directory that is covered, not the mount in itself.
  EXPECT_NE(access((alias + "/inside/inside/file").c_str(), F_OK), 0);
  EXPECT_EQ(Lines(Find(alias + "/inside").out), 3u);
  for (const std::string& path : {source + "/inside", alias + "/inside"}) {
    umount2(path.c_str(), MNT_DETACH);
  }
}

}  // namespace
}  // namespace barefuse::testing
