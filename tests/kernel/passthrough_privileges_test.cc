// Set-user-id, set-group-id and file capabilities under all the ways to write,
// by all kinds of users: as the source itself keeps or takes them.
#include <linux/capability.h>
#include <sys/xattr.h>

#include "tests/kernel/passthrough_twins.h"
#include "tests/kernel/write_ways.h"

namespace barefuse {
namespace {

using testing::WriteFile;

constexpr uid_t kOwner = 1000;
constexpr gid_t kGroup = 2000;

struct Writer {
  const char* name;
  User user;
};
const Writer kWriters[] = {
    {"root", {0, 0}},
    {"root in another group", {0, 5}},
    {"the owner", {kOwner, kGroup}},
    {"the owner, no member", {kOwner, 3000}},
    {"the owner, member by a supplementary group", {kOwner, 3000, {kGroup}}},
    {"a member", {1001, kGroup}},
    {"a member by a supplementary group", {1001, 3000, {7, kGroup, 8}}},
    {"another user", {1002, 3000}},
};
// Those that may be written to by others too, and those that may not.
constexpr mode_t kModes[] = {04755, 02755, 02745, 06777, 02777,
                             02766, 04766, 02666, 06775, 02760};

// What is done to a file by its name.
struct Change {
  const char* name;
  std::function<long(const char* path)> run;
};
const Change kChanges[] = {
    {"truncate to less", [](const char* p) { return truncate(p, 3); }},
    {"truncate to more", [](const char* p) { return truncate(p, 10000); }},
    {"truncate to the same", [](const char* p) { return truncate(p, 8192); }},
    {"open with O_TRUNC",
     [](const char* p) {
       return UniqueFd(open(p, O_WRONLY | O_TRUNC | O_CLOEXEC)) ? 0 : -1;
     }},
    {"open with O_CREAT and O_TRUNC",
     [](const char* p) {
       return UniqueFd(open(p, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666))
                  ? 0
                  : -1;
     }},
    {"chown of nothing",
     [](const char* p) {
       return chown(p, static_cast<uid_t>(-1), static_cast<gid_t>(-1));
     }},
    {"chown to the same",
     [](const char* p) { return chown(p, kOwner, kGroup); }},
    {"chown to the user",
     [](const char* p) { return chown(p, geteuid(), static_cast<gid_t>(-1)); }},
    {"chown to the user's group",
     [](const char* p) { return chown(p, static_cast<uid_t>(-1), getegid()); }},
    {"lchown", [](const char* p) { return lchown(p, 1234, 5678); }},
    {"chmod to 06755", [](const char* p) { return chmod(p, 06755); }},
    {"chmod to 02644", [](const char* p) { return chmod(p, 02644); }},
    {"chmod to 0755", [](const char* p) { return chmod(p, 0755); }},
    {"utimes",
     [](const char* p) { return utimensat(AT_FDCWD, p, nullptr, 0); }},
    {"reading",
     [](const char* p) {
       UniqueFd fd(open(p, O_RDONLY | O_CLOEXEC));
       char c;
       return read(fd.get(), &c, 1);
     }},
    {"opening to write",
     [](const char* p) {
       return UniqueFd(open(p, O_RDWR | O_CLOEXEC)) ? 0 : -1;
     }},
};

// A capability as setcap(8) would set it.
void SetCapability(const std::string& path) {
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1u << CAP_NET_RAW;
  testing::Check(
      setxattr(path.c_str(), "security.capability", &data, sizeof data, 0) == 0,
      "security.capability");
}

std::string Privileges(const std::string& path) {
  const struct stat info = testing::Stat(path);
  char mode[16];
  snprintf(mode, sizeof mode, "%05o", info.st_mode & 07777);
  return std::string(mode) + " " + std::to_string(info.st_uid) + ":" +
         std::to_string(info.st_gid) + " capability " +
         Number(getxattr(path.c_str(), "security.capability", nullptr, 0));
}

class PassthroughPrivilegesTest : public TwinTest {
 protected:
  void SetUp() override {
    TwinTest::SetUp();
    if (IsSkipped()) return;
    for (const std::string& root : {plain(), source_}) {
      testing::Check(chmod(root.c_str(), 0755) == 0, root);
    }
    Mount();
  }

  // A file of each mode, without and with a capability, for each of `names`.
  static std::vector<std::string> MakeFiles(
      const std::string& root, const std::vector<std::string>& names) {
    std::vector<std::string> files;
    for (const std::string& name : names) {
      for (const mode_t mode : kModes) {
        for (const char* capability : {"", " capable"}) {
          char text[16];
          snprintf(text, sizeof text, " %05o", mode);
          files.push_back(name + text + capability);
          const std::string path = root + "/" + files.back();
          WriteFile(path, std::string(8192, 'f'));
          testing::Check(chown(path.c_str(), kOwner, kGroup) == 0, path);
          testing::Check(chmod(path.c_str(), mode) == 0, path);
          if (*capability != '\0') SetCapability(path);
        }
      }
    }
    return files;
  }

