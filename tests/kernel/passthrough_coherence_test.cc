// What one view of a file shows of what another one has changed: attributes,
// which the kernel keeps for an hour here, and content.
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <atomic>
#include <thread>

#include "tests/kernel/passthrough_twins.h"
#include "tests/kernel/write_ways.h"

namespace barefuse {
namespace {

using testing::WriteFile;

constexpr size_t kPage = 4096;

std::string TimeText(const timespec& time) {
  return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec);
}

// What writing may change.
Findings Attributes(const struct stat& info) {
  return {{"size", std::to_string(info.st_size)},
          {"blocks", std::to_string(info.st_blocks)},
          {"atime", TimeText(info.st_atim)},
          {"mtime", TimeText(info.st_mtim)},
          {"ctime", TimeText(info.st_ctim)},
          {"links", std::to_string(info.st_nlink)}};
}

// A file of two names, open twice, with all its views.
class Viewed {
 public:
  Viewed(const std::string& root, const std::string& name, int flags)
      : path_(root + "/" + name), link_(path_ + ", linked") {
    WriteFile(path_, std::string(2 * kPage, 'f'));
    testing::Check(link(path_.c_str(), link_.c_str()) == 0, link_);
    file_ = Open(path_, flags);
    other_ = Open(link_, O_RDONLY);
  }
  int fd() const { return file_.get(); }
  const std::string& path() const { return path_; }

  std::map<std::string, struct stat> Views() const {
    return {{"fstat", Stat(file_)},
            {"fstat of the other", Stat(other_)},
            {"stat", testing::Stat(path_)},
            {"stat of the other", testing::Stat(link_)}};
  }

 private:
  const std::string path_, link_;
  UniqueFd file_, other_;
};

// Which attributes are others than before.
std::string Moved(const struct stat& before, const struct stat& after) {
  Findings was = Attributes(before);
  std::string moved;
  for (const auto& [name, value] : Attributes(after)) {
    if (value != was[name]) moved += name + " ";
  }
  return moved;
}

class PassthroughCoherenceTest : public TwinTest {
 protected:
  // The source's own view of a file of the mount.
  struct stat StatSource(const Viewed& file) {
    return testing::Stat(source_ + file.path().substr(mnt_.size()));
  }
  // Where files have pages of the mount's own, a store into them reaches the
  // source when they are written back.
  bool LatelyWritten(const WriteWay& way) {
    return way.maps && !backed() &&
           std::string_view(way.name).find("MS_SYNC") == std::string::npos;
  }
};
INSTANTIATE_SETTINGS(PassthroughCoherenceTest);

TEST_P(PassthroughCoherenceTest, AttributesAfterEachWayToWrite) {
  Mount();
  for (const WriteWay& way : WriteWays()) {
    SCOPED_TRACE(way.name);
    Findings on_mount, on_source;
    for (const std::string& root : {mnt_, plain()}) {
      WriteFile(root + "/from", std::string(9000, 'w'));
      UniqueFd from = Open(root + "/from", O_RDONLY);
      Viewed file(root, way.name, way.flags);
      const auto before = file.Views();  // now they are cached
      AwaitNextTick();
      Findings& found = root == mnt_ ? on_mount : on_source;
      found["result"] = Number(way.run(file.fd(), from.get()));
      for (const char* again : {"", ", again"}) {
        for (const auto& [view, info] : file.Views()) {
          SCOPED_TRACE(view + again);
          found["moved in " + view + again] = Moved(before.at(view), info);
          if (root == mnt_ && !LatelyWritten(way)) {
            ExpectSame(Attributes(info), Attributes(StatSource(file)));
          }
        }
      }
    }
    ExpectSame(on_mount, on_source);
  }
}

// A mapping that is stored to again and again, while somebody looks. Which
// store moves the times is the source's affair: tmpfs notes the first only.
TEST_P(PassthroughCoherenceTest, AttributesWhileAMappingIsWrittenTo) {
  if (GetParam().type == "tmpfs" && !backed()) {
    GTEST_SKIP() << "the server's writes move what tmpfs's stores do not";
  }
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    Viewed file(root, "file", O_RDWR);
    auto* const map = static_cast<volatile char*>(
        mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0));
    if (map == MAP_FAILED) return found;
    for (int round = 0; round < 3; ++round) {
      const auto before = file.Views();
      AwaitNextTick();
      map[round] = 'w';
      found["msync"] = Said(msync(const_cast<char*>(map), kPage, MS_SYNC));
      for (const auto& [view, info] : file.Views()) {
        SCOPED_TRACE(view);
        const std::string step = view + " " + std::to_string(round);
        found[step] = Moved(before.at(view), info);
        // To have a page of its own the mount reads the file, which moves its
        // access time.
        if (!backed() && found[step].starts_with("atime ")) {
          found[step].erase(0, strlen("atime "));
        }
        if (root == mnt_) {
          ExpectSame(Attributes(info), Attributes(StatSource(file)));
        }
      }
    }
    munmap(const_cast<char*>(map), kPage);
    return found;
  });
}

