#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "tests/peer/passthrough_checks.h"
#include "tests/testing/files.h"

namespace barefuse::peer {
namespace {

using testing::ReadFile;
using testing::WriteFile;

std::string File(const Place& at) { return at.mnt + "/file"; }

UniqueFd Create(const Place& at, int flags = 0) {
  UniqueFd fd = OpenFile(File(at), O_RDWR | O_CREAT | flags);
  testing::Check(static_cast<bool>(fd), File(at));
  return fd;
}

std::string Write(const UniqueFd& fd, std::string_view text) {
  return Said(write(fd.get(), text.data(), text.size()));
}

std::string Size(const Place& at) {
  const struct stat here = testing::Stat(File(at));
  const struct stat there = testing::Stat(at.source + "/file");
  return std::to_string(here.st_size) +
         (here.st_size == there.st_size ? "" : " here only");
}

// "x" for each byte that is not zero, by 64 KiB.
std::string Blocks(const Place& at) {
  const std::string content = ReadFile(at.source + "/file");
  std::string text;
  for (size_t i = 0; i < content.size(); i += 64 << 10) {
    text += content[i] == '\0' ? '0' : 'x';
  }
  return text;
}

constexpr off_t kBlock = 64 << 10;

std::string Fallocated(const Place& at, int mode, off_t offset) {
  const UniqueFd fd = Create(at);
  const std::string content(3 * kBlock, 'x');
  testing::Check(pwrite(fd.get(), content.data(), content.size(), 0) ==
                     static_cast<ssize_t>(content.size()),
                 "pwrite");
  return InOrder(
      {Said(fallocate(fd.get(), mode, offset, kBlock)), Size(at), Blocks(at)});
}

std::vector<Check> ReadAndWriteChecks() {
  return {
      {"write and read a large file", "same",
       [](const Place& at) -> std::string {
         std::string content;
         while (content.size() < (5 << 20)) {
           content += std::to_string(content.size()) + " ";
         }
         WriteFile(File(at), content);
         return ReadFile(File(at)) == content &&
                        ReadFile(at.source + "/file") == content
                    ? "same"
                    : "differs";
       }},
      {"write far past the end", "ok, 1048577",
       [](const Place& at) {
         const UniqueFd fd = Create(at);
         return InOrder({Said(pwrite(fd.get(), "x", 1, 1 << 20)), Size(at)});
       }},
      {"two descriptors see each other", "second",
       [](const Place& at) {
         const UniqueFd one = Create(at);
         const UniqueFd other = OpenFile(File(at), O_RDONLY);
         Write(one, "first ");
         char content[16] = {};
         testing::Check(read(other.get(), content, sizeof content) == 6,
                        "read");
         Write(one, "second");
         testing::Check(read(other.get(), content, sizeof content) == 6,
                        "read");
         return std::string(content, 6);
       }},
      {"append", "one two three ",
       [](const Place& at) {
         const UniqueFd one = Create(at, O_APPEND);
         const UniqueFd other = OpenFile(File(at), O_WRONLY | O_APPEND);
         Write(one, "one ");
         Write(other, "two ");
         Write(one, "three ");
         return ReadFile(at.source + "/file");
       }},
      {"append to what others append to", "one two three ",
       [](const Place& at) {
         const UniqueFd here = Create(at, O_APPEND);
         const UniqueFd there =
             OpenFile(at.source + "/file", O_WRONLY | O_APPEND);
         Write(here, "one ");
         Write(there, "two ");
         Write(here, "three ");
         return ReadFile(at.source + "/file");
       }},
      {"read a directory", "EISDIR",
       [](const Place& at) {
         const UniqueFd fd = OpenFile(at.mnt, O_RDONLY);
         char buffer[16];
         return Said(read(fd.get(), buffer, sizeof buffer));
       }},
      {"write to a descriptor for reading", "EBADF",
       [](const Place& at) {
         WriteFile(File(at), "");
         return Write(OpenFile(File(at), O_RDONLY), "x");
       }},
      {"sync", "ok, ok, ok, ok",
       [](const Place& at) {
         const UniqueFd fd = Create(at);
         const UniqueFd root = OpenFile(at.mnt, O_RDONLY);
         Write(fd, "text");
         return InOrder({Said(fsync(fd.get())), Said(fdatasync(fd.get())),
                         Said(fsync(root.get())), Said(syncfs(root.get()))});
       }},
      {"sendfile", "4, text",
       [](const Place& at) {
         WriteFile(File(at), "text");
         const UniqueFd from = OpenFile(File(at), O_RDONLY);
         const UniqueFd to = OpenFile(at.mnt + "/copy", O_WRONLY | O_CREAT);
         return InOrder({Number(sendfile(to.get(), from.get(), nullptr, 100)),
                         ReadFile(at.source + "/copy")});
       }},
      {"copy_file_range", "5, abcINPUT",
       [](const Place& at) {
         WriteFile(File(at), "some INPUT");
         const UniqueFd from = OpenFile(File(at), O_RDONLY);
         const UniqueFd to = OpenFile(at.mnt + "/copy", O_WRONLY | O_CREAT);
         Write(to, "abcdef");
         off_t in = 5, out = 3;
         const ssize_t n =
             copy_file_range(from.get(), &in, to.get(), &out, 100, 0);
         return InOrder({Number(n), ReadFile(at.source + "/copy")});
       }},
  };
}

std::vector<Check> MappingChecks() {
  return {
      {"a shared mapping writes", "Mapped text",
       [](const Place& at) {
         const UniqueFd fd = Create(at);
         Write(fd, "mapped text");
         void* map =
             mmap(nullptr, 11, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
         if (map == MAP_FAILED) return Said(-1);
         static_cast<char*>(map)[0] = 'M';
         testing::Check(msync(map, 11, MS_SYNC) == 0, "msync");
         munmap(map, 11);
         return ReadFile(at.source + "/file");
       }},
      {"a mapping sees a write", "seen",
       [](const Place& at) {
         const UniqueFd fd = Create(at);
         Write(fd, "gone");
         void* map = mmap(nullptr, 4, PROT_READ, MAP_SHARED, fd.get(), 0);
         if (map == MAP_FAILED) return Said(-1);
         const volatile char* bytes = static_cast<const char*>(map);
         std::string text;
         if (bytes[0] == 'g') {
           testing::Check(pwrite(fd.get(), "seen", 4, 0) == 4, "pwrite");
         }
         for (int i = 0; i < 4; ++i) text += bytes[i];
         munmap(map, 4);
         return text;
       }},
      {"a mapping outlives its descriptor and name", "kept",
       [](const Place& at) {
         WriteFile(File(at), "kept");
         UniqueFd fd = OpenFile(File(at), O_RDONLY);
         void* map = mmap(nullptr, 4, PROT_READ, MAP_PRIVATE, fd.get(), 0);
         if (map == MAP_FAILED) return Said(-1);
         fd.reset();
         testing::Check(unlink(File(at).c_str()) == 0, "unlink");
         std::string text(static_cast<const char*>(map), 4);
         munmap(map, 4);
         return text;
       }},
  };
}

std::vector<Check> SpaceChecks() {
  return {
      {"fallocate", "ok, 262144, xxx0",
       [](const Place& at) { return Fallocated(at, 0, 3 * kBlock); }},
      {"fallocate beyond the size", "ok, 196608, xxx",
       [](const Place& at) {
         return Fallocated(at, FALLOC_FL_KEEP_SIZE, 3 * kBlock);
       }},
      {"punch a hole", "ok, 196608, x0x",
       [](const Place& at) {
         return Fallocated(at, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                           kBlock);
       }},
      {"seek holes and data", "131072, 65536, ENXIO",
       [](const Place& at) {
         Fallocated(at, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, kBlock);
         const UniqueFd fd = OpenFile(File(at), O_RDONLY);
         return InOrder({Number(lseek(fd.get(), kBlock, SEEK_DATA)),
                         Number(lseek(fd.get(), 0, SEEK_HOLE)),
                         Number(lseek(fd.get(), 9 * kBlock, SEEK_DATA))});
       }},
      {"truncate", "ok, 2, te",
       [](const Place& at) {
         WriteFile(File(at), "text");
         return InOrder({Said(truncate(File(at).c_str(), 2)), Size(at),
                         ReadFile(File(at))});
       }},
      {"truncate an open file to more", "ok, 65537, x0",
       [](const Place& at) {
         const UniqueFd fd = Create(at);
         Write(fd, "x");
         return InOrder(
             {Said(ftruncate(fd.get(), kBlock + 1)), Size(at), Blocks(at)});
       }},
      {"truncate a descriptor for reading", "EINVAL",
       [](const Place& at) {
         WriteFile(File(at), "text");
         return Said(ftruncate(OpenFile(File(at), O_RDONLY).get(), 1));
       }},
      {"truncate an unlinked file", "ok 1",
       [](const Place& at) {
         const UniqueFd fd = Create(at);
         Write(fd, "text");
         testing::Check(unlink(File(at).c_str()) == 0, "unlink");
         const std::string text = Said(ftruncate(fd.get(), 1));
         struct stat info;
         testing::Check(fstat(fd.get(), &info) == 0, "fstat");
         return text + " " + std::to_string(info.st_size);
       }},
      {"truncate a directory", "EISDIR",
       [](const Place& at) { return Said(truncate(at.mnt.c_str(), 1)); }},
      {"open to truncate", "0",
       [](const Place& at) {
         WriteFile(File(at), "text");
         OpenFile(File(at), O_WRONLY | O_TRUNC);
         return Size(at);
       }},
      {"a file without a name gets one", "ok, text",
       [](const Place& at) {
         const UniqueFd fd = OpenFile(at.mnt, O_TMPFILE | O_RDWR);
         if (!fd) return Said(-1);
         Write(fd, "text");
         const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
         if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, File(at).c_str(),
                    AT_SYMLINK_FOLLOW) != 0) {
           return "link: " + Said(-1);
         }
         return "ok, " + ReadFile(at.source + "/file");
       }},
  };
}

}  // namespace

std::vector<Check> FileChecks() {
  std::vector<Check> all;
  for (auto* some : {ReadAndWriteChecks, MappingChecks, SpaceChecks}) {
    for (Check& check : some()) all.push_back(std::move(check));
  }
  return all;
}

}  // namespace barefuse::peer
