// Notifications about names, about requests, and those that are refused. Those
// about content are in operations_page_cache_test.cc.
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include <vector>

#include "tests/kernel/suite_locks.h"
#include "tests/kernel/suite_memfs.h"
#include "tests/testing/kernel_test.h"

namespace barefuse {
namespace {

using testing::MountsBelow;
using testing::ReadFile;
using testing::WriteFile;

constexpr uint64_t kNoNode = 123456789;

class OperationsNotify : public MemfsSuite {
 protected:
  Error Remove(std::string_view name) {
    return BehindTheKernel(OpenRoot(),
                           {.kind = MEMFS_POKE_REMOVE, .name = name});
  }
  Error Rename(std::string_view name, std::string_view to) {
    return BehindTheKernel(OpenRoot(),
                           {.kind = MEMFS_POKE_RENAME, .name = name, .to = to});
  }
  Error Invalidate(std::string_view name) {
    return Notify(OpenRoot(), {.kind = MEMFS_NOTIFY_INVAL_ENTRY, .name = name});
  }
  Error Expire(std::string_view name) {
    return Notify(OpenRoot(),
                  {.kind = MEMFS_NOTIFY_EXPIRE_ENTRY, .name = name});
  }
  Error Delete(std::string_view name, uint64_t child) {
    return Notify(OpenRoot(),
                  {.kind = MEMFS_NOTIFY_DELETE, .name = name, .nodeid = child});
  }
  uint64_t NodeId(std::string_view name) {
    return testing::Stat(At(name)).st_ino;
  }
  // Not by an ioctl, which would be asked for again as well.
  Error Resend() {
    return memfs().ErrorOfLastNotification(
        memfs().session().connection().notifier()->Resend());
  }
};
INSTANTIATE_FOR_MEMFS(OperationsNotify);

// --- Names ---

TEST_P(OperationsNotify, AnInvalidatedNameIsGone) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Remove("file"), 0);
  EXPECT_TRUE(Exists(At("file"))) << "the kernel trusts what it knows";
  ASSERT_EQ(Invalidate("file"), 0);
  EXPECT_FALSE(Exists(At("file")));
  EXPECT_TRUE(Names(root()).empty());
}

TEST_P(OperationsNotify, ANameThatWasNotThereComesToBe) {
  EXPECT_FALSE(Exists(At("file")));
  ASSERT_EQ(BehindTheKernel(
                OpenRoot(),
                {.kind = MEMFS_POKE_CREATE, .name = "file", .data = "content"}),
            0);
  EXPECT_FALSE(Exists(At("file")));
  ASSERT_EQ(Invalidate("file"), 0);
  EXPECT_EQ(ReadFile(At("file")), "content");
}

TEST_P(OperationsNotify, ARenamedFileIsFoundByItsNewName) {
  WriteFile(At("old"), "content");
  UniqueFd fd = Open(At("old"), O_RDONLY);
  const uint64_t node = NodeId("old");
  EXPECT_FALSE(Exists(At("new")));
  ASSERT_EQ(Rename("old", "new"), 0);
  EXPECT_TRUE(Exists(At("old")));
  EXPECT_FALSE(Exists(At("new")));
  ASSERT_EQ(Invalidate("old"), 0);
  ASSERT_EQ(Invalidate("new"), 0);
  EXPECT_FALSE(Exists(At("old")));
  EXPECT_EQ(NodeId("new"), node);
  EXPECT_EQ(Names(root()), std::set<std::string>{"new"});
  EXPECT_EQ(ReadAt(fd, 0, 10), "content");
}

TEST_P(OperationsNotify, AnExpiredNameIsLookedUpAgain) {
  WriteFile(At("gone"), "");
  WriteFile(At("there"), "");
  ASSERT_EQ(Remove("gone"), 0);
  EXPECT_TRUE(Exists(At("gone")));
  ASSERT_EQ(Expire("gone"), 0);
  EXPECT_FALSE(Exists(At("gone")));
  ASSERT_TRUE(Exists(At("there")));
  const uint64_t lookups = Requests(abi::FUSE_LOOKUP);
  ASSERT_EQ(Expire("there"), 0);
  EXPECT_TRUE(Exists(At("there")));
  EXPECT_EQ(Requests(abi::FUSE_LOOKUP), lookups + 1);
}

TEST_P(OperationsNotify, AMountStaysOnWhatExpiresButNotOnWhatIsInvalidated) {
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  ASSERT_EQ(Errno(mount("tmpfs", At("dir").c_str(), "tmpfs", 0, "size=1m")), 0);
  WriteFile(At("dir/above"), "");
  ASSERT_EQ(Expire("dir"), 0);
  EXPECT_TRUE(Exists(At("dir/above")));
  EXPECT_EQ(MountsBelow(At("dir")).size(), 1u);
  ASSERT_EQ(Invalidate("dir"), 0);
  EXPECT_FALSE(Exists(At("dir/above")));
  EXPECT_TRUE(MountsBelow(At("dir")).empty());
}

