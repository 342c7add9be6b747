// Operations on extended attributes and access control lists.
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/differential/operation.h"
#include "tests/differential/side.h"

namespace barefuse::differential {
namespace {

const std::string& NameOf(uint32_t number) {
  static const auto* const names = new std::vector<std::string>{
      "user.a",
      "user.a",
      "user.b",
      "user.b",
      "trusted.a",
      "security.a",
      "security.capability",
      "system.nothing",
      "nothing",
      "user." + std::string(250, 'n'),
      "user." + std::string(251, 'n'),  // too long
      "user.",
  };
  return (*names)[number % names->size()];
}

constexpr std::string_view kAcls[] = {"system.posix_acl_access",
                                      "system.posix_acl_default"};

std::string ValueOf(const Operation& operation) {
  if (NameOf(operation.value) == "security.capability" &&
      operation.flags % 2 == 0) {
    vfs_cap_data data{};
    data.magic_etc = VFS_CAP_REVISION_2;
    data.data[0].permitted = 1 << CAP_NET_RAW;
    return std::string(reinterpret_cast<const char*>(&data), XATTR_CAPS_SZ_2);
  }
  std::string value(operation.length, '\0');
  FillPattern(operation.value, value);
  return value;
}

// All of it: entries are in the order that the kernel asks for, and may lack
// the mask that named ones need.
std::string AclOf(const Operation& operation) {
  uint32_t choice = operation.value;
  auto bits = [&choice] {
    choice = choice * 1664525 + 1013904223;
    return static_cast<uint16_t>(choice >> 20 & 7);
  };
  std::string value(sizeof(posix_acl_xattr_header), '\0');
  const posix_acl_xattr_header header = {POSIX_ACL_XATTR_VERSION};
  memcpy(value.data(), &header, sizeof header);
  auto add = [&](uint16_t tag, uint32_t id) {
    const posix_acl_xattr_entry entry = {tag, bits(), id};
    value.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  };
  add(ACL_USER_OBJ, ~0u);
  if (operation.flags & 1) add(ACL_USER, 1001);
  if (operation.flags & 2) add(ACL_USER, 1002);
  add(ACL_GROUP_OBJ, ~0u);
  if (operation.flags & 4) add(ACL_GROUP, 2000);
  if (operation.flags & 8) add(ACL_GROUP, 2001);
  if ((operation.flags & 0xf) != 0 && (operation.flags & 0x70) != 0) {
    add(ACL_MASK, ~0u);
  }
  add(ACL_OTHER, ~0u);
  return value;
}

void MakeName(Random& random, Operation& operation) {
  operation.path =
      MakePath(random, random.OneIn(3) ? Likely::kDirectory : Likely::kFile);
  operation.base = Base::kRoot;
  operation.length = random.Pick<uint32_t>({0, 5, 40, 300});
  if (random.OneIn(40)) {
    operation.length = random.Pick<uint32_t>({65536, 65537});
  }
  operation.flags = static_cast<uint32_t>(
      random.Pick<int>({0, 0, XATTR_CREATE, XATTR_REPLACE}));
  // Of the symlink itself, or of what it leads to.
  operation.mode = random.Below(2);
}

std::string PathFor(const Operation& operation, const Side& side) {
  return side.Path(operation, operation.path);
}

void RunSetxattr(const Operation& operation, Side& side, Outcome& outcome) {
  const std::string value = ValueOf(operation);
  outcome.Set((operation.mode == 0 ? setxattr : lsetxattr)(
      PathFor(operation, side).c_str(), NameOf(operation.value).c_str(),
      value.data(), value.size(), static_cast<int>(operation.flags)));
}

void RunFsetxattr(const Operation& operation, Side& side, Outcome& outcome) {
  const std::string value = ValueOf(operation);
  outcome.Set(fsetxattr(side.Fd(operation.slot),
                        NameOf(operation.value).c_str(), value.data(),
                        value.size(), static_cast<int>(operation.flags)));
}

void SetValue(ssize_t size, Outcome& outcome) {
  outcome.Set(size);
  if (size > 0) {
    outcome.data.assign(Buffer().data(),
                        std::min(static_cast<size_t>(size), Buffer().size()));
  }
}

// With room for the value, or asking how long it is.
size_t RoomFor(const Operation& operation) {
  constexpr size_t kLarge = 64 << 10;
  return operation.length == 5 ? 7 : kLarge;
}

void RunGetxattr(const Operation& operation, Side& side, Outcome& outcome) {
  SetValue(
      (operation.mode == 0 ? getxattr : lgetxattr)(
          PathFor(operation, side).c_str(), NameOf(operation.value).c_str(),
          Buffer().data(), RoomFor(operation)),
      outcome);
}

void RunFgetxattr(const Operation& operation, Side& side, Outcome& outcome) {
  SetValue(fgetxattr(side.Fd(operation.slot), NameOf(operation.value).c_str(),
                     Buffer().data(), RoomFor(operation)),
           outcome);
}

// As a set: their order is the filesystem's own affair. Whether it tells others
// than root of root's own, too.
void SetNames(ssize_t size, Outcome& outcome) {
  outcome.Set(size);
  const bool root = geteuid() == 0;
  if (size <= 0) return;
  outcome.result = 0;
  std::vector<std::string> names;
  for (const char* name = Buffer().data(); name < Buffer().data() + size;
       name += names.back().size() + 1) {
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (root || !name.starts_with("trusted.")) outcome.data += name + "\n";
  }
}

void RunListxattr(const Operation& operation, Side& side, Outcome& outcome) {
  SetNames((operation.mode == 0 ? listxattr : llistxattr)(
               PathFor(operation, side).c_str(), Buffer().data(),
               RoomFor(operation)),
           outcome);
}

void RunFlistxattr(const Operation& operation, Side& side, Outcome& outcome) {
  SetNames(
      flistxattr(side.Fd(operation.slot), Buffer().data(), RoomFor(operation)),
      outcome);
}

void RunRemovexattr(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set((operation.mode == 0 ? removexattr : lremovexattr)(
      PathFor(operation, side).c_str(), NameOf(operation.value).c_str()));
}

void MakeAcl(Random& random, Operation& operation) {
  MakeName(random, operation);
  operation.flags = random.Below(128);
}

void RunSetAcl(const Operation& operation, Side& side, Outcome& outcome) {
  const std::string value = AclOf(operation);
  outcome.Set(setxattr(PathFor(operation, side).c_str(),
                       kAcls[operation.mode].data(), value.data(), value.size(),
                       0));
}

void RunGetAcl(const Operation& operation, Side& side, Outcome& outcome) {
  SetValue(
      getxattr(PathFor(operation, side).c_str(), kAcls[operation.mode].data(),
               Buffer().data(), RoomFor(operation)),
      outcome);
}

void RunRemoveAcl(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(removexattr(PathFor(operation, side).c_str(),
                          kAcls[operation.mode].data()));
}

}  // namespace

std::span<const Kind> XattrKinds() {
  static constexpr Kind kKinds[] = {
      {"setxattr", 14, "pvlfm", true, MakeName, RunSetxattr},
      {"fsetxattr", 8, "svlf", true, MakeName, RunFsetxattr},
      {"getxattr", 10, "pvm", false, MakeName, RunGetxattr},
      {"fgetxattr", 6, "sv", false, MakeName, RunFgetxattr},
      {"listxattr", 6, "pm", false, MakeName, RunListxattr},
      {"flistxattr", 4, "s", false, MakeName, RunFlistxattr},
      {"removexattr", 6, "pvm", true, MakeName, RunRemovexattr},
      {"set ACL", 12, "pmfv", true, MakeAcl, RunSetAcl},
      {"get ACL", 8, "pm", false, MakeAcl, RunGetAcl},
      {"remove ACL", 4, "pm", true, MakeAcl, RunRemoveAcl},
  };
  return kKinds;
}

}  // namespace barefuse::differential
