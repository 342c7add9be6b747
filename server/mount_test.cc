#include "server/mount.h"

#include <gtest/gtest.h>

namespace barefuse {
namespace {

MountOptions Parsed(std::string_view list) {
  MountOptions options;
  absl::Status status = ParseMountOptions(list, &options);
  EXPECT_TRUE(status.ok()) << status;
  return options;
}

std::string Complaint(std::string_view list) {
  MountOptions options;
  absl::Status status = ParseMountOptions(list, &options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ParseMountOptions, IsSafeByDefault) {
  MountOptions options = Parsed("");
  EXPECT_EQ(options.flags, static_cast<unsigned long>(MS_NOSUID | MS_NODEV));
  EXPECT_FALSE(options.allow_other);
  EXPECT_EQ(options.fsname, "barefuse");
  EXPECT_EQ(options.subtype, "barefuse");
}

TEST(ParseMountOptions, SetsAndClearsTheKernelsFlags) {
  EXPECT_EQ(Parsed("ro,noatime,suid,dev").flags,
            static_cast<unsigned long>(MS_RDONLY | MS_NOATIME));
  EXPECT_EQ(Parsed("ro,rw").flags & MS_RDONLY, 0u);
  EXPECT_NE(Parsed("noexec,sync").flags & (MS_NOEXEC | MS_SYNCHRONOUS), 0u);
}

TEST(ParseMountOptions, TakesFusesOwn) {
  MountOptions options = Parsed(
      "allow_other,default_permissions,max_read=65536,fsname=data,subtype=x");
  EXPECT_TRUE(options.allow_other);
  EXPECT_TRUE(options.default_permissions);
  EXPECT_EQ(options.max_read, 65536u);
  EXPECT_EQ(options.fsname, "data");
  EXPECT_EQ(options.subtype, "x");
}

TEST(ParseMountOptions, ABackslashTakesTheNextCharacterAsItIs) {
  EXPECT_EQ(Parsed(R"(fsname=a\,b\\c,ro)").fsname, R"(a,b\c)");
}

TEST(ParseMountOptions, SkipsWhatConcernsMountAndFstab) {
  EXPECT_EQ(
      Parsed("defaults,auto,user,nofail,_netdev,x-systemd.automount,,").flags,
      static_cast<unsigned long>(MS_NOSUID | MS_NODEV));
}

TEST(ParseMountOptions, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(Complaint("ro,frobnicate"), "unknown mount option \"frobnicate\"");
  EXPECT_EQ(Complaint("allow_other=1"),
            "unknown mount option \"allow_other=1\"");
  for (std::string_view wrong :
       {"max_read=", "max_read=12x", "max_read=-1", "max_read=99999999999"}) {
    EXPECT_NE(Complaint(wrong).find("is not a number"), std::string::npos)
        << wrong;
  }
}

}  // namespace
}  // namespace barefuse