// The mapping stays when the file is closed.
TEST_P(PassthroughCoherenceTest, AttributesAfterAStoreThatOutlivesTheFile) {
  Mount();
  const std::string path = mnt_ + "/file";
  WriteFile(path, std::string(kPage, 'f'));
  volatile char* map = nullptr;
  {
    UniqueFd fd = Open(mnt_ + "/file", O_RDWR);
    map = static_cast<volatile char*>(
        mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
    ASSERT_NE(map, MAP_FAILED);
  }
  // Where the mount has pages of its own, they hold the file open.
  if (backed()) AwaitOpenFiles(0);
  const FileTime before = Mtime(path);  // cached now
  AwaitNextTick();
  map[0] = 'w';
  EXPECT_EQ(msync(const_cast<char*>(map), kPage, MS_SYNC), 0);
  EXPECT_GT(Mtime(path), before);
  EXPECT_EQ(Mtime(path), Mtime(source_ + "/file"));
  munmap(const_cast<char*>(map), kPage);
}

TEST_P(PassthroughCoherenceTest, AttributesAfterChangesOfTheInode) {
  Mount();
  const std::pair<const char*, std::function<long(const Viewed&)>> changes[] = {
      {"fchmod", [](const Viewed& f) { return fchmod(f.fd(), 0600); }},
      {"chmod", [](const Viewed& f) { return chmod(f.path().c_str(), 0600); }},
      {"chown", [](const Viewed& f) { return chown(f.path().c_str(), 1, 2); }},
      {"fchown", [](const Viewed& f) { return fchown(f.fd(), 1, 2); }},
      {"truncate",
       [](const Viewed& f) { return truncate(f.path().c_str(), 4); }},
      {"O_TRUNC",
       [](const Viewed& f) {
         return UniqueFd(open(f.path().c_str(), O_WRONLY | O_TRUNC)).get() < 0
                    ? -1
                    : 0;
       }},
      {"link",
       [](const Viewed& f) {
         return link(f.path().c_str(), (f.path() + " 3").c_str());
       }},
      {"unlink",
       [](const Viewed& f) {
         return link(f.path().c_str(), (f.path() + " 3").c_str()) +
                unlink((f.path() + " 3").c_str());
       }},
      {"rename",
       [](const Viewed& f) {
         return rename(f.path().c_str(), (f.path() + " 3").c_str()) +
                rename((f.path() + " 3").c_str(), f.path().c_str());
       }},
      {"setxattr",
       [](const Viewed& f) { return fsetxattr(f.fd(), "user.x", "x", 1, 0); }},
      {"fsync", [](const Viewed& f) { return fsync(f.fd()); }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    Findings on_mount, on_source;
    for (const std::string& root : {mnt_, plain()}) {
      Viewed file(root, name, O_RDWR);
      const auto before = file.Views();
      AwaitNextTick();
      Findings& found = root == mnt_ ? on_mount : on_source;
      found["result"] = Said(change(file));
      for (const auto& [view, info] : file.Views()) {
        SCOPED_TRACE(view);
        found["moved in " + view] = Moved(before.at(view), info);
        if (root == mnt_) {
          ExpectSame(Attributes(info), Attributes(StatSource(file)));
        }
      }
    }
    ExpectSame(on_mount, on_source);
  }
}

// --- Content ---

// One who writes directly, in one of several ways. Gives what pwrite(2) does.
class DirectWriter {
 public:
  virtual ~DirectWriter() = default;
  virtual long Write(int fd, AlignedBuffer* block, off_t offset) {
    return pwrite(fd, block->data(), block->size(), offset);
  }
};

class RingWriter : public DirectWriter {
 public:
  RingWriter() {
    testing::Check(io_uring_queue_init(4, &ring_, 0) == 0, "io_uring");
  }
  ~RingWriter() override { io_uring_queue_exit(&ring_); }
  long Write(int fd, AlignedBuffer* block, off_t offset) override {
    io_uring_prep_write(io_uring_get_sqe(&ring_), fd, block->data(),
                        static_cast<unsigned>(block->size()),
                        static_cast<uint64_t>(offset));
    io_uring_cqe* cqe = nullptr;
    testing::Check(io_uring_submit_and_wait(&ring_, 1) == 1 &&
                       io_uring_peek_cqe(&ring_, &cqe) == 0,
                   "io_uring");
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    errno = result < 0 ? -result : 0;
    return result < 0 ? -1 : result;
  }

 private:
  io_uring ring_{};
};

// By Linux's older interface for asynchronous writes.
class AioWriter : public DirectWriter {
 public:
  AioWriter() {
    testing::Check(syscall(SYS_io_setup, 1, &context_) == 0, "io_setup");
  }
  ~AioWriter() override { syscall(SYS_io_destroy, context_); }
  long Write(int fd, AlignedBuffer* block, off_t offset) override {
    iocb request{};
    request.aio_fildes = static_cast<uint32_t>(fd);
    request.aio_lio_opcode = IOCB_CMD_PWRITE;
    request.aio_buf = reinterpret_cast<uint64_t>(block->data());
    request.aio_nbytes = block->size();
    request.aio_offset = offset;
    iocb* requests[] = {&request};
    if (syscall(SYS_io_submit, context_, 1, requests) != 1) return -1;
    io_event event{};
    testing::Check(
        syscall(SYS_io_getevents, context_, 1, 1, &event, nullptr) == 1,
        "io_getevents");
    const auto result = static_cast<long>(event.res);
    errno = result < 0 ? static_cast<int>(-result) : 0;
    return result < 0 ? -1 : result;
  }

 private:
  aio_context_t context_ = 0;
};

// How a descriptor comes to write directly.
enum class Direct { kByOpen, kByFcntl };

UniqueFd OpenDirect(const std::string& path, Direct how) {
  UniqueFd fd = Open(path, O_RDWR | (how == Direct::kByOpen ? O_DIRECT : 0));
  if (how == Direct::kByFcntl) {
    testing::Check(fcntl(fd.get(), F_SETFL, O_DIRECT) == 0, "F_SETFL");
  }
  return fd;
}

// Direct writes while another descriptor reads through pages: once a write is
// over, what is read is what was written.
TEST_P(PassthroughCoherenceTest, DirectWritesAreSeenByBufferedReads) {
  Mount();
  DirectWriter by_call;
  RingWriter by_ring;
  AioWriter by_aio;
  const std::pair<const char*, DirectWriter*> ways[] = {
      {"pwrite", &by_call}, {"io_uring", &by_ring}, {"libaio", &by_aio}};
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    for (const Direct how : {Direct::kByOpen, Direct::kByFcntl}) {
      for (const auto& [name, direct] : ways) {
        const std::string step =
            std::string(name) +
            (how == Direct::kByOpen ? " by open" : " by fcntl");
        const std::string path = root + "/" + step;
        WriteFile(path, std::string(4 * kPage, '.'));
        UniqueFd buffered = Open(path, O_RDONLY);
        UniqueFd writer = OpenDirect(path, how);
        // Somebody who keeps the pages filled all the time.
        std::atomic<bool> done{false};
        std::thread reader([&] {
          UniqueFd fd = Open(path, O_RDONLY);
          while (!done.load()) ReadAt(fd, 0, 4 * kPage);
        });
        int stale = 0;
        std::string wrong;
        for (int i = 0; i < 150; ++i) {
          const char letter = static_cast<char>('a' + i % 26);
          ReadAt(buffered, 0, 4 * kPage);
          AlignedBuffer block(kPage, letter);
          const off_t at = static_cast<off_t>(i % 4 * kPage);
          const long written = direct->Write(writer.get(), &block, at);
          if (written != static_cast<long>(kPage)) wrong = Number(written);
          if (ReadAt(buffered, at, kPage) != std::string(kPage, letter)) {
            ++stale;
          }
        }
        done = true;
        reader.join();
        found[step] = std::to_string(stale) + " stale reads " + wrong;
      }
    }
    return found;
  });
}

