#include "tests/testing/canary.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "tests/testing/files.h"

namespace barefuse::testing {
namespace {

// One row for each thing that must not pass unseen.
struct Deed {
  const char* what;
  std::function<void(const std::string& canary)> deed;
};

TEST(CanaryTest, NoticesWhatIsDoneToIt) {
  const Deed deeds[] = {
      {"read", [](const std::string& at) { ReadFile(at + "/secret"); }},
      {"read below",
       [](const std::string& at) { ReadFile(at + "/dir/inner"); }},
      {"open",
       [](const std::string& at) {
         UniqueFd(open((at + "/secret").c_str(), O_RDONLY | O_CLOEXEC));
       }},
      {"open of a fifo",
       [](const std::string& at) {
         UniqueFd(open((at + "/fifo").c_str(), O_RDWR | O_CLOEXEC));
       }},
      {"listing",
       [](const std::string& at) {
         UniqueFd(open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
       }},
      {"write", [](const std::string& at) { WriteFile(at + "/secret", "x"); }},
      {"mode",
       [](const std::string& at) {
         EXPECT_EQ(chmod((at + "/secret").c_str(), 0600), 0);
       }},
      {"owner of a symlink",
       [](const std::string& at) {
         EXPECT_EQ(lchown((at + "/link").c_str(), 5, 5), 0);
       }},
      {"link",
       [](const std::string& at) {
         EXPECT_EQ(link((at + "/secret").c_str(), (at + "/../other").c_str()),
                   0);
       }},
      {"creation", [](const std::string& at) { WriteFile(at + "/new", ""); }},
      {"removal",
       [](const std::string& at) {
         EXPECT_EQ(unlink((at + "/fifo").c_str()), 0);
       }},
  };
  for (const Deed& it : deeds) {
    TempDir dir;
    Canary canary(dir / "canary");
    it.deed(canary.path());
    EXPECT_FALSE(canary.Touched().empty()) << it.what;
  }
}

TEST(CanaryTest, IsQuietWhenNothingIsDone) {
  TempDir dir;
  Canary canary(dir / "canary");
  struct stat info;
  EXPECT_EQ(lstat((canary.path() + "/secret").c_str(), &info), 0);
  UniqueFd(open(canary.path().c_str(), O_PATH | O_CLOEXEC));
  EXPECT_TRUE(canary.Touched().empty());
}

}  // namespace
}  // namespace barefuse::testing
