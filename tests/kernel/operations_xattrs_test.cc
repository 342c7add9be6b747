// Extended attributes.
#include <linux/capability.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include <algorithm>

#include "tests/kernel/suite_files.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::Stat;
using testing::WriteFile;

constexpr User kUser = {1000, 1000};

class OperationsXattrs : public TransportSuite {
 protected:
  void SetUp() override {
    TransportSuite::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    WriteFile(At("file"), "content");
  }
  Error Set(std::string_view file, const std::string& name,
            std::string_view value, int flags = 0) {
    return Errno(lsetxattr(At(file).c_str(), name.c_str(), value.data(),
                           value.size(), flags));
  }
  // The value, or the name of the error.
  std::string Get(std::string_view file, const std::string& name) {
    std::string value(XATTR_SIZE_MAX, '\0');
    const ssize_t size =
        lgetxattr(At(file).c_str(), name.c_str(), value.data(), value.size());
    if (size < 0) return strerrorname_np(errno);
    value.resize(static_cast<size_t>(size));
    return value;
  }
  Error Remove(std::string_view file, const std::string& name) {
    return Errno(lremovexattr(At(file).c_str(), name.c_str()));
  }
  std::set<std::string> List(std::string_view file) {
    std::string names(XATTR_LIST_MAX, '\0');
    const ssize_t size =
        llistxattr(At(file).c_str(), names.data(), names.size());
    testing::Check(size >= 0, "llistxattr");
    std::set<std::string> list;
    for (size_t at = 0; at < static_cast<size_t>(size);) {
      const std::string name = names.c_str() + at;
      EXPECT_TRUE(list.insert(name).second) << name << " is listed twice";
      at += name.size() + 1;
    }
    return list;
  }
};
INSTANTIATE_FOR_SUBJECTS(OperationsXattrs);

TEST_P(OperationsXattrs, AreSetReadListedAndRemoved) {
  EXPECT_EQ(Get("file", "user.one"), "ENODATA");
  EXPECT_EQ(Set("file", "user.one", "1"), 0);
  EXPECT_EQ(Set("file", "user.two", "value of two"), 0);
  EXPECT_EQ(Get("file", "user.one"), "1");
  EXPECT_EQ(Get("file", "user.two"), "value of two");
  EXPECT_EQ(List("file"), (std::set<std::string>{"user.one", "user.two"}));
  EXPECT_EQ(Set("file", "user.two", "2"), 0);
  EXPECT_EQ(Get("file", "user.two"), "2");
  EXPECT_EQ(Remove("file", "user.one"), 0);
  EXPECT_EQ(Get("file", "user.one"), "ENODATA");
  EXPECT_EQ(Remove("file", "user.one"), ENODATA);
  EXPECT_EQ(List("file"), std::set<std::string>{"user.two"});
}

TEST_P(OperationsXattrs, AreCreatedOrReplacedOnly) {
  EXPECT_EQ(Set("file", "user.x", "1", XATTR_REPLACE), ENODATA);
  EXPECT_EQ(Get("file", "user.x"), "ENODATA");
  EXPECT_EQ(Set("file", "user.x", "2", XATTR_CREATE), 0);
  EXPECT_EQ(Set("file", "user.x", "3", XATTR_CREATE), EEXIST);
  EXPECT_EQ(Get("file", "user.x"), "2");
  EXPECT_EQ(Set("file", "user.x", "4", XATTR_REPLACE), 0);
  EXPECT_EQ(Get("file", "user.x"), "4");
  EXPECT_EQ(Set("file", "user.x", "5", 4), EINVAL);
}

