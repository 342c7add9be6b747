// Opens of one inode in all modes at once: the states that the kernel and the
// passthrough filesystem keep for it together.
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/kernel/passthrough_twins.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::WriteFile;

struct Mode {
  const char* name;
  int flags;
  bool reads() const { return (flags & O_ACCMODE) != O_WRONLY; }
  bool writes() const { return (flags & O_ACCMODE) != O_RDONLY; }
};
constexpr Mode kModes[] = {
    {"O_RDONLY", O_RDONLY},
    {"O_WRONLY", O_WRONLY},
    {"O_RDWR", O_RDWR},
    {"O_WRONLY|O_APPEND", O_WRONLY | O_APPEND},
    {"O_RDWR|O_APPEND", O_RDWR | O_APPEND},
    {"O_RDONLY|O_DIRECT", O_RDONLY | O_DIRECT},
    {"O_RDWR|O_DIRECT", O_RDWR | O_DIRECT},
    {"O_RDWR|O_APPEND|O_DIRECT", O_RDWR | O_APPEND | O_DIRECT},
    {"O_RDWR|O_TRUNC", O_RDWR | O_TRUNC},
    {"O_WRONLY|O_TRUNC|O_DIRECT", O_WRONLY | O_TRUNC | O_DIRECT},
    {"O_RDWR|O_SYNC", O_RDWR | O_SYNC},
    {"O_RDWR|O_DSYNC|O_DIRECT", O_RDWR | O_DSYNC | O_DIRECT},
    {"O_RDONLY|O_NOATIME", O_RDONLY | O_NOATIME},
};
constexpr size_t kBlock = 4096;

// The file's content as a reader sees it: for each block its first and last
// letter.
std::string Blocks(const UniqueFd& fd) {
  AlignedBuffer buffer(16 * kBlock);
  const ssize_t n = pread(fd.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return Said(n);
  std::string text = std::to_string(n) + " ";
  for (ssize_t at = 0; at + 4096 <= n; at += 4096) {
    text += buffer.data()[at];
    text += buffer.data()[at + 4095];
  }
  return text;
}

// An open file of the test.
struct Opened {
  const Mode* mode;
  UniqueFd fd;
};

// Each writer writes a block, and after each write each reader reads.
void UseAll(const std::vector<Opened>& files, Findings* found) {
  char letter = 'A';
  for (const Opened& writer : files) {
    if (!writer.fd || !writer.mode->writes()) continue;
    const std::string step =
        std::string(1, letter) + ", written by " + writer.mode->name;
    AlignedBuffer block(kBlock, letter);
    const off_t at = (letter - 'A') % 2 * static_cast<off_t>(kBlock);
    (*found)[step] = Number(pwrite(writer.fd.get(), block.data(), kBlock, at));
    size_t number = 0;
    for (const Opened& reader : files) {
      ++number;
      if (!reader.fd || !reader.mode->reads()) continue;
      (*found)[step + ", read by " + std::to_string(number) + " " +
               reader.mode->name] = Blocks(reader.fd);
    }
    ++letter;
  }
}

class PassthroughStateTest : public TwinTest {
 protected:
  // Makes a file that nobody has open: its release comes after close(2).
  void MakeFile(const std::string& name) {
    WriteFile(name, std::string(2 * kBlock, '.'));
    AwaitOpenFiles(0);
  }
  // Waits for the releases of all files, and expects so many backing files to
  // have been opened meanwhile, and closed.
  void ExpectBackings(uint64_t count) {
    AwaitOpenFiles(0);
    EXPECT_EQ(BackingOpens(), backed() ? count : 0);
    AwaitBackingCloses(backed() ? count : 0);
    EXPECT_EQ(BackingCloses(), backed() ? count : 0);
  }
};
INSTANTIATE_SETTINGS(PassthroughStateTest);
INSTANTIATE_TEST_SUITE_P(
    Stacked, PassthroughStateTest,
    ::testing::ValuesIn(Settings({"overlay"},
                                 {"passthrough", "direct_io", "refused"})),
    SettingName);

TEST_P(PassthroughStateTest, EveryPairOfModes) {
  Mount();
  uint64_t pairs = 0;
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    pairs = 0;
    for (const Mode& first : kModes) {
      for (const Mode& second : kModes) {
        const std::string name = root + "/" + std::to_string(++pairs);
        MakeFile(name);
        testing::Check(link(name.c_str(), (name + "l").c_str()) == 0, name);
        std::vector<Opened> files;
        Findings here;
        for (const Mode* mode : {&first, &second}) {
          const std::string path = files.empty() ? name : name + "l";
          files.push_back(
              {mode, UniqueFd(open(path.c_str(), mode->flags | O_CLOEXEC))});
          here["open " + std::to_string(files.size())] =
              Said(files.back().fd.get());
        }
        UseAll(files, &here);
        for (auto& [step, result] : here) {
          found[std::string(first.name) + " + " + second.name + ": " + step] =
              result;
        }
      }
    }
    return found;
  });
  // One for making the file, one for both opens of it.
  ExpectBackings(2 * pairs);
}

