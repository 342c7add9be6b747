// The life of a session on a real kernel: ways in, ways out, nothing left.
#include "server/session.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "server/backing_file.h"
#include "tests/testing/files.h"

namespace barefuse {
namespace {

using barefuse::testing::MountsBelow;
using barefuse::testing::OpenDescriptors;
using barefuse::testing::TempDir;
using barefuse::testing::Threads;

// A root directory, and in it whatever is looked up: files without content.
class AnyName : public FileSystem {
 public:
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr = Attr(request.node());
    std::move(reply).Ok(out);
  }
  void Lookup(const LookupRequest& request, EntryReply reply) override {
    if (request->name == "dropped") return;
    if (request->name == "absent") return std::move(reply).Error(ENOENT);
    abi::fuse_entry_out entry{};
    entry.nodeid = 2;
    entry.attr = Attr(2);
    if (request->name == "refused") entry.attr.mode = 0;
    std::move(reply).Ok(entry);
  }

 private:
  static abi::fuse_attr Attr(NodeId node) {
    abi::fuse_attr attr{};
    attr.ino = node;
    attr.mode = node == abi::FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    attr.nlink = 1;
    return attr;
  }
};

// Collects what a session logs.
class Lines {
 public:
  LogSink Sink() {
    return [this](LogLevel, std::string_view line) {
      std::lock_guard<std::mutex> lock(mutex_);
      text_ += line;
      text_ += '\n';
    };
  }
  bool Contain(std::string_view text) {
    std::lock_guard<std::mutex> lock(mutex_);
    return text_.find(text) != text_.npos;
  }
  std::string text() {
    std::lock_guard<std::mutex> lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

class SessionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Session> Mounted(SessionOptions options = {}) {
    options.log = lines_.Sink();
    auto session = Session::Mount(std::make_shared<AnyName>(), mountpoint_,
                                  std::move(options));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  // The errno of looking at NAME below the mount, or 0.
  int Look(std::string_view name) {
    struct stat info;
    return lstat((mountpoint_ + "/" + std::string(name)).c_str(), &info) == 0
               ? 0
               : errno;
  }
  std::string AbortFile() {
    struct stat info = testing::Stat(mountpoint_);
    return "/sys/fs/fuse/connections/" + std::to_string(minor(info.st_dev)) +
           "/abort";
  }

  Lines lines_;
  TempDir dir_;
  std::string mountpoint_ = dir_.MakeDir("mnt");
};

TEST_F(SessionTest, ServesAndCounts) {
  auto session = Mounted();
  EXPECT_EQ(Look("x"), 0);
  EXPECT_EQ(Look("absent"), ENOENT);
  EXPECT_EQ(session->terms().dialect.minor,
            std::min(session->terms().offer.minor, 45u));
  Statistics statistics = session->statistics();
  EXPECT_EQ(statistics.operations[abi::FUSE_LOOKUP].requests, 2u);
  EXPECT_EQ(statistics.operations[abi::FUSE_LOOKUP].errors, 1u);
}

TEST_F(SessionTest, ADroppedReplyIsEio) {
  auto session = Mounted();
  EXPECT_EQ(Look("dropped"), EIO);
  EXPECT_EQ(session->statistics().dropped_replies, 1u);
  EXPECT_EQ(Look("x"), 0);
}

TEST_F(SessionTest, EndsWhenStopped) {
  auto session = Mounted();
  pollfd done{session->done_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&done, 1, 0), 0);
  session->Stop();
  EXPECT_EQ(poll(&done, 1, 0), 1);
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kStopped);
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kStopped);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(SessionTest, EndsWhenUnmounted) {
  auto session = Mounted();
  ASSERT_EQ(umount(mountpoint_.c_str()), 0);
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kUnmounted);
}

