#include "tools/memfs_command.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace barefuse {
namespace {

MemfsCommand Parsed(std::vector<std::string> arguments) {
  arguments.emplace_back("/mnt");
  absl::StatusOr<MemfsCommand> command = ParseMemfsCommand(arguments);
  EXPECT_TRUE(command.ok()) << command.status();
  return command.ok() ? *std::move(command) : MemfsCommand();
}

std::string Complaint(const std::vector<std::string>& arguments) {
  absl::StatusOr<MemfsCommand> command = ParseMemfsCommand(arguments);
  EXPECT_FALSE(command.ok());
  return std::string(command.status().message());
}

TEST(MemfsCommand, DefaultsAreTheUsersOwn) {
  const MemfsCommand command = Parsed({});
  EXPECT_EQ(command.mountpoint, "/mnt");
  EXPECT_EQ(command.file_system.root_uid, geteuid());
  EXPECT_EQ(command.file_system.root_gid, getegid());
  EXPECT_EQ(command.file_system.root_mode, 0755u);
  EXPECT_EQ(command.file_system.size_limit, 0u);  // half of the memory
  EXPECT_TRUE(command.session.mount.default_permissions);
  EXPECT_FALSE(command.session.mount.allow_other);
  EXPECT_EQ(command.session.mount.fsname, "memfs");
  EXPECT_EQ(command.session.mount.subtype, "barefuse-memfs");
}

TEST(MemfsCommand, TakesEveryOption) {
  EXPECT_EQ(Parsed({"--size=4K"}).file_system.size_limit, 4096u);
  EXPECT_EQ(Parsed({"--size", "3g"}).file_system.size_limit, 3u << 30);
  EXPECT_EQ(Parsed({"--inodes=10"}).file_system.inode_limit, 10u);
  EXPECT_EQ(Parsed({"--mode=1777"}).file_system.root_mode, 01777u);
  EXPECT_EQ(Parsed({"--mode=0700"}).file_system.root_mode, 0700u);
  EXPECT_EQ(Parsed({"--uid=7"}).file_system.root_uid, 7u);
  EXPECT_EQ(Parsed({"--gid=8"}).file_system.root_gid, 8u);
  EXPECT_EQ(Parsed({"--timeout=2"}).file_system.timeout, absl::Seconds(2));
  EXPECT_TRUE(Parsed({"--direct-io"}).file_system.direct_io);
  EXPECT_TRUE(Parsed({"--writeback"}).file_system.writeback_cache);
  EXPECT_TRUE(Parsed({"--test-ioctls"}).file_system.test_ioctls);
  const MemfsCommand command =
      Parsed({"-o", "size=1m,mode=711,uid=7,gid=8,noexec,writeback,single"});
  EXPECT_EQ(command.file_system.size_limit, 1u << 20);
  EXPECT_EQ(command.file_system.root_mode, 0711u);
  EXPECT_EQ(command.file_system.root_uid, 7u);
  EXPECT_EQ(command.file_system.root_gid, 8u);
  EXPECT_TRUE(command.file_system.writeback_cache);
  EXPECT_NE(command.session.mount.flags & MS_NOEXEC, 0u);
  EXPECT_EQ(command.session.workers, 1u);
}

TEST(MemfsCommand, NamesMistakes) {
  EXPECT_EQ(Complaint({}), "MOUNTPOINT is missing");
  EXPECT_EQ(Complaint({""}), "MOUNTPOINT is an empty string");
  EXPECT_EQ(Complaint({"a", "b"}), "unexpected argument \"b\"");
  EXPECT_EQ(Complaint({"--size=1023", "a"}),
            "--size: \"1023\" is not a size from 4K to 1024T");
  EXPECT_EQ(Complaint({"--size=10x", "a"}),
            "--size: \"10x\" is not a size from 4K to 1024T");
  EXPECT_EQ(Complaint({"-o", "mode=888", "a"}),
            "--mode: \"888\" is not an octal number from 0 to 7777");
  EXPECT_EQ(Complaint({"--mode=10000", "a"}),
            "--mode: \"10000\" is not an octal number from 0 to 7777");
  EXPECT_EQ(Complaint({"--inodes=0", "a"}),
            "--inodes: \"0\" is not a number from 1 to 1000000000000");
  EXPECT_EQ(Complaint({"--uid=4294967295", "a"}),
            "--uid: \"4294967295\" is not a number from 0 to 4294967294");
  EXPECT_EQ(Complaint({"--nopassthrough", "a"}),
            "unknown option \"--nopassthrough\"");
}

TEST(MemfsCommand, Mount8NamesASource) {
  absl::StatusOr<MemfsCommand> command = ParseMemfsCommand(
      {"scratch", "/mnt", "-o", "rw,size=1G"}, Caller::kMount8);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->session.mount.fsname, "scratch");
  EXPECT_EQ(command->mountpoint, "/mnt");
  EXPECT_EQ(command->file_system.size_limit, 1u << 30);
  // mount -f pretends.
  EXPECT_FALSE(command->only_check);
  command = ParseMemfsCommand({"scratch", "/mnt", "-f"}, Caller::kMount8);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_TRUE(command->only_check);
  EXPECT_FALSE(command->foreground);
}

}  // namespace
}  // namespace barefuse
