// POSIX access control lists, in the form that the kernel keeps them in.
#include <endian.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::Stat;
using testing::WriteFile;

constexpr char kAccess[] = "system.posix_acl_access";
constexpr char kDefault[] = "system.posix_acl_default";
constexpr uint32_t kNoId = 0xffffffff;

struct Entry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id = kNoId;
};

// The value of the attribute: little-endian, in the order given, which must be
// that of the tags.
std::string Acl(const std::vector<Entry>& entries) {
  std::string value;
  const auto append = [&value](const auto& field) {
    value.append(reinterpret_cast<const char*>(&field), sizeof field);
  };
  append(htole32(POSIX_ACL_XATTR_VERSION));
  for (const Entry& entry : entries) {
    append(htole16(entry.tag));
    append(htole16(entry.permissions));
    append(htole32(entry.id));
  }
  return value;
}

// Tags of <linux/posix_acl.h>, which programs do not get.
constexpr uint16_t kUserObj = 0x01, kUser = 0x02, kGroupObj = 0x04,
                   kGroup = 0x08, kMask = 0x10, kOther = 0x20;

class OperationsAcl : public TransportSuite {
 protected:
  Error Set(std::string_view name, const char* which, const std::string& acl) {
    return Errno(setxattr(At(name).c_str(), which, acl.data(), acl.size(), 0));
  }
  // The list, or the name of the error.
  std::string Get(std::string_view name, const char* which) {
    char value[1000];
    const ssize_t size = getxattr(At(name).c_str(), which, value, sizeof value);
    return size < 0 ? strerrorname_np(errno)
                    : std::string(value, static_cast<size_t>(size));
  }
  Error OpenAs(const User& user, std::string_view name, int flags) {
    return As(user, [&] { return TryOpen(At(name), flags); });
  }
  void MakeDir(std::string_view name) {
    ASSERT_EQ(Errno(mkdir(At(name).c_str(), 0755)), 0);
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsAcl);

TEST_P(OperationsAcl, ListsAreKeptAndShowInTheMode) {
  WriteFile(At("file"), "content");
  EXPECT_EQ(Get("file", kAccess), "ENODATA");
  const std::string acl = Acl({{kUserObj, 6},
                               {kUser, 7, 1000},
                               {kGroupObj, 4},
                               {kGroup, 6, 2000},
                               {kMask, 5},
                               {kOther, 1}});
  ASSERT_EQ(Set("file", kAccess, acl), 0);
  EXPECT_TRUE(Get("file", kAccess) == acl);
  // The mode's group bits are the mask.
  EXPECT_EQ(Permissions(At("file")), 0651u);
  char names[200];
  const ssize_t size = listxattr(At("file").c_str(), names, sizeof names);
  std::string expected(kAccess, sizeof kAccess);
  if (const auto companion = limits().acl_companion; !companion.empty()) {
    expected += std::string(companion) + '\0';
  }
  EXPECT_EQ(std::string(names, static_cast<size_t>(size)), expected);
  // Anybody else sees the list itself only.
  EXPECT_EQ(As({1000, 1000},
               [&]() -> Error {
                 return listxattr(At("file").c_str(), names, sizeof names) ==
                                    sizeof kAccess &&
                                names == std::string_view(kAccess)
                            ? 0
                            : EBADE;
               }),
            0);
  ASSERT_EQ(Errno(removexattr(At("file").c_str(), kAccess)), 0);
  EXPECT_EQ(Get("file", kAccess), "ENODATA");
}

TEST_P(OperationsAcl, ChmodChangesTheMask) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Set("file", kAccess,
                Acl({{kUserObj, 6},
                     {kUser, 6, 1000},
                     {kGroupObj, 4},
                     {kMask, 6},
                     {kOther, 4}})),
            0);
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 0741)), 0);
  EXPECT_TRUE(Get("file", kAccess) == Acl({{kUserObj, 7},
                                           {kUser, 6, 1000},
                                           {kGroupObj, 4},
                                           {kMask, 4},
                                           {kOther, 1}}));
  EXPECT_EQ(OpenAs({1000, 1000}, "file", O_RDONLY), 0);
  EXPECT_EQ(OpenAs({1000, 1000}, "file", O_WRONLY), EACCES);
}

TEST_P(OperationsAcl, AListOfThreeIsJustAMode) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(
      Set("file", kAccess, Acl({{kUserObj, 7}, {kGroupObj, 5}, {kOther, 0}})),
      0);
  EXPECT_EQ(Permissions(At("file")), 0750u);
  EXPECT_EQ(Get("file", kAccess), "ENODATA");
}