TEST_P(PassthroughStateTest, AllModesTogether) {
  Mount();
  // Whichever comes first settles how the inode is used.
  for (size_t first = 0; first < std::size(kModes); ++first) {
    SCOPED_TRACE(kModes[first].name);
    ExpectAsOnSource([&](const std::string& root) {
      const std::string name = root + "/" + std::to_string(first);
      MakeFile(name);
      testing::Check(link(name.c_str(), (name + "l").c_str()) == 0, name);
      Findings found;
      std::vector<Opened> files;
      for (size_t i = 0; i < std::size(kModes); ++i) {
        const Mode& mode = kModes[(first + i) % std::size(kModes)];
        const std::string path = i % 2 == 0 ? name : name + "l";
        files.push_back(
            {&mode, UniqueFd(open(path.c_str(), mode.flags | O_CLOEXEC))});
        found[std::string("open ") + mode.name] = Said(files.back().fd.get());
      }
      UseAll(files, &found);
      return found;
    });
  }
  ExpectBackings(2 * std::size(kModes));
}

TEST_P(PassthroughStateTest, WhatIsCreatedIsOpenedAgainInEveryMode) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    for (const Mode& first : kModes) {
      const std::string name = root + "/" + std::string(first.name);
      std::vector<Opened> files;
      files.push_back(
          {&first,
           UniqueFd(open(name.c_str(),
                         first.flags | O_CREAT | O_EXCL | O_CLOEXEC, 0600))});
      found[std::string("create ") + first.name] = Said(files[0].fd.get());
      for (const Mode& mode : kModes) {
        files.push_back(
            {&mode, UniqueFd(open(name.c_str(), mode.flags | O_CLOEXEC))});
        found[std::string(first.name) + ", then " + mode.name] =
            Said(files.back().fd.get());
      }
      Findings here;
      UseAll(files, &here);
      for (auto& [step, result] : here) {
        found[std::string(first.name) + " created: " + step] = result;
      }
    }
    return found;
  });
  ExpectBackings(std::size(kModes));
}

TEST_P(PassthroughStateTest, UnnamedFilesAreNamedAndOpenedAgain) {
  Mount();
  uint64_t count = 0;
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    count = 0;
    for (const Mode& first : kModes) {
      if (!first.writes() || (first.flags & O_TRUNC) != 0) continue;
      const std::string name = root + "/" + std::string(first.name);
      std::vector<Opened> files;
      files.push_back(
          {&first, UniqueFd(open(root.c_str(),
                                 first.flags | O_TMPFILE | O_CLOEXEC, 0600))});
      found[std::string("O_TMPFILE ") + first.name] = Said(files[0].fd.get());
      if (!files[0].fd) continue;
      ++count;
      const std::string proc =
          "/proc/self/fd/" + std::to_string(files[0].fd.get());
      found[std::string("link ") + first.name] = Said(linkat(
          AT_FDCWD, proc.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW));
      for (const Mode& mode : kModes) {
        files.push_back(
            {&mode, UniqueFd(open(name.c_str(), mode.flags | O_CLOEXEC))});
        found[std::string(first.name) + ", then " + mode.name] =
            Said(files.back().fd.get());
        // By its magic link, which is one more way to open an inode.
        files.push_back(
            {&mode, UniqueFd(open(proc.c_str(), mode.flags | O_CLOEXEC))});
        found[std::string(first.name) + ", then by /proc " + mode.name] =
            Said(files.back().fd.get());
      }
      Findings here;
      UseAll(files, &here);
      for (auto& [step, result] : here) {
        found[std::string(first.name) + " unnamed: " + step] = result;
      }
    }
    return found;
  });
  ExpectBackings(count);
}

