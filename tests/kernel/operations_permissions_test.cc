// Who may do what, as ordinary users find it.
#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::Stat;
using testing::WriteFile;

constexpr User kUser = {1000, 1000};
constexpr User kOther = {1001, 1001};

class OperationsPermissions : public TransportSuite {
 protected:
  void Make(std::string_view name, mode_t mode, uid_t uid, gid_t gid) {
    WriteFile(At(name), "content");
    Give(name, mode, uid, gid);
  }
  void MakeDir(std::string_view name, mode_t mode, uid_t uid, gid_t gid) {
    ASSERT_EQ(Errno(mkdir(At(name).c_str(), 0755)), 0);
    Give(name, mode, uid, gid);
  }
  Error TryAccess(std::string_view name, int mode) {
    return Errno(faccessat(AT_FDCWD, At(name).c_str(), mode, AT_EACCESS));
  }

 private:
  void Give(std::string_view name, mode_t mode, uid_t uid, gid_t gid) {
    ASSERT_EQ(Errno(chown(At(name).c_str(), uid, gid)), 0);
    ASSERT_EQ(Errno(chmod(At(name).c_str(), mode)), 0);
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsPermissions);

TEST_P(OperationsPermissions, OwnerGroupAndOthersHaveBitsOfTheirOwn) {
  Make("file", 0640, 1000, 2000);
  const User member = {1001, 2000};
  const User also_member = {1002, 1002, {5, 2000}};
  const auto open_as = [&](const User& user, int flags) {
    return As(user, [&] { return TryOpen(At("file"), flags); });
  };
  EXPECT_EQ(open_as(kUser, O_RDWR), 0);
  EXPECT_EQ(open_as(member, O_RDONLY), 0);
  EXPECT_EQ(open_as(member, O_WRONLY), EACCES);
  EXPECT_EQ(open_as(also_member, O_RDONLY), 0);
  EXPECT_EQ(open_as(also_member, O_RDWR), EACCES);
  EXPECT_EQ(open_as(kOther, O_RDONLY), EACCES);
  // The first that fits decides: the owner has less than everybody here.
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 0066)), 0);
  EXPECT_EQ(open_as(kUser, O_RDONLY), EACCES);
  EXPECT_EQ(open_as(kOther, O_RDWR), 0);
}

TEST_P(OperationsPermissions, AccessAnswersForTheCaller) {
  Make("file", 0644, 0, 0);
  Make("program", 0755, 0, 0);
  EXPECT_EQ(TryAccess("file", R_OK | W_OK), 0);
  EXPECT_EQ(TryAccess("file", X_OK), EACCES);  // not even root
  EXPECT_EQ(TryAccess("none", F_OK), ENOENT);
  EXPECT_EQ(As(kUser, [&] { return TryAccess("file", R_OK); }), 0);
  EXPECT_EQ(As(kUser, [&] { return TryAccess("file", W_OK); }), EACCES);
  EXPECT_EQ(As(kUser, [&] { return TryAccess("file", X_OK); }), EACCES);
  EXPECT_EQ(As(kUser, [&] { return TryAccess("program", R_OK | X_OK); }), 0);
  EXPECT_EQ(Errno(access(At("program").c_str(), X_OK)), 0);
}

TEST_P(OperationsPermissions, DirectoriesAreSearchedAndListed) {
  MakeDir("closed", 0700, 0, 0);
  Make("closed/file", 0666, 0, 0);
  MakeDir("search", 0711, 0, 0);
  Make("search/file", 0666, 0, 0);
  MakeDir("list", 0744, 0, 0);
  Make("list/file", 0666, 0, 0);
  const auto read = [&](const char* name) {
    return As(kUser, [&] { return TryOpen(At(name), O_RDONLY); });
  };
  EXPECT_EQ(read("closed"), EACCES);
  EXPECT_EQ(read("closed/file"), EACCES);
  EXPECT_EQ(read("closed/none"), EACCES);
  EXPECT_EQ(read("search"), EACCES);
  EXPECT_EQ(read("search/file"), 0);
  EXPECT_EQ(read("search/none"), ENOENT);
  EXPECT_EQ(read("list"), 0);
  EXPECT_EQ(read("list/file"), EACCES);
  // What root has looked at meanwhile changes nothing.
  EXPECT_EQ(ReadFile(At("closed/file")), "content");
  EXPECT_EQ(read("closed/file"), EACCES);
}

