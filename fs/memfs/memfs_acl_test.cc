// Extended attributes and access lists.
#include <errno.h>
#include <sys/xattr.h>

#include "fs/memfs/acl.h"
#include "fs/memfs/memfs_fixture.h"

namespace barefuse::memfs {
namespace {

constexpr const char* kAccess = "system.posix_acl_access";
constexpr const char* kDefault = "system.posix_acl_default";

struct Entry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id = ~0u;
};

// The value as the kernel writes it.
std::string Value(const std::vector<Entry>& entries, uint32_t version = 2) {
  std::string value(reinterpret_cast<const char*>(&version), sizeof version);
  for (const Entry& entry : entries) {
    value.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  }
  return value;
}

// u::rwx,u:7:rw-,g::r-x,m::rwx,o::---
const std::vector<Entry> kNamed = {{Acl::kUserObj, 7},
                                   {Acl::kUser, 6, 7},
                                   {Acl::kGroupObj, 5},
                                   {Acl::kMask, 7},
                                   {Acl::kOther, 0}};

TEST(AclValue, IsCheckedWhole) {
  bool is_empty = false;
  EXPECT_TRUE(Acl::Parse(Value(kNamed), &is_empty));
  EXPECT_FALSE(Acl::Parse(Value(kNamed, 1), &is_empty));
  EXPECT_FALSE(Acl::Parse("", &is_empty));
  EXPECT_FALSE(is_empty);
  EXPECT_FALSE(Acl::Parse(Value({}), &is_empty));
  EXPECT_TRUE(is_empty);
  const std::string value = Value(kNamed);
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(Acl::Parse(value.substr(0, size), &is_empty)) << size;
  }
  auto refuses = [&is_empty](std::vector<Entry> entries) {
    return !Acl::Parse(Value(entries), &is_empty);
  };
  EXPECT_TRUE(refuses({{Acl::kUserObj, 7}, {Acl::kGroupObj, 7}}));
  EXPECT_TRUE(
      refuses({{Acl::kUserObj, 8}, {Acl::kGroupObj, 7}, {Acl::kOther, 7}}));
  EXPECT_TRUE(
      refuses({{Acl::kGroupObj, 7}, {Acl::kUserObj, 7}, {Acl::kOther, 7}}));
  EXPECT_TRUE(refuses({{Acl::kUserObj, 7},
                       {Acl::kUserObj, 7},
                       {Acl::kGroupObj, 7},
                       {Acl::kOther, 7}}));
  EXPECT_TRUE(refuses({{Acl::kUserObj, 7},
                       {Acl::kUser, 7, 1},
                       {Acl::kGroupObj, 7},
                       {Acl::kOther, 7}}))
      << "no mask";
  EXPECT_TRUE(refuses(
      {{Acl::kUserObj, 7}, {Acl::kGroupObj, 7}, {3, 7}, {Acl::kOther, 7}}));
}

TEST(AclValue, TheMaskIsTheGroupOfTheMode) {
  bool is_empty = false;
  Acl acl = *Acl::Parse(Value(kNamed), &is_empty);
  EXPECT_EQ(acl.Mode(), 0770u);
  acl.Chmod(0641);
  EXPECT_EQ(acl.Mode(), 0641u);
  EXPECT_EQ(acl.Value(), Value({{Acl::kUserObj, 6},
                                {Acl::kUser, 6, 7},
                                {Acl::kGroupObj, 5},
                                {Acl::kMask, 4},
                                {Acl::kOther, 1}}));
  acl.LimitTo(0420);
  EXPECT_EQ(acl.Mode(), 0400u);
  EXPECT_FALSE(acl.EqualsMode());
}

class Acls : public MemfsFixture {
 protected:
  Acls() { EXPECT_EQ(Create(kRoot, "f", &file_, nullptr, 0644), 0); }
  uint32_t Mode(uint64_t node) { return Attr(node).mode & 07777; }
  uint64_t file_ = 0;
};

TEST_F(Acls, AreTheMode) {
  ASSERT_EQ(Setxattr(file_, kAccess, Value(kNamed)), 0);
  EXPECT_EQ(Mode(file_), 0770u);
  ASSERT_EQ(Chmod(file_, 0640), 0);
  std::string value;
  ASSERT_EQ(Getxattr(file_, kAccess, &value), 0);
  EXPECT_EQ(value, Value({{Acl::kUserObj, 6},
                          {Acl::kUser, 6, 7},
                          {Acl::kGroupObj, 5},
                          {Acl::kMask, 4},
                          {Acl::kOther, 0}}));
  // One that says no more than a mode is only a mode.
  ASSERT_EQ(
      Setxattr(
          file_, kAccess,
          Value({{Acl::kUserObj, 4}, {Acl::kGroupObj, 2}, {Acl::kOther, 1}})),
      0);
  EXPECT_EQ(Mode(file_), 0421u);
  EXPECT_EQ(Getxattr(file_, kAccess, &value), ENODATA);
  EXPECT_EQ(Removexattr(file_, kAccess), 0);
  EXPECT_EQ(Setxattr(file_, kAccess, "nonsense"), EINVAL);
  EXPECT_EQ(Setxattr(file_, kDefault, Value(kNamed)), EACCES);
}

