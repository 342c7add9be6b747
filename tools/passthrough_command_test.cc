#include "tools/passthrough_command.h"

#include <gtest/gtest.h>

namespace barefuse {
namespace {

PassthroughCommand Parsed(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"/source", "/mnt"});
  absl::StatusOr<PassthroughCommand> command =
      ParsePassthroughCommand(arguments);
  EXPECT_TRUE(command.ok()) << command.status();
  return command.ok() ? *std::move(command) : PassthroughCommand();
}

std::string Complaint(const std::vector<std::string>& arguments) {
  absl::StatusOr<PassthroughCommand> command =
      ParsePassthroughCommand(arguments);
  EXPECT_FALSE(command.ok());
  return std::string(command.status().message());
}

TEST(PassthroughCommand, DefaultsAreThoseOfTheHelp) {
  PassthroughCommand command = Parsed({});
  EXPECT_EQ(command.file_system.source, "/source");
  EXPECT_EQ(command.mountpoint, "/mnt");
  EXPECT_TRUE(command.file_system.passthrough);
  EXPECT_FALSE(command.file_system.direct_io);
  EXPECT_EQ(command.file_system.cache, CacheMode::kAuto);
  EXPECT_EQ(command.file_system.timeout, std::nullopt);
  EXPECT_EQ(command.file_system.attr_timeout, std::nullopt);
  EXPECT_FALSE(command.file_system.writeback);
  EXPECT_TRUE(command.session.mount.default_permissions);
  EXPECT_FALSE(command.session.mount.allow_other);
  EXPECT_EQ(command.session.mount.fsname, "/source");
  EXPECT_EQ(command.session.backing_depth, 0u);
  EXPECT_TRUE(command.session.clone_device);
  EXPECT_FALSE(command.foreground);
}

TEST(PassthroughCommand, OptionsMayStandAnywhere) {
  absl::StatusOr<PassthroughCommand> command = ParsePassthroughCommand(
      {"/source", "-f", "/mnt", "-o", "ro", "--num-threads=3"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_TRUE(command->foreground);
  EXPECT_EQ(command->session.workers, 3u);
  EXPECT_NE(command->session.mount.flags & MS_RDONLY, 0u);
}

TEST(PassthroughCommand, TakesEveryOption) {
  EXPECT_TRUE(Parsed({"-d"}).foreground);
  EXPECT_TRUE(Parsed({"-d"}).debug);
  EXPECT_FALSE(Parsed({"--nopassthrough"}).file_system.passthrough);
  EXPECT_TRUE(Parsed({"--direct-io"}).file_system.direct_io);
  EXPECT_EQ(Parsed({"--cache=never"}).file_system.cache, CacheMode::kNever);
  EXPECT_EQ(Parsed({"--cache", "auto"}).file_system.cache, CacheMode::kAuto);
  EXPECT_EQ(Parsed({"-o", "cache=always"}).file_system.cache,
            CacheMode::kAlways);
  EXPECT_TRUE(Parsed({"--writeback"}).file_system.writeback);
  EXPECT_EQ(Parsed({"--attr-timeout=3"}).file_system.attr_timeout,
            absl::Seconds(3));
  EXPECT_EQ(Parsed({"--timeout=0.5"}).file_system.timeout,
            absl::Milliseconds(500));
  EXPECT_EQ(Parsed({"--single"}).session.workers, 1u);
  EXPECT_FALSE(Parsed({"--noclone-fd"}).session.clone_device);
  EXPECT_EQ(Parsed({"--backing-depth", "1"}).session.backing_depth, 1u);
  EXPECT_EQ(Parsed({"--stats", "x"}).stats_file, "x");
  EXPECT_EQ(Parsed({}).session.transport, TransportKind::kAuto);
  EXPECT_EQ(Parsed({"--transport=dev"}).session.transport, TransportKind::kDev);
  EXPECT_EQ(Parsed({"-o", "transport=dev-uring"}).session.transport,
            TransportKind::kDevUring);
  EXPECT_EQ(Parsed({"-o", "fsname=y"}).session.mount.fsname, "y");
}

TEST(PassthroughCommand, TakesItsOwnOptionsWithO) {
  PassthroughCommand command =
      Parsed({"-o", "ro,nopassthrough,timeout=2.5,num-threads=3,stats=/x"});
  EXPECT_FALSE(command.file_system.passthrough);
  EXPECT_EQ(command.file_system.timeout, absl::Milliseconds(2500));
  EXPECT_EQ(command.session.workers, 3u);
  EXPECT_EQ(command.stats_file, "/x");
  EXPECT_EQ(Complaint({"-o", "timeout", "a", "b"}),
            "mount option timeout needs a value");
  EXPECT_EQ(Complaint({"-o", "single=1", "a", "b"}),
            "mount option single takes no value");
  EXPECT_EQ(Complaint({"-o", "num-threads=x", "a", "b"}),
            "--num-threads: \"x\" is not a number from 1 to 1024");
  EXPECT_EQ(Complaint({"-o", "remount", "a", "b"}),
            "remount is not supported; unmount and mount again");
}

TEST(PassthroughCommand, TakesWhatMount8Adds) {
  const std::vector<std::string> arguments = {
      "/source", "/mnt",          "-n", "-s",       "-v", "-r",
      "-t",      "fuse.barefuse", "-o", "rw,noexec"};
  EXPECT_EQ(Complaint(arguments), "unknown option \"-n\"");
  absl::StatusOr<PassthroughCommand> command =
      ParsePassthroughCommand(arguments, Caller::kMount8);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_NE(command->session.mount.flags & MS_NOEXEC, 0u);
}

TEST(PassthroughCommand, NamesMistakes) {
  EXPECT_EQ(Complaint({}), "SOURCE and MOUNTPOINT are missing");
  EXPECT_EQ(Complaint({"a"}), "MOUNTPOINT is missing");
  EXPECT_EQ(Complaint({"a", "b", "c"}), "unexpected argument \"c\"");
  EXPECT_EQ(Complaint({"-x", "a", "b"}), "unknown option \"-x\"");
  EXPECT_EQ(Complaint({"a", "b", "-fx"}), "unknown option \"-x\"");
  EXPECT_EQ(Complaint({"a", "b", "--bogus"}), "unknown option \"--bogus\"");
  EXPECT_EQ(Complaint({"a", "b", "--timeout"}),
            "option --timeout needs a value");
  EXPECT_EQ(Complaint({"a", "b", "--single=1"}),
            "option \"--single=1\" takes no value");
  EXPECT_EQ(Complaint({"a", "b", "-o"}), "option -o needs a value");
  EXPECT_EQ(Complaint({"--backing-depth=2", "a", "b"}),
            "--backing-depth: \"2\" is not a number from 0 to 1");
  EXPECT_EQ(Complaint({"--transport=tcp", "a", "b"}),
            "--transport: \"tcp\" is not auto, dev-uring or dev");
  for (const char* wrong : {"nan", "inf", "-1", "1x", ""}) {
    EXPECT_NE(Complaint({"--timeout", wrong, "a", "b"}).find("not a number"),
              std::string::npos)
        << wrong;
  }
}

}  // namespace
}  // namespace barefuse