TEST_P(OperationsXattrs, SizesAreAskedAndChecked) {
  ASSERT_EQ(Set("file", "user.x", "value"), 0);
  const std::string path = At("file");
  char buffer[100];
  EXPECT_EQ(getxattr(path.c_str(), "user.x", nullptr, 0), 5);
  EXPECT_EQ(Errno(getxattr(path.c_str(), "user.x", buffer, 4)), ERANGE);
  EXPECT_EQ(getxattr(path.c_str(), "user.x", buffer, 5), 5);
  EXPECT_EQ(listxattr(path.c_str(), nullptr, 0), 7);
  EXPECT_EQ(Errno(listxattr(path.c_str(), buffer, 6)), ERANGE);
  EXPECT_EQ(listxattr(path.c_str(), buffer, 7), 7);
  EXPECT_EQ(std::string(buffer, 7), std::string("user.x\0", 7));
  // One without a value is there all the same.
  ASSERT_EQ(Set("file", "user.empty", ""), 0);
  EXPECT_EQ(getxattr(path.c_str(), "user.empty", nullptr, 0), 0);
  EXPECT_EQ(getxattr(path.c_str(), "user.empty", buffer, 10), 0);
  EXPECT_EQ(List("file"), (std::set<std::string>{"user.empty", "user.x"}));
  WriteFile(At("bare"), "");
  EXPECT_EQ(listxattr(At("bare").c_str(), nullptr, 0), 0);
  EXPECT_TRUE(List("bare").empty());
}

TEST_P(OperationsXattrs, ValuesAreAnyBytes) {
  const std::string zeros("\0a\0\xff\n", 5);
  ASSERT_EQ(Set("file", "user.x", zeros), 0);
  EXPECT_EQ(Get("file", "user.x"), zeros);
  for (const size_t size : {1000u, 4095u, 4096u, 4097u, 30'000u}) {
    if (size > limits().xattr_value) {
      const std::string before = Get("file", "user.x");
      EXPECT_EQ(Set("file", "user.x", Pattern(size)), ENOSPC) << size;
      EXPECT_TRUE(Get("file", "user.x") == before) << size;
      continue;
    }
    ASSERT_EQ(Set("file", "user.x", Pattern(size)), 0) << size;
    EXPECT_TRUE(Get("file", "user.x") == Pattern(size)) << size;
  }
}

TEST_P(OperationsXattrs, ValuesOf64KiBAndNoLonger) {
  const std::string value = Pattern(XATTR_SIZE_MAX);
  if (limits().xattr_value < XATTR_SIZE_MAX) {
    EXPECT_EQ(Set("file", "user.large", value), ENOSPC);
    EXPECT_EQ(Set("file", "user.large", value + "!"), E2BIG);
    return;
  }
  ASSERT_EQ(Set("file", "user.large", value), 0);
  EXPECT_TRUE(Get("file", "user.large") == value);
  EXPECT_EQ(Set("file", "user.large", value + "!"), E2BIG);
  EXPECT_EQ(getxattr(At("file").c_str(), "user.large", nullptr, 0),
            XATTR_SIZE_MAX);
}

TEST_P(OperationsXattrs, NamesOf255BytesAndNoLonger) {
  const std::string name = "user." + std::string(250, 'n');
  EXPECT_EQ(Set("file", name, "value"), 0);
  EXPECT_EQ(Get("file", name), "value");
  EXPECT_EQ(List("file"), std::set<std::string>{name});
  EXPECT_EQ(Set("file", name + "n", "value"), ERANGE);
  EXPECT_EQ(Set("file", "", "value"), ERANGE);
}

TEST_P(OperationsXattrs, ManyOfThem) {
  std::set<std::string> names;
  const int count = std::min(200, limits().xattrs);
  for (int i = 0; i < count; ++i) {
    const std::string name = "user.number-" + std::to_string(i);
    ASSERT_EQ(Set("file", name, std::to_string(i * i)), 0);
    names.insert(name);
  }
  EXPECT_EQ(List("file"), names);
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(Get("file", "user.number-" + std::to_string(i)),
              std::to_string(i * i));
  }
}