TEST_P(OperationsAcl, NamedUsersAndGroupsAreChecked) {
  WriteFile(At("file"), "content");
  const auto set = [&](uint16_t mask) {
    ASSERT_EQ(Set("file", kAccess,
                  Acl({{kUserObj, 6},
                       {kUser, 6, 1000},
                       {kUser, 0, 1001},
                       {kGroupObj, 0},
                       {kGroup, 4, 2000},
                       {kMask, mask},
                       {kOther, 0}})),
              0);
  };
  set(7);
  EXPECT_EQ(OpenAs({1000, 1000}, "file", O_RDWR), 0);
  EXPECT_EQ(OpenAs({1002, 2000}, "file", O_RDONLY), 0);
  EXPECT_EQ(OpenAs({1002, 1002, {2000}}, "file", O_RDONLY), 0);
  EXPECT_EQ(OpenAs({1002, 2000}, "file", O_WRONLY), EACCES);
  EXPECT_EQ(OpenAs({1002, 1002}, "file", O_RDONLY), EACCES);
  // A named user is asked before the groups.
  EXPECT_EQ(OpenAs({1001, 2000}, "file", O_RDONLY), EACCES);
  // The mask limits them all.
  set(4);
  EXPECT_EQ(OpenAs({1000, 1000}, "file", O_RDONLY), 0);
  EXPECT_EQ(OpenAs({1000, 1000}, "file", O_WRONLY), EACCES);
  set(0);
  EXPECT_EQ(OpenAs({1002, 2000}, "file", O_RDONLY), EACCES);
}

