// The passthrough filesystem above stacked filesystems: overlayfs, and other
// passthrough mounts.
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "tests/kernel/passthrough_fixture.h"
#include "tests/testing/source_file_system.h"

namespace barefuse {
namespace {

using barefuse::testing::ReadFile;
using barefuse::testing::SourceFileSystem;
using barefuse::testing::Stat;
using barefuse::testing::WriteFile;

constexpr char kWhyNot[] =
    "no passthrough, reads and writes go through the server: the backing file "
    "is on a stacked filesystem";

std::string NameOf(int error) {
  return error == 0 ? "success" : strerrorname_np(error);
}
std::string Outcome(long result) { return NameOf(result < 0 ? errno : 0); }

class PassthroughOverlayTest : public PassthroughTest {
 protected:
  PassthroughOverlayTest() {
    auto layers = SourceFileSystem::Mount("ext4", dir_.MakeDir("layers"));
    if (!layers.ok()) {
      why_not_ = std::string(layers.status().message());
      return;
    }
    layers_ = *std::move(layers);
    for (const char* name : {"lower", "upper", "work"}) {
      const std::string layer = Layer(name);
      testing::Check(mkdir(layer.c_str(), 0755) == 0, layer);
    }
  }
  ~PassthroughOverlayTest() override {
    session_.reset();
    middle_.reset();
    umount2(source_.c_str(), MNT_DETACH);
  }
  void SetUp() override {
    if (!why_not_.empty()) GTEST_SKIP() << why_not_;
  }

  std::string Layer(std::string_view name) const {
    return layers_->path() + "/" + std::string(name);
  }
  // An overlay of the layers, with what has been put into them by now, becomes
  // the source.
  void MountOverlay(const std::string& more = "") {
    const std::string options = "lowerdir=" + Layer("lower") +
                                ",upperdir=" + Layer("upper") +
                                ",workdir=" + Layer("work") + more;
    ASSERT_EQ(mount("overlay", source_.c_str(), "overlay", 0, options.c_str()),
              0)
        << strerror(errno);
  }
  // A passthrough mount between the source and another, whose source it
  // becomes. Adds the log of it to middle_log_.
  void MountBetween(uint32_t backing_depth) {
    auto file_system = Passthrough::Create({.source = source_});
    ASSERT_TRUE(file_system.ok()) << file_system.status();
    const std::string at = dir_.MakeDir("middle");
    SessionOptions options{.backing_depth = backing_depth};
    options.mount.default_permissions = true;
    options.log = [this](LogLevel, std::string_view line) {
      std::lock_guard<std::mutex> lock(mutex_);
      middle_log_ += std::string(line) + "\n";
    };
    auto mounted = Session::Mount(*std::move(file_system), at, options);
    ASSERT_TRUE(mounted.ok()) << mounted.status();
    middle_ = *std::move(mounted);
    below_ = std::exchange(source_, at);
  }

  // Makes the same files twice in the lower layer, then runs `scenario` once in
  // the overlay itself and once through a mount of it. What it gives, which
  // tells all it has seen, is to be the same.
  void ExpectTheSame(
      const std::function<void(const std::string& in)>& prepare,
      const std::function<std::string(const std::string& in)>& scenario,
      const std::string& more = "") {
    for (const char* name : {"/plain", "/shown"}) {
      const std::string directory = Layer("lower") + name;
      ASSERT_EQ(mkdir(directory.c_str(), 0755), 0);
      prepare(directory);
    }
    MountOverlay(more);
    Mount({.timeout = absl::ZeroDuration()}, {.backing_depth = 1});
    const std::string expected = scenario(source_ + "/plain");
    EXPECT_EQ(scenario(mnt_ + "/shown"), expected);
    EXPECT_EQ(log(), "");
    EXPECT_EQ(Requests(abi::FUSE_READ) + Requests(abi::FUSE_WRITE), 0u);
    // And so it is for whoever looks at the overlay.
    for (const char* name : {"plain", "shown"}) {
      contents_.push_back("");
      const std::string directory = source_ + "/" + name;
      for (const auto& [path, line] : testing::Snapshot(directory)) {
        struct stat info = Stat(directory + "/" + path);
        contents_.back() += path + ": ";
        contents_.back() +=
            S_ISREG(info.st_mode) ? ReadFile(directory + "/" + path) : "other";
        contents_.back() += " (" + std::to_string(info.st_nlink) + ")\n";
      }
    }
    EXPECT_EQ(contents_[0], contents_[1]);
  }

