// The same steps on a filesystem and on a passthrough mount of it, compared:
// what is expected of the mount is what the source itself does.
#ifndef BAREFUSE_TESTS_KERNEL_PASSTHROUGH_TWINS_H_
#define BAREFUSE_TESTS_KERNEL_PASSTHROUGH_TWINS_H_

#include <grp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/kernel/suite_files.h"
#include "tests/testing/source_file_system.h"

namespace barefuse {

// What steps came to, by what they were: lines to be compared.
using Findings = std::map<std::string, std::string>;

// "ok", or the name of errno where `result` says that a call has failed.
inline std::string Said(long result) {
  return result < 0 ? strerrorname_np(errno) : "ok";
}
// The same with the number that the call gave.
inline std::string Number(long result) {
  return result < 0 ? strerrorname_np(errno) : std::to_string(result);
}

// For before fork(2): a thread that is in the allocator would leave its lock
// behind in the child for ever. glibc takes care of that, the address
// sanitizer's allocator does not. Returns when every other thread sleeps.
inline void AwaitOtherThreads() {
#if defined(__SANITIZE_ADDRESS__)
  const auto is_busy = [](const std::filesystem::path& task) {
    if (task.filename() == std::to_string(gettid())) return false;
    std::ifstream file(task / "stat");
    std::string text;
    std::getline(file, text);
    // The state follows the name, which is in parentheses.
    const size_t name_end = text.rfind(')');
    return name_end != text.npos && text.substr(name_end + 2, 1) == "R";
  };
  const auto one_is_busy = [&] {
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/self/task")) {
      if (is_busy(entry.path())) return true;
    }
    return false;
  };
  while (one_is_busy()) std::this_thread::yield();
#endif
}