// A backing file is opened by the first open, closed with the last release.
TEST_P(PassthroughStateTest, TheBackingFileLivesAsLongAsAnOpen) {
  WriteFile(source_ + "/file", "content");
  Mount();
  for (uint64_t round = 1; round <= 3; ++round) {
    std::vector<UniqueFd> fds;
    for (const Mode& mode : kModes) {
      if ((mode.flags & O_TRUNC) == 0)
        fds.push_back(Open(mnt_ + "/file", mode.flags));
    }
    EXPECT_EQ(BackingOpens(), backed() ? round : 0);
    while (fds.size() > 1) fds.erase(fds.begin());
    AwaitOpenFiles(1);
    EXPECT_EQ(BackingCloses(), backed() ? round - 1 : 0);
    EXPECT_EQ(ReadAt(fds[0], 0, 100), "content");
    fds.clear();
    ExpectBackings(round);
  }
}

// The id is opened for reading as well as for writing, whoever comes first.
TEST_P(PassthroughStateTest, AWriterComesAfterAReader) {
  WriteFile(source_ + "/file", "content");
  testing::Check(chmod(source_.c_str(), 0777) == 0, source_);
  testing::Check(chmod((source_ + "/file").c_str(), 0666) == 0, "chmod");
  Mount();
  UniqueFd reader = Open(mnt_ + "/file", O_RDONLY);
  EXPECT_EQ(ReadAt(reader, 0, 100), "content");
  EXPECT_EQ(pwrite(reader.get(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(As({1000, 1000},
               [&] {
                 UniqueFd writer(
                     open((mnt_ + "/file").c_str(), O_WRONLY | O_CLOEXEC));
                 if (!writer) return Error(errno);
                 return Errno(pwrite(writer.get(), "C", 1, 0));
               }),
            0);
  EXPECT_EQ(ReadAt(reader, 0, 100), "Content");
  EXPECT_EQ(BackingOpens(), backed() ? 1u : 0u);
}

// A file in use through its first name while the names change.
TEST_P(PassthroughStateTest, NamesComeAndGoUnderAnOpenFile) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    const std::string one = root + "/one", two = root + "/two",
                      three = root + "/three";
    WriteFile(one, "content");
    std::vector<UniqueFd> fds;
    const auto open_more = [&](const std::string& name, int flags) {
      fds.emplace_back(open(name.c_str(), flags | O_CLOEXEC));
      found["open " + std::to_string(fds.size())] = Said(fds.back().get());
    };
    open_more(one, O_RDONLY);
    found["link"] = Said(link(one.c_str(), two.c_str()));
    open_more(two, O_RDWR);
    found["unlink"] = Said(unlink(one.c_str()));
    open_more(two, O_RDWR | O_DIRECT);
    found["rename"] = Said(rename(two.c_str(), three.c_str()));
    open_more(three, O_WRONLY | O_APPEND);
    found["append"] = Number(write(fds.back().get(), "!", 1));
    found["unlink the last"] = Said(unlink(three.c_str()));
    open_more("/proc/self/fd/" + std::to_string(fds[0].get()), O_RDWR);
    found["write"] = Number(pwrite(fds.back().get(), "C", 1, 0));
    found["content"] = ReadAt(fds[0], 0, 100);
    // Another file of the same name has nothing to do with it.
    WriteFile(three, "another");
    found["content of both"] = ReadAt(fds[0], 0, 100) + ReadFile(three);
    return found;
  });
  AwaitOpenFiles(0);
  AwaitBackingCloses(BackingOpens());
}

TEST_P(PassthroughStateTest, AnotherProcessUsesADescriptorThatItIsSent) {
  WriteFile(source_ + "/file", "content");
  Mount();
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  testing::Process other([&] {
    ours.reset();
    char byte;
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(theirs.get(), &message, MSG_CMSG_CLOEXEC) != 1) return 1;
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    char content[8] = {};
    if (pread(fd, content, 7, 0) != 7) return 2;
    if (std::string_view(content) != "content") return 3;
    return pwrite(fd, "C", 1, 0) == 1 ? 0 : 4;
  });
  theirs.reset();
  UniqueFd fd = Open(mnt_ + "/file", O_RDWR);
  char byte = 'x';
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int sent = fd.get();
  memcpy(CMSG_DATA(header), &sent, sizeof sent);
  ASSERT_EQ(sendmsg(ours.get(), &message, 0), 1);
  EXPECT_EQ(other.Wait(), 0);
  EXPECT_EQ(ReadAt(fd, 0, 100), "Content");
  EXPECT_EQ(BackingOpens(), backed() ? 1u : 0u);
}

