// What the comparison itself holds against an outcome.
#include "tests/peer/check.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace barefuse::peer {
namespace {

const Check kCheck = {"open", "ok", nullptr};
const std::vector<Difference> kDifferences = {
    {"theirs", "open", "EACCES", "it is locked"}};

TEST(ComplaintTest, WhatIsExpectedIsRight) {
  EXPECT_EQ(Complaint(kCheck, "ours", kDifferences, "ok"), "");
}

TEST(ComplaintTest, AnotherOutcomeIsWrong) {
  EXPECT_NE(Complaint(kCheck, "ours", kDifferences, "EACCES"), "");
  EXPECT_NE(Complaint(kCheck, "theirs", {}, "EACCES"), "");
}

TEST(ComplaintTest, ADeclaredDifferenceIsRightAndMustBeThere) {
  EXPECT_EQ(Complaint(kCheck, "theirs", kDifferences, "EACCES"), "");
  EXPECT_NE(Complaint(kCheck, "theirs", kDifferences, "ok"), "");
  EXPECT_NE(Complaint(kCheck, "theirs", kDifferences, "EPERM"), "");
}

TEST(ComplaintTest, ADifferenceThatNothingTestsIsWrong) {
  EXPECT_EQ(Complaint(kDifferences, {"ours", "theirs"}, {kCheck}), "");
  EXPECT_NE(Complaint(kDifferences, {"ours"}, {kCheck}), "");
  EXPECT_NE(Complaint(kDifferences, {"ours", "theirs"}, {}), "");
  EXPECT_NE(Complaint(kDifferences, {"theirs"}, {{"open", "EACCES", nullptr}}),
            "");
}

TEST(OutcomeTest, IsWhatASystemCallSaid) {
  EXPECT_EQ(Said(7), "ok");
  EXPECT_EQ(Number(7), "7");
  errno = EACCES;
  EXPECT_EQ(Said(-1), "EACCES");
  EXPECT_EQ(Number(-1), "EACCES");
}

TEST(OutcomeTest, ComesFromAnotherProcess) {
  const std::string here = std::to_string(getpid());
  EXPECT_NE(InProcess([] { return std::to_string(getpid()); }), here);
  EXPECT_EQ(InProcess([] {
              _exit(3);
              return std::string();
            }),
            "process ended with 3");
}

}  // namespace
}  // namespace barefuse::peer