TEST_P(OperationsXattrs, BelongToTheFileNotToItsName) {
  ASSERT_EQ(Set("file", "user.x", "value"), 0);
  ASSERT_EQ(Errno(link(At("file").c_str(), At("other").c_str())), 0);
  ASSERT_EQ(Errno(rename(At("file").c_str(), At("renamed").c_str())), 0);
  EXPECT_EQ(Get("other", "user.x"), "value");
  EXPECT_EQ(Get("renamed", "user.x"), "value");
  UniqueFd fd = Open(At("other"), O_RDONLY);
  ASSERT_EQ(Errno(unlink(At("other").c_str())), 0);
  ASSERT_EQ(Errno(unlink(At("renamed").c_str())), 0);
  char buffer[10];
  EXPECT_EQ(fgetxattr(fd.get(), "user.x", buffer, 10), 5);
  EXPECT_EQ(Errno(fsetxattr(fd.get(), "user.y", "1", 1, 0)), 0);
  EXPECT_EQ(flistxattr(fd.get(), nullptr, 0), 14);
  EXPECT_EQ(Errno(fremovexattr(fd.get(), "user.x")), 0);
  WriteFile(At("other"), "");
  EXPECT_TRUE(List("other").empty());
}

TEST_P(OperationsXattrs, OfEveryTypeOfFile) {
  ASSERT_EQ(Errno(mkdir(At("dir").c_str(), 0755)), 0);
  ASSERT_EQ(Errno(symlink("file", At("link").c_str())), 0);
  ASSERT_EQ(Errno(mkfifo(At("fifo").c_str(), 0644)), 0);
  EXPECT_EQ(Set("dir", "user.x", "of the directory"), 0);
  EXPECT_EQ(Get("dir", "user.x"), "of the directory");
  EXPECT_EQ(Set("", "user.x", "of the root"), 0);
  EXPECT_EQ(Get("", "user.x"), "of the root");
  // Users have none of links and special files.
  EXPECT_EQ(Set("link", "user.x", "1"), EPERM);
  EXPECT_EQ(Set("fifo", "user.x", "1"), EPERM);
  EXPECT_EQ(Get("link", "user.x"), "ENODATA");
  EXPECT_EQ(Set("link", "trusted.x", "of the link"), 0);
  EXPECT_EQ(Set("fifo", "trusted.x", "of the fifo"), 0);
  EXPECT_EQ(Get("link", "trusted.x"), "of the link");
  EXPECT_EQ(Get("fifo", "trusted.x"), "of the fifo");
  EXPECT_EQ(Get("file", "trusted.x"), "ENODATA");
}

TEST_P(OperationsXattrs, UnknownKindsAreNotSupported) {
  EXPECT_EQ(Set("file", "unknown.x", "1"), EOPNOTSUPP);
  EXPECT_EQ(Get("file", "unknown.x"), "EOPNOTSUPP");
  EXPECT_EQ(Set("file", "noprefix", "1"), EOPNOTSUPP);
  EXPECT_TRUE(List("file").empty());
}

TEST_P(OperationsXattrs, FollowThePermissionsOfTheFile) {
  ASSERT_EQ(Set("file", "user.x", "value"), 0);
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 0604)), 0);
  EXPECT_EQ(As(kUser,
               [&]() -> Error {
                 return Get("file", "user.x") == "value" ? 0 : EBADE;
               }),
            0);
  EXPECT_EQ(As(kUser, [&] { return Set("file", "user.x", "2"); }), EACCES);
  EXPECT_EQ(As(kUser, [&] { return Remove("file", "user.x"); }), EACCES);
  ASSERT_EQ(Errno(chmod(At("file").c_str(), 0602)), 0);
  EXPECT_EQ(As(kUser,
               [&]() -> Error {
                 return Get("file", "user.x") == "EACCES" ? 0 : EBADE;
               }),
            0);
  EXPECT_EQ(As(kUser, [&] { return Set("file", "user.x", "2"); }), 0);
  EXPECT_EQ(Get("file", "user.x"), "2");
}

