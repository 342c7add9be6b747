#include "tools/command_line.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tools/memfs_command.h"
#include "tools/passthrough_command.h"
#include "tools/serve_options.h"

namespace barefuse {
namespace {

// The options that all commands share.
struct Common {
  Common() {
    AddMountOptions(Caller::kPerson, &options, &line);
    AddSessionOptions(&options, &line);
  }
  ServeOptions options;
  CommandLine line;
};

ServeOptions Parsed(const std::vector<std::string>& arguments) {
  Common common;
  absl::Status status = common.line.Parse(arguments);
  EXPECT_TRUE(status.ok()) << status;
  return common.options;
}

std::string Complaint(const std::vector<std::string>& arguments) {
  return std::string(Common().line.Parse(arguments).message());
}

TEST(CommonOptions, TakesEveryOption) {
  EXPECT_EQ(Parsed({"--max-write=64K"}).session.max_write, 65536u);
  EXPECT_EQ(Parsed({"--max-write=1M"}).session.max_write, 1u << 20);
  EXPECT_EQ(Parsed({"--max-pages=8"}).session.max_pages, 8);
  EXPECT_EQ(Parsed({"--max-background=65535"}).session.max_background, 65535);
  EXPECT_EQ(Parsed({"--congestion-threshold=9"}).session.congestion_threshold,
            9);
  EXPECT_EQ(Parsed({"--max-readahead=0"}).session.max_readahead, 0u);
  EXPECT_EQ(Parsed({"--request-timeout=60"}).session.request_timeout,
            absl::Seconds(60));
  EXPECT_EQ(Parsed({"--slots=2"}).session.slots_per_worker, 2u);
  EXPECT_EQ(Parsed({"--offload-threads=0"}).session.offload_threads, 0u);
  EXPECT_EQ(Parsed({"--parked-requests=1"}).session.parked_requests, 1u);
  EXPECT_EQ(Parsed({"--busy-poll=50"}).session.busy_poll,
            absl::Microseconds(50));
  EXPECT_EQ(Parsed({"--stop-timeout=0.5"}).session.stop_timeout,
            absl::Milliseconds(500));
  EXPECT_EQ(Parsed({"--max-minor=12"}).session.max_minor, 12u);
  EXPECT_NE(Parsed({"-r"}).session.mount.flags & MS_RDONLY, 0u);
  const MountOptions mount =
      Parsed({"-o", "auto_unmount,blkdev,blksize=1024"}).session.mount;
  EXPECT_TRUE(mount.auto_unmount);
  EXPECT_TRUE(mount.block_device);
  EXPECT_EQ(mount.block_size, 1024u);
}

TEST(CommonOptions, NamesMistakes) {
  EXPECT_EQ(Complaint({"--max-write=2M"}),
            "--max-write: \"2M\" is not a size from 4K to 1M");
  EXPECT_EQ(Complaint({"--max-write=4095"}),
            "--max-write: \"4095\" is not a size from 4K to 1M");
  EXPECT_EQ(Complaint({"--max-write", "20000000000000000000T"}),
            "--max-write: \"20000000000000000000T\" is not a size from 4K to "
            "1M");
  // Shifted by its unit it would be small again.
  EXPECT_EQ(Complaint({"--max-readahead", "16777216T"}),
            "--max-readahead: \"16777216T\" is not a size from 0 to 1G");
  EXPECT_EQ(Complaint({"-o", "request-timeout=1.5"}),
            "--request-timeout: \"1.5\" is not a number from 0 to 65535");
  EXPECT_EQ(Complaint({"-o", "blksize=3"}),
            "mount option blksize: 3 is not a power of two, 512 .. 4096");
  EXPECT_EQ(Complaint({"-o", "foreground=1"}),
            "mount option foreground takes no value");
  // What tells about the program is not for fstab.
  EXPECT_EQ(Complaint({"-o", "help"}), "unknown mount option \"help\"");
}

TEST(CommonOptions, ABlockSizeNeedsABlockDevice) {
  absl::Status status = CheckServeOptions(Parsed({"-o", "blksize=1024"}));
  EXPECT_EQ(status.message(),
            "a block size is for block devices only (mount option blkdev)");
}

// A value that no option takes.
TEST(CommonOptions, EveryBadValueNamesItsOption) {
  int seen = 0;
  const Common table;
  for (const OptionGroup& group : table.line.groups()) {
    for (const Option& option : group.options) {
      if (option.value.empty() || option.name.empty() ||
          option.name == "stats") {
        continue;
      }
      for (const char* bad : {"", "x", "-1", "1 ", "99999999999999999999999"}) {
        Common common;
        absl::Status status = common.line.Parse({"--" + option.name, bad});
        EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
            << option.name << " " << bad;
        EXPECT_EQ(std::string(status.message())
                      .find("--" + option.name + ": \"" + bad + "\" is not "),
                  0u)
            << status;
      }
      ++seen;
    }
  }
  EXPECT_EQ(seen, 14);
}

TEST(Help, NamesEveryOptionWithinEightyColumns) {
  const Common table;
  for (const std::string& help : {PassthroughHelp(), MemfsHelp()}) {
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), 80u) << line;
      EXPECT_TRUE(line.empty() || line.back() != ' ') << line;
    }
    for (const OptionGroup& group : table.line.groups()) {
      for (const Option& option : group.options) {
        if (!option.name.empty()) {
          EXPECT_NE(help.find("--" + option.name), help.npos) << option.name;
        }
      }
    }
  }
}

TEST(Help, IsLaidOutInColumns) {
  CommandLine line;
  uint32_t number = 7;
  std::string text;
  line.Add({"Group",
            {{.name = "number",
              .short_name = 'n',
              .value = "N",
              .help = "what it means, in so many words that they do not fit",
              .kind = Number(&number, 1, 9)},
             {.name = "a-name-of-great-length",
              .value = "TEXT",
              .help = "first\nsecond",
              .kind = Text(&text)},
             {.short_name = 'x', .kind = Text(&text)}}});
  EXPECT_EQ(line.Help(),
            R"(Group
  -n, --number N         what it means, in so many words that they do not fit (1
                         to 9; default 7)
      --a-name-of-great-length TEXT
                         first
                         second
)");
}

TEST(MountpointIsADescriptor, WhereItIsOneByItsName) {
  EXPECT_EQ(InheritedDescriptor("/dev/fd/7"), 7);
  EXPECT_EQ(InheritedDescriptor("/dev/fd/0"), 0);
  for (const char* other : {"/dev/fd/", "/dev/fd/7x", "/dev/fd/-1", "/dev/fd",
                            "dev/fd/7", "/dev/fd/99999999999"}) {
    EXPECT_FALSE(InheritedDescriptor(other).has_value()) << other;
  }
}

}  // namespace
}  // namespace barefuse