// And the other way round, and what grows.
TEST_P(PassthroughCoherenceTest, DirectReadsSeeBufferedWrites) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    for (const Direct how : {Direct::kByOpen, Direct::kByFcntl}) {
      const std::string step = how == Direct::kByOpen ? "open" : "fcntl";
      const std::string path = root + "/" + step;
      WriteFile(path, std::string(4 * kPage, '.'));
      UniqueFd direct = OpenDirect(path, how);
      UniqueFd buffered = Open(path, O_RDWR);
      int stale = 0;
      AlignedBuffer block(kPage);
      for (int i = 0; i < 100; ++i) {
        const std::string text(kPage, static_cast<char>('a' + i % 26));
        const off_t at = static_cast<off_t>(i * kPage);
        WriteAt(buffered, at, text);
        const ssize_t n = pread(direct.get(), block.data(), kPage, at);
        if (n != static_cast<ssize_t>(kPage) ||
            std::string_view(block.data(), kPage) != text) {
          ++stale;
        }
      }
      found[step] = std::to_string(stale);
      found[step + " size"] = std::to_string(Stat(direct).st_size);
    }
    return found;
  });
}

// Everybody sees the same file, through the mount and in the source.
TEST_P(PassthroughCoherenceTest, TheSourceSeesEachWayToWrite) {
  Mount();
  for (const WriteWay& way : WriteWays()) {
    SCOPED_TRACE(way.name);
    std::string content[2];
    for (const std::string& root : {mnt_, plain()}) {
      WriteFile(root + "/from", std::string(9000, 'w'));
      UniqueFd from = Open(root + "/from", O_RDONLY);
      Viewed file(root, way.name, way.flags);
      UniqueFd reader = Open(file.path(), O_RDONLY);
      ReadAt(reader, 0, 2 << 20);  // now it is cached, where it may be
      way.run(file.fd(), from.get());
      const std::string seen = ReadAt(reader, 0, 2 << 20);
      content[root == mnt_] = seen;
      if (root == mnt_ && !LatelyWritten(way)) {
        EXPECT_TRUE(testing::ReadFile(source_ + "/" + way.name) == seen);
      }
    }
    EXPECT_TRUE(content[0] == content[1]);
  }
}