  // What a reader sees, with the error's name where there is one.
  static std::string See(int fd) {
    std::string content(100, '\0');
    const ssize_t n = pread(fd, content.data(), content.size(), 0);
    if (n < 0) return NameOf(errno);
    content.resize(static_cast<size_t>(n));
    return content;
  }
  static UniqueFd OpenAt(const std::string& path, int flags) {
    UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
    EXPECT_TRUE(fd) << path << ": " << strerror(errno);
    return fd;
  }

  std::string why_not_;
  std::unique_ptr<SourceFileSystem> layers_;
  std::unique_ptr<Session> middle_;
  std::string middle_log_;
  std::string below_;
  std::vector<std::string> contents_;
};

TEST_F(PassthroughOverlayTest, ADepthOfOnePassesThrough) {
  const std::string content(3 << 20, 'o');
  WriteFile(Layer("lower") + "/file", content);
  MountOverlay();
  Mount({}, {.backing_depth = 1});
  EXPECT_EQ(session_->terms().reply.max_stack_depth, 2u);
  EXPECT_EQ(ReadFile(mnt_ + "/file"), content);
  WriteFile(mnt_ + "/new", content);
  {
    UniqueFd fd = Open("file", O_RDWR);
    WriteAt(fd, 1, "OO");
    EXPECT_EQ(ReadAt(fd, 0, 4), "oOOo");
  }
  EXPECT_EQ(ReadFile(Layer("upper") + "/new"), content);
  EXPECT_EQ(ReadFile(Layer("upper") + "/file").substr(0, 4), "oOOo");
  EXPECT_EQ(ReadFile(Layer("lower") + "/file"), content);
  EXPECT_EQ(session_->statistics().passthrough_opens, 3u);
  EXPECT_EQ(BackingOpens(), 3u);
  AwaitBackingCloses(3);
  EXPECT_EQ(log(), "");
  const Statistics statistics = End();
  EXPECT_EQ(statistics.operations[abi::FUSE_READ].requests, 0u);
  EXPECT_EQ(statistics.operations[abi::FUSE_WRITE].requests, 0u);
}

TEST_F(PassthroughOverlayTest, ADepthOfNothingFallsBackAndSaysSoOnce) {
  WriteFile(Layer("lower") + "/file", "content");
  MountOverlay();
  Mount();
  {
    UniqueFd reader = Open("file", O_RDONLY);
    UniqueFd writer = Open("file", O_RDWR);
    EXPECT_EQ(ReadAt(reader, 0, 10), "content");
    WriteAt(writer, 0, "CON");
    EXPECT_EQ(ReadAt(reader, 0, 10), "CONtent");
  }
  WriteFile(mnt_ + "/new", "text");
  EXPECT_EQ(ReadFile(source_ + "/file"), "CONtent");
  EXPECT_EQ(ReadFile(source_ + "/new"), "text");
  EXPECT_EQ(ReadFile(Layer("lower") + "/file"), "content");
  EXPECT_EQ(session_->statistics().backing_opens, 0u);
  EXPECT_EQ(session_->statistics().passthrough_opens, 0u);
  const std::string said = log();
  EXPECT_NE(said.find(kWhyNot), std::string::npos) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

// --- Copying up: the first writer of a lower file makes it another one ---

void PrepareFile(const std::string& in) {
  WriteFile(in + "/file", "lower content");
}

TEST_F(PassthroughOverlayTest, AWriterCopiesUpWhatAReaderHasOpen) {
  ExpectTheSame(PrepareFile, [](const std::string& in) {
    UniqueFd reader = OpenAt(in + "/file", O_RDONLY);
    const ino_t ino = Stat(in + "/file").st_ino;
    std::string seen = See(reader.get()) + ",";
    UniqueFd writer = OpenAt(in + "/file", O_RDWR);
    seen += See(writer.get()) + ",";
    seen += Outcome(pwrite(writer.get(), "UPPER", 5, 0)) + ",";
    seen += See(reader.get()) + "," + See(writer.get()) + ",";
    UniqueFd late = OpenAt(in + "/file", O_RDONLY);
    seen += See(late.get()) + ",";
    struct stat info {};
    seen += Outcome(fstat(reader.get(), &info)) + ",";
    seen += info.st_ino == ino ? "same inode," : "another inode,";
    seen += Outcome(ftruncate(writer.get(), 3)) + ",";
    writer.reset();
    seen += See(reader.get()) + "," + See(late.get());
    return seen;
  });
  EXPECT_EQ(BackingOpens(), 1u);  // shared by all three
}

TEST_F(PassthroughOverlayTest, ATruncatingOpenCopiesUp) {
  ExpectTheSame(PrepareFile, [](const std::string& in) {
    UniqueFd reader = OpenAt(in + "/file", O_RDONLY);
    std::string seen = See(reader.get()) + ",";
    UniqueFd writer = OpenAt(in + "/file", O_WRONLY | O_TRUNC);
    seen += See(reader.get()) + ",";
    seen += Outcome(pwrite(writer.get(), "new", 3, 0)) + ",";
    seen += See(reader.get()) + ",";
    UniqueFd appender = OpenAt(in + "/file", O_WRONLY | O_APPEND);
    seen += Outcome(write(appender.get(), "er", 2)) + ",";
    return seen + See(reader.get());
  });
}

TEST_F(PassthroughOverlayTest, AMappingOfTheLowerFileStaysThat) {
  ExpectTheSame(PrepareFile, [](const std::string& in) {
    UniqueFd reader = OpenAt(in + "/file", O_RDONLY);
    void* before = mmap(nullptr, 13, PROT_READ, MAP_SHARED, reader.get(), 0);
    if (before == MAP_FAILED) return "before: " + NameOf(errno);
    std::string seen(static_cast<char*>(before), 13);
    UniqueFd writer = OpenAt(in + "/file", O_RDWR);
    seen += "," + Outcome(pwrite(writer.get(), "UPPER", 5, 0));
    void* after = mmap(nullptr, 13, PROT_READ, MAP_SHARED, writer.get(), 0);
    if (after == MAP_FAILED) return "after: " + NameOf(errno);
    seen += "," + std::string(static_cast<char*>(before), 13);
    seen += "," + std::string(static_cast<char*>(after), 13);
    munmap(before, 13);
    munmap(after, 13);
    return seen + "," + See(reader.get());
  });
}

TEST_F(PassthroughOverlayTest, AttributesCopyUpUnderAReader) {
  ExpectTheSame(PrepareFile, [](const std::string& in) {
    UniqueFd reader = OpenAt(in + "/file", O_RDONLY);
    std::string seen = Outcome(fchmod(reader.get(), 0600)) + ",";
    seen += See(reader.get()) + ",";
    seen += Outcome(truncate((in + "/file").c_str(), 5)) + ",";
    seen += See(reader.get()) + ",";
    seen += Outcome(rename((in + "/file").c_str(), (in + "/moved").c_str()));
    UniqueFd writer = OpenAt(in + "/moved", O_WRONLY);
    seen += "," + Outcome(pwrite(writer.get(), "UPPER", 5, 0));
    return seen + "," + See(reader.get());
  });
}

TEST_F(PassthroughOverlayTest, ADeletedLowerFileGoesOnWhileItIsOpen) {
  ExpectTheSame(PrepareFile, [](const std::string& in) {
    const std::string file = in + "/file";
    UniqueFd reader = OpenAt(file, O_RDONLY);
    UniqueFd path = OpenAt(file, O_PATH);
    std::string seen = Outcome(unlink(file.c_str())) + ",";
    seen += See(reader.get()) + ",";
    struct stat info {};
    seen += Outcome(fstat(reader.get(), &info)) + " ";
    seen += std::to_string(info.st_nlink) + ",";
    seen += Outcome(fstat(path.get(), &info)) + ",";
    WriteFile(file, "another");
    seen += See(reader.get()) + "," + ReadFile(file) + ",";
    seen += Outcome(unlink(file.c_str()));
    return seen;
  });
}

TEST_F(PassthroughOverlayTest, SomebodyElseCopiesUpInTheSource) {
  WriteFile(Layer("lower") + "/file", "lower content");
  MountOverlay();
  Mount({.timeout = absl::ZeroDuration()}, {.backing_depth = 1});
  UniqueFd reader = Open("file", O_RDONLY);
  EXPECT_EQ(ReadAt(reader, 0, 100), "lower content");
  {
    UniqueFd behind = OpenAt(source_ + "/file", O_WRONLY);
    WriteAt(behind, 0, "UPPER");
  }
  EXPECT_EQ(ReadAt(reader, 0, 100), "UPPER content");
  UniqueFd writer = Open("file", O_RDWR);
  WriteAt(writer, 0, "above");
  EXPECT_EQ(ReadAt(reader, 0, 100), "above content");
  EXPECT_EQ(ReadFile(source_ + "/file"), "above content");
  EXPECT_EQ(BackingOpens(), 1u);
}

// Layers on two filesystems, whose inodes the overlay numbers each by itself.
TEST_F(PassthroughOverlayTest, AFileMayGetAnotherNumberByCopyingUp) {
  auto other = SourceFileSystem::Mount("tmpfs", Layer("lower"));
  ASSERT_TRUE(other.ok()) << other.status();
  ExpectTheSame(
      PrepareFile,
      [](const std::string& in) {
        UniqueFd reader = OpenAt(in + "/file", O_RDONLY);
        UniqueFd writer = OpenAt(in + "/file", O_RDWR);
        std::string seen = Outcome(pwrite(writer.get(), "UPPER", 5, 0)) + ",";
        UniqueFd late = OpenAt(in + "/file", O_RDWR);
        seen += Outcome(pwrite(late.get(), "later", 5, 0)) + ",";
        for (const UniqueFd* fd : {&reader, &writer, &late}) {
          seen += See(fd->get()) + ",";
        }
        seen += Outcome(unlink((in + "/file").c_str())) + ",";
        WriteFile(in + "/file", "another");
        for (const UniqueFd* fd : {&reader, &writer, &late}) {
          seen += See(fd->get()) + ",";
        }
        return seen + ReadFile(in + "/file");
      },
      ",xino=off");
  session_.reset();
  umount2(source_.c_str(), 0);
}

// Without its index, overlayfs copies up one name of a lower file and not the
// others, though until then all have the same inode number.
void PrepareLinks(const std::string& in) {
  WriteFile(in + "/one", "lower content");
  testing::Check(link((in + "/one").c_str(), (in + "/two").c_str()) == 0,
                 "link");
}

TEST_F(PassthroughOverlayTest, NamesOfALowerFileThatPart) {
  ExpectTheSame(
      PrepareLinks,
      [](const std::string& in) {
        std::string seen = ReadFile(in + "/one") + "," + ReadFile(in + "/two");
        {
          UniqueFd writer = OpenAt(in + "/one", O_RDWR);
          seen += "," + Outcome(pwrite(writer.get(), "UPPER", 5, 0));
        }
        return seen + "," + ReadFile(in + "/one") + "," + ReadFile(in + "/two");
      },
      ",index=off");
}

TEST_F(PassthroughOverlayTest, AWriterOfOneNameWhileAnotherIsOpen) {
  ExpectTheSame(
      PrepareLinks,
      [](const std::string& in) {
        UniqueFd reader = OpenAt(in + "/one", O_RDONLY);
        UniqueFd writer = OpenAt(in + "/two", O_RDWR);
        std::string seen = Outcome(pwrite(writer.get(), "UPPER", 5, 0));
        seen += "," + See(reader.get()) + "," + See(writer.get());
        return seen + "," + ReadFile(in + "/one") + "," + ReadFile(in + "/two");
      },
      ",index=off");
}

TEST_F(PassthroughOverlayTest, NamesOfALowerFileStayTogetherWithAnIndex) {
  ExpectTheSame(
      PrepareLinks,
      [](const std::string& in) {
        UniqueFd reader = OpenAt(in + "/one", O_RDONLY);
        UniqueFd writer = OpenAt(in + "/two", O_RDWR);
        std::string seen = Outcome(pwrite(writer.get(), "UPPER", 5, 0));
        seen += "," + See(reader.get()) + "," + See(writer.get());
        return seen + "," + ReadFile(in + "/one") + "," + ReadFile(in + "/two");
      },
      ",index=on");
}

// --- Names in layers ---

TEST_F(PassthroughOverlayTest, DirectoriesAreMerged) {
  ExpectTheSame(
      [this](const std::string& in) {
        const std::string name = in.substr(in.rfind('/'));
        for (const std::string& layer : {in, Layer("upper") + name}) {
          mkdir(layer.c_str(), 0755);
          ASSERT_EQ(mkdir((layer + "/dir").c_str(), 0755), 0);
        }
        WriteFile(in + "/dir/below", "below");
        WriteFile(in + "/dir/both", "covered");
        WriteFile(Layer("upper") + name + "/dir/both", "above");
        ASSERT_EQ(
            mknod((Layer("upper") + name + "/dir/gone").c_str(), S_IFCHR, 0),
            0);
        WriteFile(in + "/dir/gone", "gone");
      },
      [](const std::string& in) {
        std::string seen;
        for (const auto& [path, line] : testing::Snapshot(in)) {
          seen += path + ",";
        }
        seen += ReadFile(in + "/dir/both") + ",";
        // A merged directory cannot be renamed; it is emptied, goes, and comes
        // again without what it had.
        seen += Outcome(rename((in + "/dir").c_str(), (in + "/d").c_str()));
        seen += "," + Outcome(rmdir((in + "/dir").c_str()));
        seen += "," + Outcome(unlink((in + "/dir/below").c_str()));
        seen += "," + Outcome(unlink((in + "/dir/both").c_str()));
        seen += "," + Outcome(rmdir((in + "/dir").c_str()));
        seen += "," + Outcome(mkdir((in + "/dir").c_str(), 0755));
        seen += "," + Outcome(access((in + "/dir/below").c_str(), F_OK));
        WriteFile(in + "/dir/gone", "is back");
        return seen;
      },
      ",redirect_dir=off");
}

// --- Mounts above mounts ---

struct Depths {
  uint32_t middle;
  uint32_t top;
  bool middle_passes;
  bool top_passes;
};

class PassthroughOfPassthroughTest
    : public PassthroughOverlayTest,
      public ::testing::WithParamInterface<Depths> {};

// overlayfs is one layer. A mount that may have it below counts as two, and so
// has no room for another above it.
INSTANTIATE_TEST_SUITE_P(Depths, PassthroughOfPassthroughTest,
                         ::testing::Values(Depths{0, 0, false, false},
                                           Depths{0, 1, false, true},
                                           Depths{1, 0, true, false},
                                           Depths{1, 1, true, false}),
                         [](const auto& depths) {
                           return std::to_string(depths.param.middle) +
                                  "Below" + std::to_string(depths.param.top);
                         });

TEST_P(PassthroughOfPassthroughTest, OfAnOverlay) {
  WriteFile(Layer("lower") + "/file", "lower content");
  MountOverlay();
  MountBetween(GetParam().middle);
  Mount({}, {.backing_depth = GetParam().top});
  {
    UniqueFd reader = Open("file", O_RDONLY);
    EXPECT_EQ(ReadAt(reader, 0, 100), "lower content");
    UniqueFd writer = Open("file", O_RDWR);
    WriteAt(writer, 0, "UPPER");
    EXPECT_EQ(ReadAt(reader, 0, 100), "UPPER content");
  }
  const std::string content(1 << 20, 'c');
  WriteFile(mnt_ + "/new", content);
  EXPECT_EQ(ReadFile(mnt_ + "/new"), content);
  EXPECT_EQ(ReadFile(below_ + "/file"), "UPPER content");
  EXPECT_EQ(ReadFile(below_ + "/new"), content);

  const auto expect = [](bool passes, const std::string& said,
                         const Statistics& statistics) {
    EXPECT_EQ(statistics.passthrough_opens > 0, passes);
    EXPECT_EQ(statistics.operations[abi::FUSE_READ].requests == 0, passes);
    EXPECT_EQ(statistics.operations[abi::FUSE_WRITE].requests == 0, passes);
    EXPECT_EQ(said.find(kWhyNot) == std::string::npos, passes) << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), passes ? 0 : 1)
        << said;
  };
  expect(GetParam().top_passes, log(), session_->statistics());
  std::lock_guard<std::mutex> lock(mutex_);
  expect(GetParam().middle_passes, middle_log_, middle_->statistics());
}

}  // namespace
}  // namespace barefuse