TEST_F(SessionTest, EndsWhenAborted) {
  // Its own instance of the control filesystem, in this test's namespace.
  mount("none", "/sys/fs/fuse/connections", "fusectl", 0, nullptr);
  auto session = Mounted();
  testing::WriteFile(AbortFile(), "1");
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kAborted);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(SessionTest, EndsWithItsObject) {
  Mounted();
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(SessionTest, IsDetachedWhileInUse) {
  auto session = Mounted();
  UniqueFd busy(open(mountpoint_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(umount(mountpoint_.c_str()), -1);
  EXPECT_EQ(errno, EBUSY);
  EXPECT_EQ(Look("x"), 0);
  session->Stop();
  EXPECT_EQ(session->Wait().kind, StopReason::Kind::kStopped);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
  struct stat info;
  EXPECT_EQ(fstatat(busy.get(), "y", &info, 0), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

TEST_F(SessionTest, LeavesAnotherMountAtItsPlaceAlone) {
  auto session = Mounted();
  ASSERT_EQ(mount("none", mountpoint_.c_str(), "tmpfs", 0, nullptr), 0);
  session->Stop();
  session->Wait();
  session.reset();
  EXPECT_FALSE(MountsBelow(dir_.path()).empty());
  EXPECT_TRUE(lines_.Contain("another mount covers it")) << lines_.text();
}

TEST_F(SessionTest, IsUnmountedWhereverItHasBeenMovedTo) {
  const std::string parent = dir_.MakeDir("parent");
  mountpoint_ = dir_.MakeDir("parent/mnt");
  auto session = Mounted();
  ASSERT_EQ(rename(parent.c_str(), (dir_ / "renamed").c_str()), 0);
  session.reset();
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(SessionTest, LeavesAMountThatHasTakenItsPlaceAlone) {
  // Ids of mounts that are gone are given out again.
  for (int i = 0; i < 10; ++i) {
    auto session = Mounted();
    ASSERT_EQ(umount(mountpoint_.c_str()), 0);
    ASSERT_EQ(mount("none", mountpoint_.c_str(), "tmpfs", 0, nullptr), 0);
    session->Wait();
    session.reset();
    EXPECT_EQ(umount(mountpoint_.c_str()), 0) << strerror(errno);
  }
}

class NotConnected : public FileSystem {
  void Getattr(const GetattrRequest&, AttrReply reply) override {
    std::move(reply).Error(ENOTCONN);
  }
};

TEST_F(SessionTest, DetachesNoLiveMountThatAnswersLikeADeadOne) {
  SessionOptions options;
  options.mount.subtype = "other";
  auto first = Session::Mount(std::make_shared<NotConnected>(), mountpoint_,
                              std::move(options));
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = Session::Mount(std::make_shared<AnyName>(), mountpoint_, {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().message(),
            mountpoint_ +
                ": the fuse.other mount there does not answer "
                "(Transport endpoint is not connected); unmount it "
                "first");
  EXPECT_EQ(MountsBelow(dir_.path()).size(), 1u);
}

TEST_F(SessionTest, LeavesNothingBehind) {
  Mounted();  // whatever libraries keep for good
  const size_t descriptors = OpenDescriptors();
  const size_t threads = Threads();
  for (int i = 0; i < 20; ++i) {
    auto session = Mounted();
    EXPECT_EQ(Look("x"), 0);
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(Threads(), threads);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(SessionTest, SeveralLiveInOneProcess) {
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::string> places;
  for (int i = 0; i < 8; ++i) {
    places.push_back(dir_.MakeDir(std::to_string(i)));
    auto session = Session::Mount(std::make_shared<AnyName>(), places.back(),
                                  {.workers = 2});
    ASSERT_TRUE(session.ok()) << session.status();
    sessions.push_back(*std::move(session));
  }
  for (size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(access((places[i] + "/x").c_str(), F_OK), 0);
    EXPECT_GE(sessions[i]->statistics().operations[abi::FUSE_LOOKUP].requests,
              1u);
  }
  sessions[3].reset();
  EXPECT_EQ(access((places[4] + "/y").c_str(), F_OK), 0);
}

TEST_F(SessionTest, WorkersCloneTheDeviceOrShareIt) {
  {
    auto session = Mounted({.workers = 3});
    EXPECT_EQ(session->workers(), 3u);
    EXPECT_TRUE(session->cloned());
    EXPECT_EQ(Look("x"), 0);
  }
  auto session = Mounted({.workers = 3, .clone_device = false});
  EXPECT_FALSE(session->cloned());
  EXPECT_EQ(Look("x"), 0);
}

// Something else stands where the device was when the workers want clones.
class HidesTheDevice : public AnyName {
 public:
  void Init(Connection&) override {
    testing::Check(
        mount("/dev/null", "/dev/fuse", nullptr, MS_BIND, nullptr) == 0,
        "mount over /dev/fuse");
  }
};

TEST_F(SessionTest, WorkersShareTheDeviceWhereCloningIsRefused) {
  SessionOptions options;
  options.workers = 3;
  options.log = lines_.Sink();
  auto session = Session::Mount(std::make_shared<HidesTheDevice>(), mountpoint_,
                                std::move(options));
  ASSERT_EQ(umount("/dev/fuse"), 0);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_FALSE((*session)->cloned());
  EXPECT_EQ((*session)->workers(), 3u);
  EXPECT_TRUE(lines_.Contain("cannot clone the FUSE device")) << lines_.text();
  EXPECT_TRUE(lines_.Contain("the workers share one descriptor"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Look("x"), 0);
}

class WantsPassthrough : public AnyName {
  uint64_t WantedCapabilities() const override {
    return AnyName::WantedCapabilities() | abi::FUSE_PASSTHROUGH;
  }
};

TEST_F(SessionTest, BackingFilesAreOpenedAndClosed) {
  auto mounted =
      Session::Mount(std::make_shared<WantsPassthrough>(), mountpoint_, {});
  ASSERT_TRUE(mounted.ok()) << mounted.status();
  std::unique_ptr<Session> session = *std::move(mounted);
  testing::WriteFile(dir_ / "file", "x");
  UniqueFd fd(open((dir_ / "file").c_str(), O_PATH | O_CLOEXEC));
  absl::StatusOr<BackingFile> backing =
      session->connection().OpenBacking(fd.get());
  ASSERT_TRUE(backing.ok()) << backing.status();
  EXPECT_GT(backing->id(), 0);
  absl::StatusOr<BackingFile> again =
      session->connection().OpenBacking(fd.get());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->id(), backing->id());
  // Only regular files will do.
  UniqueFd directory(open(dir_.path().c_str(), O_PATH | O_CLOEXEC));
  EXPECT_FALSE(session->connection().OpenBacking(directory.get()).ok());
  EXPECT_FALSE(session->connection().OpenBacking(-1).ok());

  EXPECT_EQ(session->statistics().backing_opens, 2u);
  BackingFile moved = *std::move(again);
  again = absl::CancelledError();
  EXPECT_EQ(session->statistics().backing_closes, 0u);
  backing = absl::CancelledError();
  EXPECT_EQ(session->statistics().backing_closes, 1u);
  // One that outlives its session has nothing left to close.
  session.reset();
}

// Takes what creating requests carry behind their names.
class TakesExtensions : public AnyName {
 public:
  uint64_t WantedCapabilities() const override {
    return AnyName::WantedCapabilities() | abi::FUSE_SECURITY_CTX |
           abi::FUSE_CREATE_SUPP_GROUP;
  }
  void Lookup(const LookupRequest&, EntryReply reply) override {
    std::move(reply).Error(ENOENT);
  }
  void Mkdir(const MkdirRequest& request, EntryReply reply) override {
    name = request->name;
    size = request->extensions.bytes.size();
    std::move(reply).Error(EDQUOT);
  }
  std::string name;
  size_t size = 0;
};

TEST_F(SessionTest, ExtensionsOfCreationsArrive) {
  auto file_system = std::make_shared<TakesExtensions>();
  auto session = Session::Mount(file_system, mountpoint_, {.workers = 1});
  ASSERT_TRUE(session.ok()) << session.status();
  if (!(*session)->terms().Has(abi::FUSE_SECURITY_CTX)) {
    GTEST_SKIP() << "the kernel does not offer FUSE_SECURITY_CTX";
  }
  EXPECT_EQ(mkdir((mountpoint_ + "/dir").c_str(), 0755), -1);
  EXPECT_EQ(errno, EDQUOT);
  session->reset();
  EXPECT_EQ(file_system->name, "dir");
  // At least the header that says how many contexts there are.
  EXPECT_GE(file_system->size, sizeof(abi::fuse_secctx_header));
}

TEST_F(SessionTest, StartFailuresAreSentences) {
  auto fails = [&](const std::string& mountpoint, SessionOptions options = {}) {
    auto session = Session::Mount(std::make_shared<AnyName>(), mountpoint,
                                  std::move(options));
    EXPECT_FALSE(session.ok());
    return std::string(session.status().message());
  };
  EXPECT_EQ(fails(dir_ / "nowhere"),
            dir_ / "nowhere" + ": No such file or directory");
  testing::WriteFile(dir_ / "file", "");
  EXPECT_EQ(fails(dir_ / "file"), dir_ / "file" + ": not a directory");
  EXPECT_NE(fails(mountpoint_, {.workers = 5000}).find("workers"),
            std::string::npos);
  EXPECT_NE(fails(mountpoint_, {.slots_per_worker = 1}).find("slots"),
            std::string::npos);
  EXPECT_NE(fails(mountpoint_, {.max_write = 100}).find("max_write"),
            std::string::npos);
  EXPECT_NE(fails(mountpoint_, {.backing_depth = 2}).find("depth"),
            std::string::npos);
  EXPECT_TRUE(MountsBelow(dir_.path()).empty());
}

TEST_F(SessionTest, DebugOutputShowsInitAndEachRequest) {
  auto session = Mounted({.debug = true});
  EXPECT_EQ(Look("x"), 0);
  session.reset();
  EXPECT_TRUE(lines_.Contain("INIT node=0 major=7")) << lines_.text();
  EXPECT_TRUE(lines_.Contain("INIT = OK major=7")) << lines_.text();
  EXPECT_TRUE(lines_.Contain("max_stack_depth=")) << lines_.text();
  EXPECT_TRUE(lines_.Contain("LOOKUP node=1 uid=0 gid=0")) << lines_.text();
  EXPECT_TRUE(lines_.Contain("LOOKUP = OK nodeid=2")) << lines_.text();
}

class WantsBoth : public AnyName {
  uint64_t WantedCapabilities() const override {
    return AnyName::WantedCapabilities() | abi::FUSE_WRITEBACK_CACHE |
           abi::FUSE_PASSTHROUGH;
  }
};

TEST_F(SessionTest, SaysThatWritebackCacheExcludesPassthrough) {
  SessionOptions options;
  options.log = lines_.Sink();
  auto session = Session::Mount(std::make_shared<WantsBoth>(), mountpoint_,
                                std::move(options));
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE(
      lines_.Contain("FUSE_PASSTHROUGH: excluded by FUSE_WRITEBACK_CACHE"))
      << lines_.text();
  auto backing = (*session)->connection().OpenBacking(0);
  EXPECT_EQ(backing.status().message(),
            "no passthrough: excluded by FUSE_WRITEBACK_CACHE");
}

// The time that the process has had on a processor.
absl::Duration ProcessorTime() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

TEST_F(SessionTest, UsesNoProcessorWhenIdle) {
  auto session = Mounted({.workers = 4});
  EXPECT_EQ(Look("x"), 0);
  const absl::Duration before = ProcessorTime();
  // Nothing happens for a second; the session does not end.
  pollfd done{session->done_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&done, 1, 1000), 0);
  EXPECT_LT(ProcessorTime() - before, absl::Milliseconds(5));
}

}  // namespace
}  // namespace barefuse