  // What `run` says of each file, as `writer`, and then the file itself.
  // Through the mount and in the source it is the same.
  Findings Run(const std::string& root, const Writer& writer,
               const std::vector<std::string>& files,
               const std::function<long(const std::string& path)>& run) {
    Findings found = FoundBy(writer.user, [&] {
      Findings said;
      for (const std::string& file : files) {
        said[file + ": result"] = Number(run(root + "/" + file));
      }
      return said;
    });
    for (const std::string& file : files) {
      const std::string path = root + "/" + file;
      found[file] = Privileges(path);
      if (root == mnt_) {
        EXPECT_EQ(found[file], Privileges(source_ + "/" + file)) << file;
      }
      testing::Check(unlink(path.c_str()) == 0, path);
    }
    return found;
  }
};
INSTANTIATE_SETTINGS(PassthroughPrivilegesTest, {"tmpfs"});
// How files are served has little to do with where they are.
INSTANTIATE_TEST_SUITE_P(AlsoOn, PassthroughPrivilegesTest,
                         ::testing::ValuesIn(Settings({"ext4", "xfs", "btrfs"},
                                                      {"passthrough"})),
                         SettingName);

TEST_P(PassthroughPrivilegesTest, EachWayToWriteByEachUser) {
  for (const std::string& root : {plain(), mnt_}) {
    WriteFile(root + "/from", std::string(9000, 'w'));
  }
  for (const Writer& writer : kWriters) {
    for (const WriteWay& way : WriteWays()) {
      SCOPED_TRACE(writer.name);
      // Pages of the mount's own are written by the server, and any write(2)
      // takes capabilities away, where a store into the source's pages does
      // not.
      if (way.maps && !backed()) continue;
      ExpectAsOnSource([&](const std::string& root) {
        return Run(root, writer, MakeFiles(root, {way.name}),
                   [&](const std::string& path) -> long {
                     UniqueFd from(
                         open((root + "/from").c_str(), O_RDONLY | O_CLOEXEC));
                     UniqueFd fd(open(path.c_str(), way.flags | O_CLOEXEC));
                     if (!from || !fd) return -1;
                     return way.run(fd.get(), from.get());
                   });
      });
    }
  }
}

TEST_P(PassthroughPrivilegesTest, EachChangeByEachUser) {
  for (const Writer& writer : kWriters) {
    for (const Change& change : kChanges) {
      SCOPED_TRACE(writer.name);
      // A member who changes nothing takes capabilities from another's file,
      // if that has set-group-id without execution. The mount refuses.
      if (change.name == std::string_view("chown of nothing") &&
          std::string_view(writer.name).starts_with("a member")) {
        continue;
      }
      ExpectAsOnSource([&](const std::string& root) {
        return Run(
            root, writer, MakeFiles(root, {change.name}),
            [&](const std::string& path) { return change.run(path.c_str()); });
      });
    }
  }
}

// A descriptor that somebody else has opened: what counts is who writes.
TEST_P(PassthroughPrivilegesTest, WritesByADescriptorOfRoots) {
  for (const Writer& writer : kWriters) {
    SCOPED_TRACE(writer.name);
    ExpectAsOnSource([&](const std::string& root) {
      const std::vector<std::string> files = MakeFiles(root, {"file"});
      std::map<std::string, UniqueFd> fds;
      for (const std::string& file : files) {
        const std::string path = root + "/" + file;
        fds[path] = Open(path, O_RDWR);
      }
      return Run(root, writer, files, [&](const std::string& path) {
        return pwrite(fds[path].get(), "w", 1, 0);
      });
    });
  }
}

// And one that writes again after the bits have been set again.
TEST_P(PassthroughPrivilegesTest, BitsThatAreSetAgainAreTakenAgain) {
  for (const Writer& writer : kWriters) {
    SCOPED_TRACE(writer.name);
    ExpectAsOnSource([&](const std::string& root) {
      const std::string path = root + "/file";
      WriteFile(path, std::string(8192, 'f'));
      UniqueFd fd = Open(path, O_RDWR);
      Findings found;
      for (const char* round : {"first", "second", "third"}) {
        testing::Check(chown(path.c_str(), kOwner, kGroup) == 0, path);
        testing::Check(chmod(path.c_str(), 06777) == 0, path);
        SetCapability(path);
        found[std::string(round) + " before"] = Privileges(path);
        found.merge(FoundBy(writer.user, [&] {
          return Findings{{std::string(round) + " write",
                           Number(pwrite(fd.get(), "w", 1, 0))}};
        }));
        found[std::string(round) + " after"] = Privileges(path);
      }
      testing::Check(unlink(path.c_str()) == 0, path);
      return found;
    });
  }
}

}  // namespace
}  // namespace barefuse
