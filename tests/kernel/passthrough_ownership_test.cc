// Whose new files are, and what default lists make of their modes.
#include <endian.h>
#include <linux/posix_acl_xattr.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "tests/kernel/passthrough_twins.h"

namespace barefuse {
namespace {

using testing::WriteFile;

constexpr char kAccess[] = "system.posix_acl_access";
constexpr char kDefault[] = "system.posix_acl_default";
// Tags of <linux/posix_acl.h>, which programs do not get.
constexpr uint16_t kUserObj = 0x01, kUser = 0x02, kGroupObj = 0x04,
                   kGroup = 0x08, kMask = 0x10, kOther = 0x20;
constexpr uint32_t kNoId = 0xffffffff;

struct Entry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id = kNoId;
};

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

long SetAcl(const std::string& path, const char* which,
            const std::vector<Entry>& entries) {
  const std::string acl = Acl(entries);
  return setxattr(path.c_str(), which, acl.data(), acl.size(), 0);
}

// "01:6 02:7:1000", or the name of the error.
std::string AclText(const std::string& path, const char* which) {
  char value[1000];
  const ssize_t size = lgetxattr(path.c_str(), which, value, sizeof value);
  if (size < 0) return Said(size);
  std::string text;
  for (ssize_t at = 4; at + 8 <= size; at += 8) {
    uint16_t tag, permissions;
    uint32_t id;
    memcpy(&tag, value + at, 2);
    memcpy(&permissions, value + at + 2, 2);
    memcpy(&id, value + at + 4, 4);
    text += std::to_string(tag) + ":" + std::to_string(permissions) +
            (id == kNoId ? "" : ":" + std::to_string(id)) + " ";
  }
  return text;
}

std::string Described(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return Said(-1);
  char mode[16];
  snprintf(mode, sizeof mode, "%07o", info.st_mode);
  return std::string(mode) + " " + std::to_string(info.st_uid) + ":" +
         std::to_string(info.st_gid) + " links " +
         std::to_string(info.st_nlink) + ", access " + AclText(path, kAccess) +
         ", default " + AclText(path, kDefault);
}

struct Maker {
  const char* name;
  User user;
};
const Maker kMakers[] = {
    {"root", {0, 0}},
    {"root in another group", {0, 7}},
    {"a user", {1000, 1000}},
    {"a member of the directory's group", {1001, 2000}},
    {"a member by a supplementary group", {1002, 3000, {4000, 2000, 5000}}},
};
constexpr mode_t kUmasks[] = {0, 022, 077, 0777};
constexpr mode_t kModes[] = {0777, 0640, 02775, 06711, 0};

// Makes one of everything, and says what each call came to.
Findings MakeAll(const std::string& in, mode_t mode) {
  Findings found;
  const auto note = [&](const char* what, long result) {
    found[what] = Said(result);
  };
  const std::string at = in + "/";
  UniqueFd fd(
      open((at + "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, mode));
  note("file", fd.get());
  fd.reset(open((at + "exclusive").c_str(),
                O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  note("exclusive", fd.get());
  note("dir", mkdir((at + "dir").c_str(), mode));
  note("fifo", mknod((at + "fifo").c_str(), S_IFIFO | mode, 0));
  note("regular", mknod((at + "regular").c_str(), S_IFREG | mode, 0));
  note("socket", mknod((at + "socket").c_str(), S_IFSOCK | mode, 0));
  note("device", mknod((at + "device").c_str(), S_IFCHR | mode, 0x103));
  note("symlink", symlink("target", (at + "symlink").c_str()));
  note("link", link((at + "file").c_str(), (at + "link").c_str()));
  fd.reset(open(in.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
  note("tmpfile", fd.get());
  if (fd) {
    const std::string proc = "/proc/self/fd/" + std::to_string(fd.get());
    note("linkat", linkat(AT_FDCWD, proc.c_str(), AT_FDCWD,
                          (at + "tmpfile").c_str(), AT_SYMLINK_FOLLOW));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // The path may be too long for an address; a relative one is not.
  if (chdir(in.c_str()) == 0) {
    strcpy(address.sun_path, "bound");
    note("bound", bind(server.get(), reinterpret_cast<sockaddr*>(&address),
                       sizeof address));
  }
  return found;
}

class PassthroughOwnershipTest : public TwinTest {
 protected:
  // Everything made by everybody in a directory that `prepare` makes.
  void ExpectSameCreations(
      const std::function<void(const std::string& path)>& prepare) {
    for (const Maker& maker : kMakers) {
      for (const mode_t mask : kUmasks) {
        for (const mode_t mode : kModes) {
          SCOPED_TRACE(::testing::Message()
                       << maker.name << ", umask " << std::oct << mask
                       << ", mode " << mode);
          ExpectAsOnSource([&](const std::string& root) {
            return CreationsIn(root + "/dir", maker, mask, mode, prepare);
          });
        }
      }
    }
  }

 private:
  Findings CreationsIn(const std::string& dir, const Maker& maker, mode_t mask,
                       mode_t mode,
                       const std::function<void(const std::string&)>& prepare) {
    testing::Check(mkdir(dir.c_str(), 0777) == 0, dir);
    prepare(dir);
    Findings found = FoundBy(maker.user, [&] {
      umask(mask);
      return MakeAll(dir, mode);
    });
    for (const std::string& name : Names(dir)) {
      found[name + " is"] = Described(dir + "/" + name);
      if (dir.starts_with(mnt_)) {
        EXPECT_EQ(found[name + " is"], Described(source_ + "/dir/" + name));
      }
    }
    std::filesystem::remove_all(dir);
    return found;
  }
};
INSTANTIATE_SETTINGS(PassthroughOwnershipTest,
                     {"tmpfs", "ext4", "xfs", "btrfs"}, {"passthrough"});

TEST_P(PassthroughOwnershipTest, InADirectoryForAll) {
  Mount();
  ExpectSameCreations([](const std::string& dir) {
    testing::Check(chmod(dir.c_str(), 0777) == 0, dir);
  });
}

TEST_P(PassthroughOwnershipTest, InASetgidDirectory) {
  Mount();
  ExpectSameCreations([](const std::string& dir) {
    testing::Check(chown(dir.c_str(), 1234, 2000) == 0, dir);
    testing::Check(chmod(dir.c_str(), 02777) == 0, dir);
  });
}

TEST_P(PassthroughOwnershipTest, InAStickyDirectoryOfAnothersGroup) {
  Mount();
  ExpectSameCreations([](const std::string& dir) {
    testing::Check(chown(dir.c_str(), 1234, 2000) == 0, dir);
    testing::Check(chmod(dir.c_str(), 01777) == 0, dir);
  });
}

TEST_P(PassthroughOwnershipTest, InADirectoryOfTheGroupOnly) {
  Mount();
  ExpectSameCreations([](const std::string& dir) {
    testing::Check(chown(dir.c_str(), 1234, 2000) == 0, dir);
    testing::Check(chmod(dir.c_str(), 02770) == 0, dir);
  });
}

TEST_P(PassthroughOwnershipTest, UnderADefaultList) {
  Mount();
  ExpectSameCreations([](const std::string& dir) {
    testing::Check(chown(dir.c_str(), 1234, 2000) == 0, dir);
    testing::Check(chmod(dir.c_str(), 02777) == 0, dir);
    testing::Check(SetAcl(dir, kDefault,
                          {{kUserObj, 7},
                           {kUser, 6, 1000},
                           {kGroupObj, 5},
                           {kGroup, 7, 2000},
                           {kMask, 7},
                           {kOther, 4}}) == 0,
                   dir);
  });
}

TEST_P(PassthroughOwnershipTest, UnderADefaultListOfThree) {
  Mount();
  ExpectSameCreations([](const std::string& dir) {
    testing::Check(chmod(dir.c_str(), 0777) == 0, dir);
    testing::Check(SetAcl(dir, kDefault,
                          {{kUserObj, 7}, {kGroupObj, 6}, {kOther, 1}}) == 0,
                   dir);
  });
}

TEST_P(PassthroughOwnershipTest, AListShowsInTheModeAtOnce) {
  Mount();
  ExpectAsOnSource([&](const std::string& root) {
    Findings found;
    const std::string path = root + "/file";
    WriteFile(path, "content");
    UniqueFd fd = Open(path, O_RDWR);
    const auto note = [&](const std::string& step, long result) {
      found[step] = Said(result) + " " + Described(path);
      char mode[16];
      snprintf(mode, sizeof mode, "%07o", Stat(fd).st_mode);
      found[step + ", fstat"] = mode;
      for (const uid_t uid : {1000u, 1001u, 1002u}) {
        for (const gid_t gid : {1000u, 2000u}) {
          for (const int flags : {O_RDONLY, O_WRONLY}) {
            found[step + ", open by " + std::to_string(uid) + ":" +
                  std::to_string(gid) + (flags == O_RDONLY ? " r" : " w")] =
                strerrorname_np(As({uid, gid, {}}, [&] {
                                  return TryOpen(path, flags);
                                }).value);
          }
        }
      }
    };
    note("before", 0);
    note("set", SetAcl(path, kAccess,
                       {{kUserObj, 6},
                        {kUser, 7, 1000},
                        {kUser, 0, 1001},
                        {kGroupObj, 0},
                        {kGroup, 6, 2000},
                        {kMask, 6},
                        {kOther, 4}}));
    note("chmod", chmod(path.c_str(), 0745));
    note("fchmod", fchmod(fd.get(), 0664));
    note("chmod with set-group-id", chmod(path.c_str(), 02755));
    note("set to three",
         SetAcl(path, kAccess, {{kUserObj, 6}, {kGroupObj, 4}, {kOther, 0}}));
    note("set again", SetAcl(path, kAccess,
                             {{kUserObj, 6},
                              {kUser, 4, 1000},
                              {kGroupObj, 0},
                              {kMask, 4},
                              {kOther, 0}}));
    note("chown", chown(path.c_str(), 1002, 2000));
    note("remove", removexattr(path.c_str(), kAccess));
    return found;
  });
}

// By its owner, who is no member of the group, set-group-id goes.
TEST_P(PassthroughOwnershipTest, ListsAndModesByOthersThanRoot) {
  Mount();
  const std::pair<const char*, std::function<long(const std::string&)>>
      changes[] = {
          {"setfacl",
           [](const std::string& path) {
             return SetAcl(path, kAccess,
                           {{kUserObj, 7},
                            {kUser, 7, 1005},
                            {kGroupObj, 5},
                            {kMask, 7},
                            {kOther, 5}});
           }},
          {"setfacl of three",
           [](const std::string& path) {
             return SetAcl(path, kAccess,
                           {{kUserObj, 7}, {kGroupObj, 5}, {kOther, 5}});
           }},
          {"chmod",
           [](const std::string& path) { return chmod(path.c_str(), 02750); }},
          {"remove",
           [](const std::string& path) {
             return removexattr(path.c_str(), kAccess);
           }},
      };
  const User users[] = {{0, 0},
                        {1000, 2000},
                        {1000, 1000},
                        {1000, 1000, {2000, 7}},
                        {1001, 2000}};
  for (const auto& [name, change] : changes) {
    for (const User& user : users) {
      for (const mode_t mode : {02755, 02745, 06777}) {
        SCOPED_TRACE(::testing::Message()
                     << name << " by " << user.uid << ":" << user.gid << ", "
                     << user.groups.size() << " groups, mode " << std::oct
                     << mode);
        ExpectAsOnSource([&](const std::string& root) {
          const std::string path = root + "/file";
          WriteFile(path, "content");
          testing::Check(chown(path.c_str(), 1000, 2000) == 0, path);
          testing::Check(chmod(path.c_str(), mode) == 0, path);
          Findings found = FoundBy(user, [&] {
            return Findings{{"result", Said(change(path))}};
          });
          found["file"] = Described(path);
          testing::Check(unlink(path.c_str()) == 0, path);
          return found;
        });
      }
    }
  }
}

}  // namespace
}  // namespace barefuse
