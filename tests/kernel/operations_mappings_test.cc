// Mapped files, and how mappings, reads and writes see one another.
#include <signal.h>
#include <sys/mman.h>

#include "tests/kernel/suite_mapping.h"
#include "tests/kernel/transport_suite.h"

namespace barefuse {
namespace {

using testing::ReadFile;
using testing::WriteFile;

constexpr size_t kPage = 4096;

class OperationsMappings : public TransportSuite {};
INSTANTIATE_FOR_SUBJECTS(OperationsMappings);

TEST_P(OperationsMappings, ReadingAMappingGivesTheFile) {
  const std::string content = Pattern(3 * kPage + 100);
  WriteFile(At("file"), content);
  UniqueFd fd = Open(At("file"), O_RDONLY);
  Mapping all(fd, 4 * kPage, PROT_READ, MAP_PRIVATE);
  EXPECT_TRUE(all.Text(0, content.size()) == content);
  // The rest of the last page is zeros.
  EXPECT_EQ(all.Text(content.size(), kPage - 100),
            std::string(kPage - 100, '\0'));
  Mapping part(fd, kPage, PROT_READ, MAP_SHARED, 2 * kPage);
  EXPECT_TRUE(part.Text(0, kPage) == content.substr(2 * kPage, kPage));
}

TEST_P(OperationsMappings, ReadsSeeWhatASharedMappingWrites) {
  WriteFile(At("file"), std::string(2 * kPage, 'm'));
  UniqueFd fd = Open(At("file"), O_RDWR);
  UniqueFd other = Open(At("file"), O_RDONLY);
  Mapping mapping(fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  mapping[10] = 'M';
  EXPECT_EQ(ReadAt(fd, 9, 3), "mMm");
  EXPECT_EQ(ReadAt(other, 9, 3), "mMm");
  mapping[kPage + 1] = 'N';
  EXPECT_EQ(mapping.Sync(), 0);
  EXPECT_EQ(ReadAt(other, kPage, 3), "mNm");
  mapping[10] = 'O';
  EXPECT_EQ(ReadAt(other, 9, 3), "mOm");
}

TEST_P(OperationsMappings, ASharedMappingSeesWhatIsWritten) {
  WriteFile(At("file"), std::string(2 * kPage, 'm'));
  UniqueFd fd = Open(At("file"), O_RDWR);
  UniqueFd other = Open(At("file"), O_WRONLY);
  Mapping mapping(fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  EXPECT_EQ(mapping[20], 'm');
  WriteAt(fd, 20, "w");
  EXPECT_EQ(mapping[20], 'w');
  WriteAt(other, kPage + 20, "o");
  EXPECT_EQ(mapping[kPage + 20], 'o');
  // By turns.
  mapping[21] = 'M';
  WriteAt(other, 22, "W");
  mapping[23] = 'X';
  EXPECT_EQ(ReadAt(fd, 20, 5), "wMWXm");
}

TEST_P(OperationsMappings, TwoProcessesShareAMapping) {
  WriteFile(At("file"), std::string(kPage, '\0'));
  UniqueFd fd = Open(At("file"), O_RDWR);
  Mapping mapping(fd, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  testing::Process child([&] {
    UniqueFd own = Open(At("file"), O_RDWR);
    Mapping theirs(own, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
    theirs[1] = 'c';
    return Eventually([&] { return theirs[0] == 'p'; }) ? 0 : 1;
  });
  mapping[0] = 'p';
  EXPECT_TRUE(Eventually([&] { return mapping[1] == 'c'; }));
  EXPECT_EQ(child.Wait(), 0);
}

TEST_P(OperationsMappings, APrivateMappingKeepsItsWrites) {
  WriteFile(At("file"), std::string(2 * kPage, 'm'));
  UniqueFd fd = Open(At("file"), O_RDONLY);
  Mapping mapping(fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  mapping[5] = 'p';
  EXPECT_EQ(mapping[5], 'p');
  EXPECT_EQ(ReadFile(At("file")), std::string(2 * kPage, 'm'));
}

TEST_P(OperationsMappings, AMappingOutlivesDescriptorAndName) {
  {
    WriteFile(At("file"), std::string(kPage, 'm'));
    UniqueFd fd = Open(At("file"), O_RDWR);
    Mapping mapping(fd, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
    fd.reset();
    mapping[0] = 'c';
    EXPECT_EQ(ReadFile(At("file")).substr(0, 2), "cm");
    ASSERT_EQ(Errno(unlink(At("file").c_str())), 0);
    mapping[1] = 'u';
    EXPECT_EQ(mapping.Text(0, 3), "cum");
    EXPECT_EQ(mapping.Sync(), 0);
  }
  EXPECT_TRUE(Names(root()).empty());
}

// By munmap(2) and by the end of a process, in one that serves nothing.
TEST_P(OperationsMappings, WhatIsMappedIsThereAfterUnmapping) {
  const std::string content = Pattern(1 << 20);
  for (const bool unmap : {false, true}) {
    testing::Process child([&] {
      UniqueFd fd = Open(At("file"), O_RDWR | O_CREAT | O_TRUNC);
      if (ftruncate(fd.get(), 1 << 20) != 0) return 1;
      void* data = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED,
                        fd.get(), 0);
      if (data == MAP_FAILED) return 2;
      content.copy(static_cast<char*>(data), content.size());
      return unmap ? munmap(data, 1 << 20) : 0;
    });
    ASSERT_EQ(child.Wait(), 0);
    EXPECT_TRUE(ReadFile(At("file")) == content) << unmap;
  }
}

TEST_P(OperationsMappings, BeyondTheEndIsABusError) {
  WriteFile(At("file"), std::string(2 * kPage, 'm'));
  const auto touch_second_page = [&](bool truncate_before) {
    return testing::Process([&] {
             signal(SIGBUS, SIG_DFL);  // not a sanitizer's
             UniqueFd fd = Open(At("file"), O_RDWR);
             Mapping mapping(fd, 2 * kPage, PROT_READ, MAP_SHARED);
             if (mapping[kPage] != 'm') return 1;
             if (truncate_before && ftruncate(fd.get(), 100) != 0) return 2;
             return mapping[kPage] == 'm' ? 0 : 3;
           })
        .Wait();
  };
  EXPECT_EQ(touch_second_page(false), 0);
  EXPECT_EQ(touch_second_page(true), 128 + SIGBUS);
}

TEST_P(OperationsMappings, TruncationShowsZerosInAMapping) {
  WriteFile(At("file"), std::string(kPage, 'm'));
  UniqueFd fd = Open(At("file"), O_RDWR);
  Mapping mapping(fd, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  EXPECT_EQ(mapping[200], 'm');
  ASSERT_EQ(Errno(ftruncate(fd.get(), 100)), 0);
  EXPECT_EQ(mapping[99], 'm');
  EXPECT_EQ(mapping[200], '\0');
  ASSERT_EQ(Errno(ftruncate(fd.get(), kPage)), 0);
  EXPECT_EQ(ReadAt(fd, 100, 200), std::string(200, '\0'));
}

TEST_P(OperationsMappings, AnOpenForReadingIsNotMappedForWriting) {
  WriteFile(At("file"), std::string(kPage, 'm'));
  UniqueFd reader = Open(At("file"), O_RDONLY);
  EXPECT_EQ(mmap(nullptr, kPage, PROT_WRITE, MAP_SHARED, reader.get(), 0),
            MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
  UniqueFd writer = Open(At("file"), O_WRONLY);
  EXPECT_EQ(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, writer.get(), 0),
            MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
}

}  // namespace
}  // namespace barefuse