TEST_P(OperationsPermissions, NamesBelongToTheDirectory) {
  MakeDir("theirs", 0755, 1001, 1001);
  Make("theirs/file", 0666, 1000, 1000);
  MakeDir("own", 0755, 1000, 1000);
  Make("own/file", 0600, 0, 0);
  EXPECT_EQ(As(kUser, [&] { return Errno(unlink(At("theirs/file").c_str())); }),
            EACCES);
  EXPECT_EQ(As(kUser,
               [&] {
                 return Errno(
                     rename(At("theirs/file").c_str(), At("own/new").c_str()));
               }),
            EACCES);
  EXPECT_EQ(
      As(kUser,
         [&] { return Errno(symlink("target", At("theirs/link").c_str())); }),
      EACCES);
  // The file itself is not asked.
  EXPECT_EQ(As(kUser, [&] { return Errno(unlink(At("own/file").c_str())); }),
            0);
}

TEST_P(OperationsPermissions, StickyDirectoriesProtectNames) {
  MakeDir("tmp", 01777, 0, 0);
  Make("tmp/file", 0666, 1000, 1000);
  MakeDir("tmp/dir", 0777, 1000, 1000);
  const auto in_tmp = [&](const User& user, auto&& call) {
    return As(user, [&] { return Errno(call()); });
  };
  const auto unlink_file = [&] { return unlink(At("tmp/file").c_str()); };
  const auto rmdir_dir = [&] { return rmdir(At("tmp/dir").c_str()); };
  const auto rename_away = [&] {
    return rename(At("tmp/file").c_str(), At("tmp/new").c_str());
  };
  const auto replace = [&] {
    WriteFile(At("tmp/own"), "");
    return rename(At("tmp/own").c_str(), At("tmp/file").c_str());
  };
  EXPECT_EQ(in_tmp(kOther, unlink_file), EPERM);
  EXPECT_EQ(in_tmp(kOther, rmdir_dir), EPERM);
  EXPECT_EQ(in_tmp(kOther, rename_away), EPERM);
  EXPECT_EQ(in_tmp(kOther, replace), EPERM);
  EXPECT_EQ(in_tmp(kUser, rmdir_dir), 0);
  EXPECT_EQ(in_tmp(kUser, rename_away), 0);
  EXPECT_EQ(Names(At("tmp")), (std::set<std::string>{"new", "own"}));
  // The directory's owner may.
  ASSERT_EQ(Errno(chown(At("tmp").c_str(), 1001, 0)), 0);
  EXPECT_EQ(in_tmp(kOther, [&] { return unlink(At("tmp/new").c_str()); }), 0);
}

TEST_P(OperationsPermissions, SetGroupIdDirectoriesGiveTheirGroup) {
  MakeDir("shared", 02777, 0, 2000);
  ASSERT_EQ(As(kUser,
               [&] {
                 WriteFile(At("shared/file"), "");
                 if (mkfifo(At("shared/fifo").c_str(), 0644) != 0) return errno;
                 if (symlink("x", At("shared/link").c_str()) != 0) return errno;
                 return mkdir(At("shared/dir").c_str(), 0755) != 0 ? errno : 0;
               }),
            0);
  for (const char* name : {"file", "fifo", "link", "dir"}) {
    const struct stat info = Stat(At("shared/" + std::string(name)));
    EXPECT_EQ(info.st_uid, 1000u) << name;
    EXPECT_EQ(info.st_gid, 2000u) << name;
    // Directories hand the bit on.
    EXPECT_EQ((info.st_mode & S_ISGID) != 0, S_ISDIR(info.st_mode)) << name;
  }
}

TEST_P(OperationsPermissions, NobodyGetsSetGroupIdOfAnotherGroup) {
  MakeDir("shared", 02777, 0, 2000);
  umask(0);
  const auto create = [&](const User& user, const char* name) {
    return As(user,
              [&] { return TryOpen(At(name), O_WRONLY | O_CREAT, 02775); });
  };
  EXPECT_EQ(create(kUser, "shared/theirs"), 0);
  EXPECT_EQ(Permissions(At("shared/theirs")), 0775u);
  EXPECT_EQ(create({1000, 1000, {2000}}, "shared/own"), 0);
  EXPECT_EQ(Permissions(At("shared/own")), 02775u);
  EXPECT_EQ(Stat(At("shared/own")).st_gid, 2000u);
}

TEST_P(OperationsPermissions, AFileWithoutANameBelongsToItsCaller) {
  MakeDir("shared", 02777, 0, 2000);
  EXPECT_EQ(As(kUser,
               [&]() -> Error {
                 UniqueFd fd = Open(At("shared"), O_TMPFILE | O_WRONLY, 0600);
                 const struct stat info = barefuse::Stat(fd);
                 return info.st_uid == 1000 && info.st_gid == 2000 ? 0 : EBADE;
               }),
            0);
  EXPECT_EQ(As(kUser, [&] { return TryOpen(root(), O_TMPFILE | O_WRONLY); }),
            EACCES);
}

}  // namespace
}  // namespace barefuse
