#include "server/mount_options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

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

TEST(ParseMountOptions, TakesAutoUnmountAndBlockDevices) {
  MountOptions options = Parsed("auto_unmount,blkdev,blksize=4096");
  EXPECT_TRUE(options.auto_unmount);
  EXPECT_TRUE(options.block_device);
  EXPECT_EQ(options.block_size, 4096u);
  EXPECT_EQ(Parsed("blksize=512").block_size, 512u);
  EXPECT_FALSE(Parsed("").auto_unmount);
  EXPECT_FALSE(Parsed("").block_device);
}

TEST(ParseMountOptions, TakesOnlyBlockSizesThatTheKernelTakes) {
  for (std::string_view wrong :
       {"blksize=0", "blksize=256", "blksize=513", "blksize=2097152"}) {
    EXPECT_NE(Complaint(wrong).find("is not a power of two, 512 .. "),
              std::string::npos)
        << wrong;
  }
  EXPECT_EQ(Complaint("blksize=4k"),
            "mount option blksize: \"4k\" is not a number of bytes");
}

TEST(ParseMountOptions, SaysWhatToUseForAllowRoot) {
  EXPECT_NE(Complaint("allow_root").find("use allow_other"), std::string::npos);
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

TEST(MountType, IsThatOfTheTable) {
  EXPECT_EQ(MountType(Parsed("subtype=x")), "fuse.x");
  EXPECT_EQ(MountType(Parsed("subtype=")), "fuse");
  EXPECT_EQ(MountType(Parsed("subtype=x,blkdev")), "fuseblk.x");
  EXPECT_EQ(MountType(Parsed("subtype=,blkdev")), "fuseblk");
}

TEST(MountData, HasWhatOnlyTheFilesystemKnows) {
  const std::string ids =
      ",rootmode=40000,user_id=" + std::to_string(getuid()) +
      ",group_id=" + std::to_string(getgid());
  EXPECT_EQ(MountData(7, Parsed("ro,fsname=a,subtype=b,auto_unmount")),
            "fd=7" + ids);
  EXPECT_EQ(MountData(7, Parsed("allow_other,default_permissions,max_read=8192,"
                                "blkdev,blksize=1024")),
            "fd=7" + ids +
                ",allow_other,default_permissions,max_read=8192,blksize=1024");
}

TEST(FusermountOptions, SayEverything) {
  EXPECT_EQ(FusermountOptions(Parsed("fsname=a,subtype=b")),
            "nosuid,nodev,fsname=a,subtype=b");
  EXPECT_EQ(FusermountOptions(Parsed("fsname=,subtype=")), "nosuid,nodev");
  EXPECT_EQ(FusermountOptions(Parsed(
                "ro,suid,dev,noexec,noatime,allow_other,default_permissions,"
                "max_read=8192,blkdev,blksize=1024,auto_unmount,fsname=/dev/x,"
                "subtype=b")),
            "ro,noexec,noatime,suid,dev,allow_other,default_permissions,"
            "max_read=8192,blksize=1024,blkdev,auto_unmount,fsname=/dev/x,"
            "subtype=b");
  EXPECT_EQ(FusermountOptions(Parsed("silent,fsname=,subtype=")),
            "nosuid,nodev");
}

TEST(FusermountOptions, NamesMayHaveCommas) {
  MountOptions options;
  options.fsname = R"(a,b\c)";
  options.subtype = R"(,\)";
  EXPECT_EQ(FusermountOptions(options),
            R"(nosuid,nodev,fsname=a\,b\\c,subtype=\,\\)");
  // Which is what the parser undoes.
  MountOptions parsed = Parsed(FusermountOptions(options));
  EXPECT_EQ(parsed.fsname, options.fsname);
  EXPECT_EQ(parsed.subtype, options.subtype);
}

TEST(CheckMountOptions, HoldsBlockDevicesToWhatTheyAre) {
  EXPECT_TRUE(CheckMountOptions(Parsed("")).ok());
  EXPECT_EQ(CheckMountOptions(Parsed("blksize=512")).message(),
            "a block size is for block devices only (mount option blkdev)");
  EXPECT_EQ(CheckMountOptions(Parsed("blkdev,fsname=/dev/null")).message(),
            "the block device to mount (fsname): /dev/null is no block "
            "device");
}

}  // namespace
}  // namespace barefuse
