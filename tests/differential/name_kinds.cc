// Operations on names.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "tests/differential/operation.h"
#include "tests/differential/side.h"

namespace barefuse::differential {
namespace {

void MakeFile(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kFile);
}

void MakeDirectory(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kDirectory);
}

void RunMkdir(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(mkdirat(side.Base(operation),
                      side.Path(operation, operation.path).c_str(),
                      operation.mode));
}

void RunRmdir(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(unlinkat(side.Base(operation),
                       side.Path(operation, operation.path).c_str(),
                       AT_REMOVEDIR));
}

void RunUnlink(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(unlinkat(side.Base(operation),
                       side.Path(operation, operation.path).c_str(), 0));
}

void MakeTwo(Random& random, Operation& operation) {
  const Likely likely = random.Pick(
      {Likely::kFile, Likely::kFile, Likely::kDirectory, Likely::kAnything});
  operation.path = MakePath(random, likely);
  operation.path2 = MakePath(random, likely);
}

void MakeRename(Random& random, Operation& operation) {
  MakeTwo(random, operation);
  operation.flags = random.Pick<uint32_t>(
      {RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE, RENAME_WHITEOUT,
       RENAME_NOREPLACE | RENAME_EXCHANGE, 1 << 7});
}

void RunRename(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(renameat2(
      side.Base(operation), side.Path(operation, operation.path).c_str(),
      side.Base(operation), side.Path(operation, operation.path2).c_str(),
      operation.flags));
}

void MakeLink(Random& random, Operation& operation) {
  MakeTwo(random, operation);
  operation.flags = random.OneIn(3) ? AT_SYMLINK_FOLLOW : 0;
}

void RunLink(const Operation& operation, Side& side, Outcome& outcome) {
  outcome.Set(linkat(
      side.Base(operation), side.Path(operation, operation.path).c_str(),
      side.Base(operation), side.Path(operation, operation.path2).c_str(),
      static_cast<int>(operation.flags)));
}

// Of O_TMPFILE, or of any other; by both ways that there are.
void RunLinkSlot(const Operation& operation, Side& side, Outcome& outcome) {
  const int fd = side.Fd(operation.slot);
  const std::string path = side.Path(operation, operation.path);
  if ((operation.value & 1) != 0) {
    return outcome.Set(
        linkat(fd, "", side.Base(operation), path.c_str(), AT_EMPTY_PATH));
  }
  outcome.Set(linkat(ProcFds(), std::to_string(fd).c_str(),
                     side.Base(operation), path.c_str(), AT_SYMLINK_FOLLOW));
}

void MakeSymlink(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kSymlink);
  operation.path2 =
      MakePath(random, random.OneIn(2) ? Likely::kDirectory : Likely::kFile);
}

void RunSymlink(const Operation& operation, Side& side, Outcome& outcome) {
  std::string target = PathOf(operation.path2);
  if (operation.value % 4 == 0) target.insert(0, "/");
  if (operation.value % 32 == 1) target.clear();
  if (operation.value % 32 == 2) target.assign(3000, 'z');
  outcome.Set(symlinkat(target.c_str(), side.Base(operation),
                        side.Path(operation, operation.path).c_str()));
}

void MakeReadlink(Random& random, Operation& operation) {
  operation.path = MakePath(random, Likely::kSymlink);
}

void RunReadlink(const Operation& operation, Side& side, Outcome& outcome) {
  const std::span<char> buffer = Buffer();
  const size_t size = operation.value % 4 == 0 ? 3 : buffer.size();
  outcome.Set(readlinkat(side.Base(operation),
                         side.Path(operation, operation.path).c_str(),
                         buffer.data(), size));
  if (outcome.result > 0) {
    outcome.data.assign(buffer.data(), static_cast<size_t>(outcome.result));
  }
}

void MakeMknod(Random& random, Operation& operation) {
  MakeFile(random, operation);
  operation.mode |= random.Pick<uint32_t>(
      {S_IFIFO, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFREG, 0, S_IFDIR});
}

void RunMknod(const Operation& operation, Side& side, Outcome& outcome) {
  // The null device, or one that nobody drives.
  const dev_t device =
      S_ISCHR(operation.mode) && operation.value % 2 == 0
          ? makedev(1, 3)
          : makedev(240 + operation.value % 8, operation.value % 100000);
  outcome.Set(mknodat(side.Base(operation),
                      side.Path(operation, operation.path).c_str(),
                      operation.mode, device));
}

}  // namespace

std::span<const Kind> NameKinds() {
  static constexpr Kind kKinds[] = {
      {"mkdir", 30, "pmu", true, MakeDirectory, RunMkdir},
      {"rmdir", 8, "p", true, MakeDirectory, RunRmdir},
      {"unlink", 14, "p", true, MakeFile, RunUnlink},
      {"rename", 16, "pq", true, MakeTwo, RunRename},
      {"renameat2", 12, "pqf", true, MakeRename, RunRename},
      {"link", 16, "pqf", true, MakeLink, RunLink},
      {"link a descriptor", 10, "spv", true, MakeFile, RunLinkSlot},
      {"symlink", 12, "pqv", true, MakeSymlink, RunSymlink},
      {"readlink", 8, "pv", false, MakeReadlink, RunReadlink},
      {"mknod", 12, "pmuv", true, MakeMknod, RunMknod},
  };
  return kKinds;
}

}  // namespace barefuse::differential
