// A check: something that a program does to a mounted filesystem, and in a few
// words what came of it ("ok", "EACCES", "13 bytes"). The same checks run on
// different servers, so that where they differ shows.
#ifndef BAREFUSE_TESTS_PEER_CHECK_H_
#define BAREFUSE_TESTS_PEER_CHECK_H_

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace barefuse::peer {

struct Place {
  std::string source;  // the directory that is shown, for passthrough
  std::string mnt;     // where the filesystem is
};

struct Check {
  std::string name;
  std::string expected;
  std::function<std::string(const Place&)> outcome;
};

// A check whose outcome is known to be another one on some server.
struct Difference {
  std::string server;
  std::string check;
  std::string gives;
  std::string why;
};

// What is wrong with `outcome`, or nothing: it must be the one that is
// expected, or where a difference is declared, that one. A difference that is
// no longer there is wrong too.
std::string Complaint(const Check& check, const std::string& server,
                      const std::vector<Difference>& differences,
                      const std::string& outcome);

// What is wrong with the table: a row for a server or a check that is not
// there, which nothing would ever test.
std::string Complaint(const std::vector<Difference>& differences,
                      const std::vector<std::string>& servers,
                      const std::vector<Check>& checks);

// --- Outcomes ---

// "ok", or errno's name where `result`, of a system call, is negative.
std::string Said(long result);
// The same with the number that a system call gave.
std::string Number(long result);
// Several, with commas between. In braces they come about in this order, which
// the operands of + need not.
std::string InOrder(std::initializer_list<std::string> outcomes);

// The outcome of `body` in a process of its own, which is a user without
// privileges or groups if `uid` is not 0.
std::string InProcess(const std::function<std::string()>& body,
                      unsigned uid = 0);

}  // namespace barefuse::peer

#endif  // BAREFUSE_TESTS_PEER_CHECK_H_