TEST_F(Acls, TakeSetGroupIdAwayWhereAsked) {
  ASSERT_EQ(Chmod(file_, 02755), 0);
  ASSERT_EQ(Setxattr(file_, kAccess, Value(kNamed)), 0);
  EXPECT_EQ(Mode(file_), 02770u);
  ASSERT_EQ(Setxattr(file_, kAccess, Value(kNamed), 0,
                     abi::FUSE_SETXATTR_ACL_KILL_SGID),
            0);
  EXPECT_EQ(Mode(file_), 0770u);
}

TEST_F(Acls, AreInherited) {
  ASSERT_EQ(Setxattr(kRoot, kDefault, Value(kNamed)), 0);
  uint64_t file = 0;
  uint64_t directory = 0;
  // The umask has no say.
  ASSERT_EQ(Create(kRoot, "new", &file, nullptr, 0666, 0777), 0);
  ASSERT_EQ(Mkdir(kRoot, "d", &directory, 0755, 0777), 0);
  EXPECT_EQ(Mode(file), 0660u);
  EXPECT_EQ(Mode(directory), 0750u);
  std::string value;
  ASSERT_EQ(Getxattr(file, kAccess, &value), 0);
  EXPECT_EQ(value, Value({{Acl::kUserObj, 6},
                          {Acl::kUser, 6, 7},
                          {Acl::kGroupObj, 5},
                          {Acl::kMask, 6},
                          {Acl::kOther, 0}}));
  EXPECT_EQ(Getxattr(file, kDefault, &value), ENODATA);
  ASSERT_EQ(Getxattr(directory, kDefault, &value), 0);
  EXPECT_EQ(value, Value(kNamed));
}

class ExtendedAttributes : public Acls {};

TEST_F(ExtendedAttributes, AreSetAndFound) {
  EXPECT_EQ(Setxattr(file_, "user.a", "1", XATTR_REPLACE), ENODATA);
  EXPECT_EQ(Setxattr(file_, "user.a", "1", XATTR_CREATE), 0);
  EXPECT_EQ(Setxattr(file_, "user.a", "2", XATTR_CREATE), EEXIST);
  EXPECT_EQ(Setxattr(file_, "user.a", "two", XATTR_REPLACE), 0);
  EXPECT_EQ(Setxattr(file_, "user.empty", ""), 0);
  std::string value;
  ASSERT_EQ(Getxattr(file_, "user.a", &value), 0);
  EXPECT_EQ(value, "two");
  EXPECT_EQ(Getxattr(file_, "user.a", &value, 2), ERANGE);
  abi::fuse_getxattr_out size{};
  ASSERT_EQ(AskFor(Message(abi::FUSE_GETXATTR, file_)
                       .Struct(abi::fuse_getxattr_in{})
                       .Name("user.a"),
                   &size),
            0);
  EXPECT_EQ(size.size, 3u);
  EXPECT_EQ(Removexattr(file_, "user.a"), 0);
  EXPECT_EQ(Removexattr(file_, "user.a"), ENODATA);
  EXPECT_EQ(Setxattr(file_, "other.a", "1"), EOPNOTSUPP);
  EXPECT_EQ(Getxattr(file_, "other.a", &value), EOPNOTSUPP);
}

TEST_F(ExtendedAttributes, AreListedToThoseWhoMay) {
  ASSERT_EQ(Setxattr(file_, "trusted.t", "1"), 0);
  ASSERT_EQ(Setxattr(file_, "user.u", "1"), 0);
  ASSERT_EQ(Setxattr(file_, kAccess, Value(kNamed)), 0);
  auto list = [this] {
    std::string names;
    EXPECT_EQ(Ask(Message(abi::FUSE_LISTXATTR, file_)
                      .Struct(abi::fuse_getxattr_in{4096, 0}),
                  &names),
              0);
    return names;
  };
  const std::string rest = std::string("user.u\0", 7) + kAccess + '\0';
  EXPECT_EQ(list(), std::string("trusted.t\0", 10) + rest);
  caller_.uid = 1000;
  EXPECT_EQ(list(), rest);
}

TEST_F(ExtendedAttributes, HaveLimits) {
  const uint64_t free = Statfs().bfree;
  EXPECT_EQ(Setxattr(file_, "user.big", std::string(65536, 'x')), 0);
  EXPECT_EQ(Setxattr(file_, "user.big", std::string(65537, 'x')), E2BIG);
  EXPECT_LT(Statfs().bfree, free);
  EXPECT_EQ(Removexattr(file_, "user.big"), 0);
  EXPECT_EQ(Statfs().bfree, free);
  int error = 0;
  int count = 0;
  for (; error == 0 && count < 1000; ++count) {
    std::string name = "user." + std::to_string(count);
    name.resize(255, 'n');
    error = Setxattr(file_, name, "");
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_EQ(count, 257);  // 256 names of 256 bytes with NUL are 64 KiB
}

}  // namespace
}  // namespace barefuse::memfs
