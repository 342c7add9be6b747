// What a test of differences does to a filesystem: operations that are numbers,
// made from a seed and nothing else, so that any of them can be left out and
// the others stay what they are.
#ifndef BAREFUSE_TESTS_DIFFERENTIAL_OPERATION_H_
#define BAREFUSE_TESTS_DIFFERENTIAL_OPERATION_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace barefuse::differential {

// What a path that is not absolute starts at.
enum class Base : uint8_t { kRoot, kWorkingDirectory, kSlot };

struct Operation {
  uint16_t kind = 0;   // a row of Kinds()
  uint8_t user = 0;    // one of kUsers
  uint16_t umask = 0;  // of whoever does it
  Base base = Base::kRoot;
  uint8_t base_slot = 0;
  uint8_t slot = 0;  // descriptors
  uint8_t slot2 = 0;
  uint16_t path = 0;  // PathOf() says which
  uint16_t path2 = 0;
  uint32_t flags = 0;  // the system call's own
  uint32_t mode = 0;
  uint32_t value = 0;  // whatever else the kind wants to choose
  int64_t offset = 0;
  int64_t offset2 = 0;
  uint64_t length = 0;
};

struct User {
  std::string_view name;
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;  // besides gid
};
const std::vector<User>& Users();

inline constexpr int kSlots = 10;

// Numbers from a number (splitmix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // 0 .. count - 1.
  uint32_t Below(uint32_t count) {
    return static_cast<uint32_t>(Next() % count);
  }
  bool OneIn(uint32_t count) { return Below(count) == 0; }
  template <class T>
  T Pick(std::initializer_list<T> values) {
    return values.begin()[Below(static_cast<uint32_t>(values.size()))];
  }

 private:
  uint64_t state_;
};

// A path, most often of the kind wanted, if what has been done before has made
// it that: any name can come to stand for anything.
enum class Likely : uint8_t { kAnything, kFile, kDirectory, kSymlink };
uint16_t MakePath(Random& random, Likely likely);
// Relative, without a slash at its beginning.
std::string PathOf(uint16_t number);
// Its directory, "." for the one that paths start at.
std::string ParentOf(uint16_t number);

// Where something is read or written, and how much. Some of it is aligned as
// O_DIRECT wants it.
void MakeRange(Random& random, Operation& operation);
// Size of a file, or where in it.
int64_t MakeOffset(Random& random);
uint32_t MakeMode(Random& random);

// Bytes that tell where they belong.
void FillPattern(uint32_t seed, std::span<char> bytes);

// What a system call came to.
struct Outcome {
  int64_t result = 0;
  int error = 0;     // errno
  std::string data;  // what was read

  // Takes `value` and errno.
  void Set(int64_t value);
};

class Side;

// A kind of operation: how it is made up, and how it is done.
struct Kind {
  std::string_view name;
  uint32_t weight;  // how often
  // What of Operation counts, to be shown and looked at: p, q the paths; s, t
  // the slots; o, O the offsets; l, f, m, u, v length, flags, mode, umask and
  // value; x flags as those of open(2); n: a new descriptor goes into `slot`;
  // r: the mount's kernel is not told that attributes change, and goes on
  // showing those that it knows for as long as it may, until it is made to ask.
  std::string_view uses;
  // Whether it is meant to change files, so that their content and extended
  // attributes are compared.
  bool changes;
  void (*make)(Random& random, Operation& operation);
  void (*run)(const Operation& operation, Side& side, Outcome& outcome);

  bool Uses(char what) const { return uses.find(what) != uses.npos; }
};
std::span<const Kind> Kinds();
// The rows of Kinds(), by what they are about.
std::span<const Kind> OpenKinds();
std::span<const Kind> DataKinds();
std::span<const Kind> NameKinds();
std::span<const Kind> AttributeKinds();
std::span<const Kind> XattrKinds();
std::span<const Kind> LockKinds();

// The operation number `index` of the sequence `seed`.
Operation MakeOperation(uint64_t seed, uint64_t index);

// For people.
std::string Describe(const Operation& operation);
// "success (3)" or "ENOENT".
std::string Describe(const Outcome& outcome);

}  // namespace barefuse::differential

#endif  // BAREFUSE_TESTS_DIFFERENTIAL_OPERATION_H_