// Opens and closes that race for the inode's state.
TEST_P(PassthroughStateTest, OpensAndClosesOfManyThreads) {
  Mount();
  MakeFile(mnt_ + "/file");
  ASSERT_EQ(link((mnt_ + "/file").c_str(), (mnt_ + "/link").c_str()), 0);
  constexpr int kThreads = 4;
  constexpr int kOpens = 400;
  std::vector<Findings> failures(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string path = mnt_ + (t % 2 == 0 ? "/file" : "/link");
      AlignedBuffer block(kBlock, 'w');
      for (int i = 0; i < kOpens; ++i) {
        // Each thread in an order of its own.
        const Mode& mode = kModes[(i * (t + 2) + t) % std::size(kModes)];
        UniqueFd fd(open(path.c_str(), mode.flags | O_CLOEXEC));
        if (!fd) {
          failures[t][std::string("open ") + mode.name] = Said(-1);
        } else if (mode.writes() &&
                   pwrite(fd.get(), block.data(), kBlock, 0) < 0) {
          failures[t][std::string("write ") + mode.name] = Said(-1);
        } else if (mode.reads() &&
                   pread(fd.get(), block.data(), kBlock, 0) < 0) {
          failures[t][std::string("read ") + mode.name] = Said(-1);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Findings& failed : failures) EXPECT_EQ(failed, Findings{});
  AwaitOpenFiles(0);
  AwaitBackingCloses(BackingOpens());
  EXPECT_EQ(BackingCloses(), BackingOpens());
  EXPECT_EQ(BackingOpens() > 0, backed());
}

// A copy of cat(1), run from the file itself.
class Running {
 public:
  explicit Running(const std::string& program) {
    int in[2], out[2];
    testing::Check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0,
                   "pipe");
    UniqueFd child_in(in[0]), child_out(out[1]);
    in_.reset(in[1]);
    out_.reset(out[0]);
    process_.emplace([&] {
      dup2(child_in.get(), STDIN_FILENO);
      dup2(child_out.get(), STDOUT_FILENO);
      execl(program.c_str(), program.c_str(), nullptr);
      return errno;
    });
  }
  // Whether it does its work.
  std::string Echo() {
    char byte = '?';
    if (write(in_.get(), "x", 1) != 1) return "no reader";
    return read(out_.get(), &byte, 1) == 1 ? std::string(1, byte) : "ended";
  }
  int End() {
    in_.reset();
    return process_->Wait();
  }

 private:
  UniqueFd in_, out_;
  std::optional<testing::Process> process_;
};

TEST_P(PassthroughStateTest, ProgramsRunAndAreNotWrittenToMeanwhile) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    const std::string cat = root + "/cat";
    std::filesystem::copy_file("/bin/cat", cat);
    testing::Check(chmod(cat.c_str(), 0755) == 0, cat);
    {
      Running program(cat);
      found["runs"] = program.Echo();
      for (const Mode& mode : kModes) {
        if ((mode.flags & O_TRUNC) != 0) continue;
        found[std::string("open meanwhile ") + mode.name] =
            Said(UniqueFd(open(cat.c_str(), mode.flags | O_CLOEXEC)).get());
      }
      found["truncate meanwhile"] = Said(truncate(cat.c_str(), 0));
      found["still runs"] = program.Echo();
      found["ends with"] = std::to_string(program.End());
    }
    UniqueFd reader(open(cat.c_str(), O_RDONLY | O_CLOEXEC));
    found["runs while it is read"] = Running(cat).Echo();
    UniqueFd writer(open(cat.c_str(), O_WRONLY | O_CLOEXEC));
    found["open afterwards"] = Said(writer.get());
    found["while it is written"] = strerrorname_np(Running(cat).End());
    writer.reset();
    found["after that"] = Running(cat).Echo();
    testing::Check(chmod(cat.c_str(), 0644) == 0, cat);
    found["without the right"] = strerrorname_np(Running(cat).End());
    return found;
  });
}

TEST_P(PassthroughStateTest, ScriptsRun) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    const std::string script = root + "/script";
    WriteFile(script, "#!/bin/sh\necho \"said $1\"\n");
    testing::Check(chmod(script.c_str(), 0755) == 0, script);
    const testing::Ended ended = testing::RunToEnd({script, "this"});
    return Findings{{"script", ended.out + std::to_string(ended.status)}};
  });
}

}  // namespace
}  // namespace barefuse