TEST_P(OperationsAcl, ListsOfDirectoriesAreChecked) {
  MakeDir("dir");
  WriteFile(At("dir/file"), "content");
  ASSERT_EQ(Set("dir", kAccess,
                Acl({{kUserObj, 7},
                     {kUser, 7, 1000},
                     {kGroupObj, 0},
                     {kMask, 7},
                     {kOther, 0}})),
            0);
  EXPECT_EQ(OpenAs({1000, 1000}, "dir/file", O_RDONLY), 0);
  EXPECT_EQ(OpenAs({1000, 1000}, "dir/new", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(OpenAs({1001, 1001}, "dir/file", O_RDONLY), EACCES);
  EXPECT_EQ(OpenAs({1001, 1001}, "dir", O_RDONLY), EACCES);
}

TEST_P(OperationsAcl, DefaultsAreInheritedInsteadOfTheUmask) {
  MakeDir("dir");
  const std::string defaults = Acl({{kUserObj, 7},
                                    {kUser, 7, 1000},
                                    {kGroupObj, 5},
                                    {kMask, 7},
                                    {kOther, 4}});
  ASSERT_EQ(Set("dir", kDefault, defaults), 0);
  EXPECT_TRUE(Get("dir", kDefault) == defaults);
  EXPECT_EQ(Get("dir", kAccess), "ENODATA");
  EXPECT_EQ(Permissions(At("dir")), 0755u);
  umask(077);
  Open(At("dir/file"), O_WRONLY | O_CREAT, 0664);
  ASSERT_EQ(Errno(mkdir(At("dir/sub").c_str(), 0777)), 0);
  ASSERT_EQ(Errno(mknod(At("dir/fifo").c_str(), S_IFIFO | 0666, 0)), 0);
  ASSERT_EQ(Errno(symlink("x", At("dir/link").c_str())), 0);

  // The mode of the call limits owner, mask and others.
  EXPECT_TRUE(Get("dir/file", kAccess) == Acl({{kUserObj, 6},
                                               {kUser, 7, 1000},
                                               {kGroupObj, 5},
                                               {kMask, 6},
                                               {kOther, 4}}));
  EXPECT_EQ(Permissions(At("dir/file")), 0664u);
  EXPECT_EQ(Permissions(At("dir/fifo")), 0664u);
  EXPECT_EQ(OpenAs({1000, 1000}, "dir/file", O_RDWR), 0);
  EXPECT_EQ(OpenAs({1001, 1001}, "dir/file", O_RDWR), EACCES);
  EXPECT_TRUE(Get("dir/sub", kAccess) == defaults);
  EXPECT_TRUE(Get("dir/sub", kDefault) == defaults);
  EXPECT_EQ(Permissions(At("dir/sub")), 0774u);
  EXPECT_EQ(Stat(At("dir/link")).st_mode, mode_t{S_IFLNK | 0777});
  // And so on, one level further.
  Open(At("dir/sub/file"), O_WRONLY | O_CREAT, 0600);
  EXPECT_EQ(Permissions(At("dir/sub/file")), 0600u);
  EXPECT_EQ(OpenAs({1000, 1000}, "dir/sub/file", O_RDONLY), EACCES);

  ASSERT_EQ(Errno(removexattr(At("dir").c_str(), kDefault)), 0);
  EXPECT_EQ(Get("dir", kDefault), "ENODATA");
  Open(At("dir/later"), O_WRONLY | O_CREAT, 0664);
  EXPECT_EQ(Permissions(At("dir/later")), 0600u);
  EXPECT_EQ(Get("dir/later", kAccess), "ENODATA");
}

TEST_P(OperationsAcl, DefaultsOfThreeAreInheritedAsAMode) {
  MakeDir("dir");
  const std::string defaults =
      Acl({{kUserObj, 7}, {kGroupObj, 6}, {kOther, 1}});
  ASSERT_EQ(Set("dir", kDefault, defaults), 0);
  EXPECT_TRUE(Get("dir", kDefault) == defaults);
  umask(077);
  Open(At("dir/file"), O_WRONLY | O_CREAT, 0666);
  EXPECT_EQ(Permissions(At("dir/file")), 0660u);
  EXPECT_EQ(Get("dir/file", kAccess), "ENODATA");
  ASSERT_EQ(Errno(mkdir(At("dir/sub").c_str(), 0777)), 0);
  EXPECT_EQ(Permissions(At("dir/sub")), 0761u);
  EXPECT_TRUE(Get("dir/sub", kDefault) == defaults);
}

TEST_P(OperationsAcl, AFileWithoutANameInheritsToo) {
  MakeDir("dir");
  ASSERT_EQ(Set("dir", kDefault,
                Acl({{kUserObj, 7},
                     {kUser, 6, 1000},
                     {kGroupObj, 0},
                     {kMask, 6},
                     {kOther, 0}})),
            0);
  umask(077);
  UniqueFd fd = Open(At("dir"), O_TMPFILE | O_WRONLY, 0660);
  EXPECT_EQ(barefuse::Stat(fd).st_mode, mode_t{S_IFREG | 0660});
  ASSERT_EQ(Errno(linkat(fd.get(), "", AT_FDCWD, At("dir/file").c_str(),
                         AT_EMPTY_PATH)),
            0);
  EXPECT_EQ(OpenAs({1000, 1000}, "dir/file", O_RDONLY), 0);
}

TEST_P(OperationsAcl, WrongListsAreRefused) {
  WriteFile(At("file"), "content");
  const std::string good = Acl({{kUserObj, 7}, {kGroupObj, 5}, {kOther, 0}});
  // A named user wants a mask, and every list its three.
  EXPECT_EQ(
      Set("file", kAccess,
          Acl({{kUserObj, 6}, {kUser, 6, 1}, {kGroupObj, 4}, {kOther, 4}})),
      EINVAL);
  EXPECT_EQ(Set("file", kAccess, Acl({{kUserObj, 6}, {kOther, 4}})), EINVAL);
  EXPECT_EQ(
      Set("file", kAccess, Acl({{kUserObj, 8}, {kGroupObj, 5}, {kOther, 0}})),
      EINVAL);
  EXPECT_EQ(Set("file", kAccess, good.substr(0, good.size() - 1)), EINVAL);
  std::string other_version = good;
  other_version[0] = 3;
  EXPECT_EQ(Set("file", kAccess, other_version), EOPNOTSUPP);
  // Only directories have defaults.
  EXPECT_EQ(Set("file", kDefault, good), EACCES);
  EXPECT_EQ(Permissions(At("file")), 0644u);
  EXPECT_EQ(Get("file", kAccess), "ENODATA");
}

TEST_P(OperationsAcl, OnlyTheOwnerSetsThem) {
  WriteFile(At("file"), "content");
  const std::string acl = Acl({{kUserObj, 6},
                               {kUser, 6, 1000},
                               {kGroupObj, 4},
                               {kMask, 6},
                               {kOther, 4}});
  const auto set_as_user = [&] {
    return As({1000, 1000}, [&] { return Set("file", kAccess, acl); });
  };
  EXPECT_EQ(set_as_user(), EPERM);
  ASSERT_EQ(Errno(chown(At("file").c_str(), 1000, 1000)), 0);
  EXPECT_EQ(set_as_user(), 0);
  EXPECT_TRUE(Get("file", kAccess) == acl);
}

TEST_P(OperationsAcl, AListTakesSetGroupIdOfAnotherGroupAway) {
  WriteFile(At("file"), "content");
  ASSERT_EQ(Errno(chown(At("file").c_str(), 1000, 2000)), 0);
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 02775)), 0);
  EXPECT_EQ(As({1000, 1000},
               [&] {
                 return Set("file", kAccess,
                            Acl({{kUserObj, 7}, {kGroupObj, 5}, {kOther, 5}}));
               }),
            0);
  EXPECT_EQ(Permissions(At("file")), 0755u);
}

}  // namespace
}  // namespace barefuse
