// A program that is started with a connection, which it serves instead of
// mounting: MOUNTPOINT is /dev/fd/N. The test plays the kernel.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "kernel_abi/fuse.h"
#include "server/unique_fd.h"
#include "tests/kernel/program_fixture.h"
#include "tests/testing/files.h"
#include "tests/testing/messages.h"
#include "tests/testing/process.h"

namespace barefuse {
namespace {

using barefuse::testing::Check;
using barefuse::testing::Children;
using barefuse::testing::Ended;
using barefuse::testing::MessageBuilder;
using barefuse::testing::Process;
using barefuse::testing::WaitFor;

class InheritedConnectionTest : public testing::ProgramFixture {
 protected:
  InheritedConnectionTest() {
    int ends[2];
    Check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0,
          "socketpair");
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }

  // The command, with their end as descriptor `fd`.
  Process Start(int fd, const std::vector<std::string>& options) {
    std::vector<std::string> words = {program_};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("/dev/fd/" + std::to_string(fd));
    return Process([this, fd, words] {
      Check(dup2(theirs_.get(), fd) == fd, "dup2");
      std::vector<char*> argv;
      for (const std::string& word : words) {
        argv.push_back(const_cast<char*>(word.c_str()));
      }
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      return 127;
    });
  }

  // Sends a request and gives the reply's error, with its body in `body_`.
  int Ask(MessageBuilder message) {
    const std::vector<std::byte> bytes = message.Bytes();
    Check(send(ours_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(bytes.size()),
          "send");
    constexpr int kLong = 20'000;  // milliseconds
    pollfd ready{ours_.get(), POLLIN, 0};
    Check(poll(&ready, 1, kLong) == 1, "no reply");
    char buffer[1 << 16];
    const ssize_t size = recv(ours_.get(), buffer, sizeof buffer, 0);
    abi::fuse_out_header header{};
    Check(size >= static_cast<ssize_t>(sizeof header), "a short reply");
    std::memcpy(&header, buffer, sizeof header);
    body_.assign(buffer + sizeof header, buffer + size);
    EXPECT_EQ(header.len, static_cast<uint32_t>(size));
    EXPECT_EQ(header.unique, message.header().unique);
    return -header.error;
  }
  int Init() {
    abi::fuse_init_in init{};
    init.major = 7;
    init.minor = 45;
    init.max_readahead = 1 << 17;
    MessageBuilder message(abi::FUSE_INIT, 0, 2);
    message.Struct(init);
    return Ask(message);
  }
  // ENOENT for an entry that says so, too.
  int Lookup(std::string_view name) {
    MessageBuilder message(abi::FUSE_LOOKUP, abi::FUSE_ROOT_ID, 4);
    message.Name(name);
    if (int error = Ask(message); error != 0) return error;
    abi::fuse_entry_out entry{};
    Check(body_.size() == sizeof entry, "a short entry");
    std::memcpy(&entry, body_.data(), sizeof entry);
    return entry.nodeid == 0 ? ENOENT : 0;
  }
  int Mkdir(std::string_view name) {
    abi::fuse_mkdir_in in{};
    in.mode = 0755;
    MessageBuilder message(abi::FUSE_MKDIR, abi::FUSE_ROOT_ID, 6);
    message.Struct(in).Name(name);
    return Ask(message);
  }

  UniqueFd ours_;
  UniqueFd theirs_;
  std::string body_;
};

TEST_F(InheritedConnectionTest, IsServedInTheForeground) {
  Process server = Start(7, {"memfs", "-f"});
  theirs_.reset();
  ASSERT_EQ(Init(), 0);
  abi::fuse_init_out init{};
  ASSERT_GE(body_.size(), sizeof init);
  std::memcpy(&init, body_.data(), sizeof init);
  EXPECT_EQ(init.major, 7u);
  EXPECT_EQ(init.minor, 45u);
  EXPECT_EQ(Lookup("name"), ENOENT);
  EXPECT_EQ(Mkdir("name"), 0);
  EXPECT_EQ(Lookup("name"), 0);
  // The other end's end is an unmount.
  ours_.reset();
  EXPECT_EQ(server.Wait(), 0);
  ExpectNothingLeft();
}

TEST_F(InheritedConnectionTest, IsServedFromTheBackground) {
  // Standard descriptors are replaced there, and kept all the same.
  for (int fd : {7, STDIN_FILENO}) {
    Process command = Start(fd, {"memfs"});
    ASSERT_EQ(Init(), 0);
    // Back once INIT has been answered, not before.
    EXPECT_EQ(command.Wait(), 0);
    ASSERT_EQ(Children().size(), 1u);
    const pid_t daemon = Children().at(0);
    EXPECT_EQ(Lookup("name"), ENOENT);
    EXPECT_EQ(Mkdir("name"), 0);
    EXPECT_EQ(Lookup("name"), 0);
    kill(daemon, SIGTERM);
    EXPECT_EQ(WaitFor(daemon), 0);
    ExpectNothingLeft();
  }
}

// A source that contains /dev is no obstacle.
TEST_F(InheritedConnectionTest, ServesPassthroughOfEverything) {
  Process server = Start(7, {"passthrough", "-f", "/"});
  theirs_.reset();
  ASSERT_EQ(Init(), 0);
  EXPECT_EQ(Lookup("proc"), 0);
  EXPECT_EQ(Lookup("no such name"), ENOENT);
  ours_.reset();
  EXPECT_EQ(server.Wait(), 0);
}

TEST_F(InheritedConnectionTest, ASignalEndsTheWaitForASilentPeer) {
  Process server = Start(7, {"memfs", "-f"});
  // Whether it waits already: then its signals are blocked.
  while (testing::ReadFile("/proc/" + std::to_string(server.pid()) + "/syscall")
             .starts_with("7 ") == false) {
    ASSERT_EQ(kill(server.pid(), 0), 0);
  }
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 1);
}

TEST_F(InheritedConnectionTest, APeerThatLeavesAtOnceIsAFailure) {
  Process server = Start(7, {"memfs", "-f"});
  theirs_.reset();
  ours_.reset();
  EXPECT_EQ(server.Wait(), 1);
}

}  // namespace
}  // namespace barefuse