// Runs `body` in a process of `user`'s and gives what it has found. A process
// that dies is a finding too.
inline Findings FoundBy(const User& user,
                        const std::function<Findings()>& body) {
  int ends[2];
  testing::Check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  UniqueFd from(ends[0]), to(ends[1]);
  fflush(nullptr);
  AwaitOtherThreads();
  testing::Process child([&] {
    from.reset();
    if (setgroups(user.groups.size(), user.groups.data()) != 0 ||
        setresgid(user.gid, user.gid, user.gid) != 0 ||
        setresuid(user.uid, user.uid, user.uid) != 0) {
      return 1;
    }
    std::string text;
    for (const auto& [step, result] : body()) {
      text += step + '\0' + result + '\0';
    }
    for (std::string_view left = text; !left.empty();) {
      const ssize_t n = write(to.get(), left.data(), left.size());
      if (n <= 0) return 2;
      left.remove_prefix(static_cast<size_t>(n));
    }
    return 0;
  });
  to.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(from.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  Findings found;
  for (size_t at = 0; at < text.size();) {
    const std::string step = text.c_str() + at;
    at += step.size() + 1;
    found[step] = text.c_str() + at;
    at += found[step].size() + 1;
  }
  if (const int status = child.Wait()) {
    found["the process"] = "ended with " + std::to_string(status);
  }
  return found;
}

// Where a test runs: the source's filesystem, and how the mount serves files:
// "passthrough", "nopassthrough", "direct_io"; "refused" is passthrough that
// does not come about, on a filesystem that is stacked.
struct Setting {
  std::string_view type;
  std::string_view way;
};
inline void PrintTo(const Setting& setting, std::ostream* out) {
  *out << setting.type << " " << setting.way;
}

inline std::vector<Setting> Settings(
    const std::vector<std::string_view>& types = {"tmpfs", "ext4", "xfs",
                                                  "btrfs"},
    const std::vector<std::string_view>& ways = {"passthrough", "nopassthrough",
                                                 "direct_io"}) {
  std::vector<Setting> settings;
  for (std::string_view type : types) {
    for (std::string_view way : ways) settings.push_back({type, way});
  }
  return settings;
}

inline std::string SettingName(const ::testing::TestParamInfo<Setting>& info) {
  return std::string(info.param.type) + "_" + std::string(info.param.way);
}

class TwinTest : public PassthroughTest,
                 public ::testing::WithParamInterface<Setting> {
 protected:
  void SetUp() override {
    // Modes arrive at the server with the caller's umask applied.
    umask_ = umask(0);
    const absl::StatusOr<std::unique_ptr<testing::SourceFileSystem>>& source =
        Source(GetParam().type);
    if (!source.ok()) GTEST_SKIP() << source.status();
    static int number = 0;
    place_ = (*source)->path() + "/" + std::to_string(++number);
    plain_ = place_ + "/plain";
    source_ = place_ + "/source";
    for (const std::string& path : {place_, plain_, source_}) {
      testing::Check(mkdir(path.c_str(), 0755) == 0, path);
    }
  }

  void TearDown() override {
    if (session_ != nullptr) End();
    umask(umask_);
    if (!place_.empty()) std::filesystem::remove_all(place_);
  }

  // The mount. Attributes are trusted for longer than any test takes, so that
  // whatever changes them has to say so.
  void Mount(absl::Duration timeout = absl::Hours(1), unsigned long flags = 0) {
    SessionOptions session;
    session.mount.flags = flags;
    const bool is_stacked = GetParam().type == "overlay";
    session.backing_depth = is_stacked && GetParam().way != "refused" ? 1 : 0;
    PassthroughTest::Mount({.passthrough = GetParam().way != "nopassthrough",
                            .direct_io = GetParam().way == "direct_io",
                            .timeout = timeout},
                           std::move(session));
  }
  // Those of suite_files.h, which take whole paths: the source's too.
  static UniqueFd Open(const std::string& path, int flags, mode_t mode = 0644) {
    return barefuse::Open(path, flags, mode);
  }
  static std::string ReadAt(const UniqueFd& fd, off_t offset, size_t size) {
    return barefuse::ReadAt(fd, offset, size);
  }
  static void WriteAt(const UniqueFd& fd, off_t offset, std::string_view text) {
    barefuse::WriteAt(fd, offset, text);
  }
  // Whether files are backed by the source's.
  bool backed() const {
    return GetParam().way != "nopassthrough" && GetParam().way != "refused";
  }

  // Uses source and plain directory by another mount of their filesystem, with
  // these flags (MS_NOATIME). For before the mount.
  void RemountSource(unsigned long flags) {
    const std::string view = dir_.MakeDir("view");
    testing::Check(
        mount(place_.c_str(), view.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
            mount(nullptr, view.c_str(), nullptr, MS_REMOUNT | MS_BIND | flags,
                  nullptr) == 0,
        view);
    plain_ = view + "/plain";
    source_ = view + "/source";
  }

  // A directory of the same filesystem, used as it is.
  const std::string& plain() const { return plain_; }

  // Runs `steps` in both directories.
  void ExpectAsOnSource(
      const std::function<Findings(const std::string& root)>& steps) {
    const Findings on_source = steps(plain_);
    ExpectSame(steps(mnt_), on_source);
    EXPECT_FALSE(on_source.empty());
  }
  static void ExpectSame(const Findings& on_mount, const Findings& on_source) {
    std::set<std::string> names;
    for (const auto& [step, result] : on_mount) names.insert(step);
    for (const auto& [step, result] : on_source) names.insert(step);
    for (const std::string& step : names) {
      EXPECT_EQ(Result(on_mount, step), Result(on_source, step)) << step;
    }
  }

 private:
  static std::string Result(const Findings& findings, const std::string& step) {
    const auto found = findings.find(step);
    return found == findings.end() ? "(not there)" : found->second;
  }

  // One filesystem of each type for all tests of the program, made when it is
  // first wanted: making one takes longer than most tests.
  static const absl::StatusOr<std::unique_ptr<testing::SourceFileSystem>>&
  Source(std::string_view type) {
    struct Made {
      testing::TempDir dir;
      absl::StatusOr<std::unique_ptr<testing::SourceFileSystem>> source =
          absl::UnknownError("not made");
    };
    static std::map<std::string_view, Made> made;
    const auto [it, is_new] = made.try_emplace(type);
    if (is_new) {
      it->second.source =
          testing::SourceFileSystem::Mount(type, it->second.dir.path());
    }
    return it->second.source;
  }

  mode_t umask_ = 0;
  std::string place_;
  std::string plain_;
};

// Memory for O_DIRECT.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t size, char fill = 0)
      : size_(size), data_(static_cast<char*>(aligned_alloc(4096, size))) {
    testing::Check(data_ != nullptr, "aligned_alloc");
    memset(data_, fill, size);
  }
  ~AlignedBuffer() { free(data_); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  char* data() { return data_; }
  size_t size() const { return size_; }

 private:
  const size_t size_;
  char* const data_;
};

}  // namespace barefuse

#define INSTANTIATE_SETTINGS(fixture, ...) \
  INSTANTIATE_TEST_SUITE_P(                \
      On, fixture, ::testing::ValuesIn(Settings(__VA_ARGS__)), SettingName)

#endif  // BAREFUSE_TESTS_KERNEL_PASSTHROUGH_TWINS_H_
