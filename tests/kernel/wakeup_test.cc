// A reply, a stop or a wake-up from another thread reaches its worker at once,
// also where another worker takes all the requests. (On a blocking descriptor
// a worker that loses the race for a request sleeps until the next one comes.)
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>

#include "server/session.h"
#include "tests/testing/files.h"

namespace barefuse {
namespace {

using barefuse::testing::TempDir;

constexpr int kTrials = 1000;
// Far beyond any delay of a busy machine; only a lost wake-up takes longer.
constexpr auto kLost = std::chrono::seconds(20);

// Answers everything at once but lookups of "slow", whose replies it keeps.
class KeepsSlow : public FileSystem {
 public:
  void Getattr(const GetattrRequest& request, AttrReply reply) override {
    abi::fuse_attr_out out{};
    out.attr.ino = request.node();
    out.attr.mode = S_IFDIR | 0755;
    out.attr.nlink = 2;
    std::move(reply).Ok(out);
  }
  void Lookup(const LookupRequest& request, EntryReply reply) override {
    if (request->name != "slow") return std::move(reply).Error(ENOENT);
    std::lock_guard<std::mutex> lock(mutex_);
    kept_.emplace(std::move(reply));
    changed_.notify_all();
  }

  EntryReply TakeKept() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return kept_.has_value(); });
    EntryReply reply = *std::move(kept_);
    kept_.reset();
    return reply;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<EntryReply> kept_;
};

int Look(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? 0 : errno;
}

// The transport, and whether each worker has a clone of the device.
using Way = std::tuple<TransportKind, bool>;

class WakeupTest : public ::testing::TestWithParam<Way> {
 protected:
  std::unique_ptr<Session> Mounted() {
    auto session =
        Session::Mount(fs_, mountpoint_,
                       {.workers = 2,
                        .transport = std::get<TransportKind>(GetParam()),
                        .clone_device = std::get<bool>(GetParam())});
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }

  TempDir dir_;
  std::string mountpoint_ = dir_.MakeDir("mnt");
  std::shared_ptr<KeepsSlow> fs_ = std::make_shared<KeepsSlow>();
};

TEST_P(WakeupTest, AReplyWaitsForNoOtherRequest) {
  auto session = Mounted();
  ASSERT_NE(session, nullptr);
  for (int trial = 0; trial < kTrials; ++trial) {
    auto slow = std::async(std::launch::async,
                           [&] { return Look(mountpoint_ + "/slow"); });
    EntryReply reply = fs_->TakeKept();
    // The workers race for these; the one that owes the reply loses some.
    for (int i = 0; i < trial % 4; ++i) {
      EXPECT_EQ(Look(mountpoint_ + "/fast"), ENOENT);
    }
    // On this thread, which is no worker.
    std::move(reply).Error(ENXIO);
    if (slow.wait_for(kLost) != std::future_status::ready) {
      ADD_FAILURE() << "the reply of trial " << trial << " did not arrive";
      Look(mountpoint_ + "/fast");  // frees it, if the fault is the known one
      break;
    }
    ASSERT_EQ(slow.get(), ENXIO);
  }
}

TEST_P(WakeupTest, AStopWaitsForNoOtherRequest) {
  for (int trial = 0; trial < kTrials; ++trial) {
    auto session = Mounted();
    ASSERT_NE(session, nullptr);
    // Keeps the connection alive, so that its end does not wake anybody.
    UniqueFd busy(open(mountpoint_.c_str(), O_PATH | O_CLOEXEC));
    for (int i = 0; i < trial % 4; ++i) {
      EXPECT_EQ(Look(mountpoint_ + "/fast"), ENOENT);
    }
    auto ended = std::async(std::launch::async, [&] {
      session->Stop();
      return session->Wait().kind;
    });
    if (ended.wait_for(kLost) != std::future_status::ready) {
      FAIL() << "the stop of trial " << trial << " did not arrive";
    }
    ASSERT_EQ(ended.get(), StopReason::Kind::kStopped);
  }
}

// Two requests come at the same moment, and the first one's handler needs the
// second one to be served.
TEST_P(WakeupTest, ARequestWaitsForNoOtherRequestsHandler) {
  class Meeting : public KeepsSlow {
   public:
    void Lookup(const LookupRequest& request, EntryReply reply) override {
      std::unique_lock<std::mutex> lock(mutex_);
      if (request->name == "second") {
        met_ = true;
        changed_.notify_all();
      } else {
        all_met_ &= changed_.wait_for(lock, kLost, [this] { return met_; });
        met_ = false;
      }
      std::move(reply).Error(ENOENT);
    }
    bool all_met() {
      std::unique_lock<std::mutex> lock(mutex_);
      return all_met_;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool met_ = false;
    bool all_met_ = true;
  };
  auto meeting = std::make_shared<Meeting>();
  fs_ = meeting;
  auto session = Mounted();
  ASSERT_NE(session, nullptr);
  for (int trial = 0; trial < kTrials && meeting->all_met(); ++trial) {
    auto other = std::async(std::launch::async,
                            [&] { return Look(mountpoint_ + "/second"); });
    EXPECT_EQ(Look(mountpoint_ + "/first"), ENOENT);
    EXPECT_EQ(other.get(), ENOENT);
  }
  EXPECT_TRUE(meeting->all_met());
}

// A reply that goes out frees its slot for the next request, also where the
// others are held.
TEST_P(WakeupTest, ReadingGoesOnWithTheLastSlot) {
  auto session =
      Session::Mount(fs_, mountpoint_,
                     {.workers = 1,
                      .transport = std::get<TransportKind>(GetParam()),
                      .slots_per_worker = 2});
  ASSERT_TRUE(session.ok()) << session.status();
  auto slow = std::async(std::launch::async,
                         [&] { return Look(mountpoint_ + "/slow"); });
  EntryReply reply = fs_->TakeKept();
  auto fast = std::async(std::launch::async, [&] {
    for (int i = 0; i < kTrials; ++i) Look(mountpoint_ + "/fast");
    return Look(mountpoint_ + "/fast");
  });
  EXPECT_EQ(fast.wait_for(kLost), std::future_status::ready);
  std::move(reply).Error(ENXIO);
  EXPECT_EQ(fast.get(), ENOENT);
  EXPECT_EQ(slow.get(), ENXIO);
}

// The connection's own end reaches all workers as well.
TEST_P(WakeupTest, AnUnmountReachesEveryWorker) {
  for (int trial = 0; trial < 100; ++trial) {
    auto session = Mounted();
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(Look(mountpoint_ + "/fast"), ENOENT);
    ASSERT_EQ(umount(mountpoint_.c_str()), 0);
    ASSERT_EQ(session->Wait().kind, StopReason::Kind::kUnmounted);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways, WakeupTest,
    ::testing::Combine(::testing::Values(TransportKind::kDevUring,
                                         TransportKind::kDev),
                       ::testing::Bool()),
    [](const auto& way) {
      std::string name(TransportText(std::get<TransportKind>(way.param)));
      name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
      return name + (std::get<bool>(way.param) ? "Cloned" : "Shared");
    });

}  // namespace
}  // namespace barefuse