TEST_P(OperationsNotify, WhoWatchesIsToldOfADeletion) {
  WriteFile(At("file"), "content");
  const uint64_t node = NodeId("file");
  UniqueFd watch(inotify_init1(IN_CLOEXEC));
  ASSERT_GE(inotify_add_watch(watch.get(), At("file").c_str(), IN_ALL_EVENTS),
            0);
  ASSERT_EQ(Remove("file"), 0);
  pollfd told = {watch.get(), POLLIN, 0};
  EXPECT_EQ(poll(&told, 1, 0), 0);
  ASSERT_EQ(Delete("file", node), 0);
  EXPECT_FALSE(Exists(At("file")));
  ASSERT_EQ(poll(&told, 1, 20'000), 1);
  alignas(inotify_event) char buffer[4096];
  const ssize_t size = read(watch.get(), buffer, sizeof buffer);
  std::vector<uint32_t> events;
  for (ssize_t at = 0; at < size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    events.push_back(event->mask);
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  EXPECT_EQ(events, (std::vector<uint32_t>{IN_DELETE_SELF, IN_IGNORED}));
}

TEST_P(OperationsNotify, ADirectoryInUseIsNotDeleted) {
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  WriteFile(At("dir/file"), "content");
  const uint64_t node = NodeId("dir");
  // Another child than the name has.
  EXPECT_EQ(Delete("dir", NodeId("dir/file")), ENOENT);
  EXPECT_EQ(NodeId("dir"), node);
  {
    UniqueFd fd = Open(At("dir/file"), O_RDONLY);
    EXPECT_EQ(Delete("dir", node), ENOTEMPTY);
    EXPECT_EQ(ReadFile(At("dir/file")), "content");
  }
  // What the kernel has in its cache only is not in the way, nor is a mount.
  ASSERT_EQ(Errno(mount("tmpfs", At("dir").c_str(), "tmpfs", 0, "size=1m")), 0);
  UniqueFd dir = OpenRoot();
  EXPECT_EQ(Delete("dir", node), 0);
  EXPECT_TRUE(MountsBelow(At("dir")).empty());
}

TEST_P(OperationsNotify, ANewEpochHasAllNamesLookedUpAgain) {
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  for (const char* name : {"one", "two", "dir/three"}) {
    WriteFile(At(name), name);
  }
  EXPECT_FALSE(Exists(At("new")));
  ASSERT_EQ(Remove("one"), 0);
  ASSERT_EQ(Rename("two", "new"), 0);
  EXPECT_TRUE(Exists(At("one")));
  EXPECT_TRUE(Exists(At("two")));
  EXPECT_FALSE(Exists(At("new")));
  ASSERT_EQ(Notify(OpenRoot(), {.kind = MEMFS_NOTIFY_INC_EPOCH}), 0);
  EXPECT_FALSE(Exists(At("one")));
  EXPECT_FALSE(Exists(At("two")));
  EXPECT_EQ(ReadFile(At("new")), "two");
  EXPECT_EQ(ReadFile(At("dir/three")), "dir/three");
}

TEST_P(OperationsNotify, APrunedNodeIsForgottenUnlessItIsUsed) {
  WriteFile(At("unused"), "content");
  WriteFile(At("open"), "content");
  UniqueFd fd = Open(At("open"), O_RDONLY);
  UniqueFd dir = OpenRoot();
  const auto prune = [&](std::string_view name) {
    return Notify(dir, {.kind = MEMFS_NOTIFY_PRUNE, .nodeid = NodeId(name)});
  };
  const auto forgets = [&] {
    return Requests(abi::FUSE_FORGET) + Requests(abi::FUSE_BATCH_FORGET);
  };
  const uint64_t before = forgets();
  const uint64_t lookups = Requests(abi::FUSE_LOOKUP);
  ASSERT_EQ(prune("open"), 0);
  EXPECT_EQ(Info(fd).lookups, 1u);
  EXPECT_EQ(Requests(abi::FUSE_LOOKUP), lookups);
  ASSERT_EQ(prune("unused"), 0);
  EXPECT_TRUE(Eventually([&] { return forgets() == before + 1; }));
  EXPECT_EQ(ReadFile(At("unused")), "content");
  EXPECT_GT(Requests(abi::FUSE_LOOKUP), lookups);
}

// --- Requests ---

TEST_P(OperationsNotify, APendingRequestIsSentAgainAndAnsweredOnce) {
  WriteFile(At("file"), "content");
  UniqueFd fd = Open(At("file"), O_RDWR);
  ASSERT_EQ(Lock(fd, F_WRLCK, 0, 0), 0);
  const auto wait = [&]() -> Error {
    static UniqueFd own;  // open until the process ends
    own = Open(At("file"), O_RDWR);
    return Lock(own, F_WRLCK, 0, 0, F_SETLKW);
  };
  const auto waits = [&] { return Requests(abi::FUSE_SETLKW); };
  Waiter waiter(SYS_fcntl, wait), interrupted(SYS_fcntl, wait);
  ASSERT_TRUE(Eventually([&] { return waits() == 2; }));
  for (uint64_t round = 2; round <= 3; ++round) {
    ASSERT_EQ(Resend(), 0);
    ASSERT_TRUE(Eventually([&] { return waits() == 2 * round; }));
  }
  EXPECT_FALSE(waiter.HasLock());
  interrupted.Signal(SIGUSR1);
  EXPECT_EQ(interrupted.Finish(), EINTR);
  ASSERT_EQ(Lock(fd, F_UNLCK, 0, 0), 0);
  ASSERT_TRUE(waiter.AwaitLock());
  EXPECT_EQ(OutsideObstacle(fd, 0, 0), "W 0+0");
  EXPECT_EQ(waiter.Finish(), 0);
  EXPECT_EQ(waits(), 6u);
  // What it was asked for more than once it has once.
  EXPECT_TRUE(Eventually([&] { return OutsideObstacle(fd, 0, 0).empty(); }));
}

// --- What is refused ---

TEST_P(OperationsNotify, WhatTheKernelDoesNotKnow) {
  UniqueFd dir = OpenRoot();
  for (const uint32_t kind :
       {MEMFS_NOTIFY_INVAL_INODE, MEMFS_NOTIFY_STORE, MEMFS_NOTIFY_INVAL_ENTRY,
        MEMFS_NOTIFY_EXPIRE_ENTRY}) {
    EXPECT_EQ(
        Notify(
            dir,
            {.kind = kind, .name = "name", .nodeid = kNoNode, .data = "data"}),
        ENOENT)
        << kind;
  }
  EXPECT_EQ(Invalidate("never-heard-of"), ENOENT);
  EXPECT_EQ(Expire("never-heard-of"), ENOENT);
  EXPECT_EQ(Delete("never-heard-of", kNoNode), ENOENT);
  EXPECT_EQ(Notify(dir, {.kind = MEMFS_NOTIFY_PRUNE, .nodeid = kNoNode}), 0);
}

TEST_P(OperationsNotify, NothingIsRetrievedOfWhatTheKernelDoesNotKnow) {
  EXPECT_EQ(
      Notify(OpenRoot(),
             {.kind = MEMFS_NOTIFY_RETRIEVE, .nodeid = kNoNode, .size = 100}),
      ENOENT);
}

TEST_P(OperationsNotify, WhatCannotBeSent) {
  UniqueFd dir = OpenRoot();
  const uint64_t sent = memfs().session().connection().notifier()->sent();
  for (const char* name : {"", "a/b", "/"}) {
    EXPECT_EQ(Invalidate(name), EINVAL) << name;
    EXPECT_EQ(Expire(name), EINVAL) << name;
    EXPECT_EQ(Delete(name, kNoNode), EINVAL) << name;
  }
  EXPECT_EQ(Notify(dir, {.kind = MEMFS_NOTIFY_STORE}), EINVAL);
  EXPECT_EQ(Notify(dir, {.kind = MEMFS_NOTIFY_RETRIEVE}), EINVAL);
  EXPECT_EQ(memfs().session().connection().notifier()->sent(), sent);
}

class OldMinors : public ::testing::TestWithParam<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Minors, OldMinors,
                         ::testing::Values(9u, 11u, 12u, 14u, 15u, 17u, 18u,
                                           37u, 38u, 39u, 40u, 43u, 44u, 45u));

TEST_P(OldMinors, HaveNoNewerNotifications) {
  if (!testing::CanMount()) return;
  testing::TempDir dir;
  auto memfs = Memfs::Create({});
  ASSERT_TRUE(memfs.ok());
  SessionOptions options;
  options.max_minor = GetParam();
  options.mount.default_permissions = true;
  auto session = Session::Mount(*memfs, dir.MakeDir("mnt"), options);
  ASSERT_TRUE(session.ok()) << session.status();
  Notifier& notifier = *(*session)->connection().notifier();
  const auto data = std::as_bytes(std::span("data"));
  const uint64_t node = kNoNode;
  const struct {
    uint32_t since;
    Error error;
    Error otherwise;
  } rows[] = {
      {11, notifier.PollWakeup(1), 0},
      {12, notifier.InvalInode(node, 0, 0), ENOENT},
      {12, notifier.InvalEntry(node, "name"), ENOENT},
      {15, notifier.Store(node, 0, data), ENOENT},
      {15, notifier.Retrieve(node, 0, 1, [](auto&&...) {}), ENOENT},
      {18, notifier.Delete(node, node, "name"), ENOENT},
      {38, notifier.ExpireEntry(node, "name"), ENOENT},
      {40, notifier.Resend(), 0},
      {44, notifier.IncEpoch(), 0},
      {45, notifier.Prune(std::span(&node, 1)), 0},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(row.error,
              row.since > GetParam() ? Error(EOPNOTSUPP) : row.otherwise)
        << row.since;
  }
}

}  // namespace
}  // namespace barefuse