TEST_P(OperationsXattrs, TrustedOnesAreRoots) {
  EXPECT_EQ(Set("file", "trusted.x", "value"), 0);
  EXPECT_EQ(Get("file", "trusted.x"), "value");
  EXPECT_TRUE(List("file").contains("trusted.x"));
  ASSERT_EQ(Errno(chown(At("file").c_str(), 1000, 1000)), 0);
  EXPECT_EQ(As(kUser, [&] { return Set("file", "trusted.x", "2"); }), EPERM);
  EXPECT_EQ(As(kUser, [&] { return Remove("file", "trusted.x"); }), EPERM);
  EXPECT_EQ(As(kUser,
               [&]() -> Error {
                 return Get("file", "trusted.x") == "ENODATA" ? 0 : EBADE;
               }),
            0);
  EXPECT_EQ(Remove("file", "trusted.x"), 0);
  EXPECT_EQ(Get("file", "trusted.x"), "ENODATA");
}

TEST_P(OperationsXattrs, TrustedOnesAreListedToRootOnly) {
  ASSERT_EQ(Set("file", "trusted.x", "value"), 0);
  ASSERT_EQ(Set("file", "user.x", "value"), 0);
  EXPECT_EQ(List("file"), (std::set<std::string>{"trusted.x", "user.x"}));
  EXPECT_EQ(As(kUser,
               [&]() -> Error {
                 return List("file") == std::set<std::string>{"user.x"} ? 0
                                                                        : EBADE;
               }),
            0);
}

TEST_P(OperationsXattrs, SecurityOnesAreSetByRootAndReadByAll) {
  EXPECT_EQ(Set("file", "security.x", "value"), 0);
  EXPECT_EQ(As(kUser,
               [&]() -> Error {
                 return Get("file", "security.x") == "value" ? 0 : EBADE;
               }),
            0);
  EXPECT_EQ(As(kUser, [&] { return Set("file", "security.x", "2"); }), EPERM);
  EXPECT_EQ(List("file"), std::set<std::string>{"security.x"});
  EXPECT_EQ(Remove("file", "security.x"), 0);
}

TEST_P(OperationsXattrs, CapabilitiesGoWhenTheFileChanges) {
  vfs_cap_data capabilities = {};
  capabilities.magic_etc = VFS_CAP_REVISION_2;
  capabilities.data[0].permitted = 1u << CAP_NET_RAW;
  const std::string_view value(reinterpret_cast<const char*>(&capabilities),
                               sizeof capabilities);
  const auto survive = [&](const std::function<long()>& action) {
    EXPECT_EQ(Set("file", "security.capability", value), 0);
    EXPECT_TRUE(Get("file", "security.capability") == value);
    EXPECT_EQ(Errno(action()), 0);
    return Get("file", "security.capability") != "ENODATA";
  };
  // Whoever it is that changes it.
  EXPECT_FALSE(survive([&] {
    WriteAt(Open(At("file"), O_WRONLY), 0, "x");
    return 0;
  }));
  EXPECT_FALSE(survive([&] { return truncate(At("file").c_str(), 3); }));
  EXPECT_FALSE(survive([&] { return chown(At("file").c_str(), 1, 1); }));
  EXPECT_TRUE(survive([&] { return chmod(At("file").c_str(), 0755); }));
}

TEST_P(OperationsXattrs, MarkTheChangeTime) {
  const FileTime mtime = Mtime(At("file"));
  FileTime ctime = Ctime(At("file"));
  AwaitNextTick();
  ASSERT_EQ(Set("file", "user.x", "1"), 0);
  EXPECT_GT(Ctime(At("file")), ctime);
  ctime = Ctime(At("file"));
  AwaitNextTick();
  ASSERT_EQ(Remove("file", "user.x"), 0);
  EXPECT_GT(Ctime(At("file")), ctime);
  EXPECT_EQ(Mtime(At("file")), mtime);
}

}  // namespace
}  // namespace barefuse