// Small writes ask nothing of the server beside what they are. (Of a file with
// set-user-id the kernel asks for capabilities each time that root writes.)
TEST_P(PassthroughCoherenceTest, SmallWritesAskForNoAttributes) {
  Mount();
  for (const mode_t mode : {0644, 0777}) {
    UniqueFd fd =
        Open(mnt_ + "/" + std::to_string(mode), O_RDWR | O_CREAT, mode);
    WriteAt(fd, 0, "first");
    const Statistics before = session_->statistics();
    for (int i = 0; i < 1000; ++i) WriteAt(fd, i * 100, std::string(100, 's'));
    const Statistics after = session_->statistics();
    const auto sent = [&](uint32_t opcode) {
      return after.operations[opcode].requests -
             before.operations[opcode].requests;
    };
    for (uint32_t opcode :
         {abi::FUSE_GETXATTR, abi::FUSE_GETATTR, abi::FUSE_SETATTR,
          abi::FUSE_LISTXATTR, abi::FUSE_LOOKUP, abi::FUSE_ACCESS,
          abi::FUSE_STATX, abi::FUSE_FLUSH}) {
      EXPECT_EQ(sent(opcode), 0u) << "opcode " << opcode;
    }
    if (GetParam().way == "passthrough") {
      EXPECT_EQ(sent(abi::FUSE_WRITE), 0u);
    } else {
      EXPECT_GE(sent(abi::FUSE_WRITE), 1000u);
    }
  }
}

}  // namespace
}  // namespace barefuse
