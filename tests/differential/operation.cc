#include "tests/differential/operation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <array>
#include <iterator>
#include <sstream>

namespace barefuse::differential {
namespace {

// The names in each directory, at most sixteen.
const std::array<std::string, 16>& Leaves() {
  static const auto* const leaves =
      new std::array<std::string, 16>{"f0",
                                      "f1",
                                      "f2",
                                      "f3",
                                      "f4",
                                      "d0",
                                      "d1",
                                      "d2",
                                      "l0",
                                      "l1",
                                      std::string(255, 'x'),
                                      std::string(256, 'y'),  // too long
                                      "n\xff\xfe",            // not UTF-8
                                      ".",
                                      "..",
                                      "f5"};
  return *leaves;
}
constexpr uint32_t kFirstDirectory = 5;
constexpr uint32_t kFirstLink = 8;

// The directories, at most eight.
constexpr std::array<std::string_view, 8> kDirectories = {
    "", "", "", "d0/", "d1/", "d0/d2/", "l0/", "d0/../"};

// What stands before and after a name, at most eight.
struct Decoration {
  std::string_view before;
  std::string_view after;
};
constexpr std::array<Decoration, 8> kDecorations = {{
    {"", ""},
    {"", "/"},
    {"", "/."},
    {"", "/.."},
    {"./", ""},
    {"/", ""},
    {"d1/../", ""},
    {"", "//"},
}};

constexpr uint32_t kPage = 4096;

std::vector<Kind> AllKinds() {
  std::vector<Kind> all;
  for (auto kinds : {OpenKinds(), DataKinds(), NameKinds(), AttributeKinds(),
                     XattrKinds(), LockKinds()}) {
    all.insert(all.end(), kinds.begin(), kinds.end());
  }
  return all;
}

// Names of long runs of one character are cut.
std::string Readable(std::string_view path) {
  std::ostringstream out;
  for (size_t i = 0; i < path.size(); ++i) {
    const size_t end = path.find_first_not_of(path[i], i);
    const size_t run = (end == path.npos ? path.size() : end) - i;
    if (run > 20) {
      out << path[i] << "{" << run << "}";
      i += run - 1;
    } else if (static_cast<unsigned char>(path[i]) < 0x80) {
      out << path[i];
    } else {
      out << "\\x" << std::hex << (path[i] & 0xff) << std::dec;
    }
  }
  return out.str();
}

std::string OpenFlags(uint32_t flags) {
  struct Name {
    uint32_t bits;
    std::string_view name;
  };
  constexpr Name kNames[] = {
      {O_CREAT, "O_CREAT"},       {O_EXCL, "O_EXCL"},
      {O_TRUNC, "O_TRUNC"},       {O_APPEND, "O_APPEND"},
      {O_DIRECT, "O_DIRECT"},     {O_NOFOLLOW, "O_NOFOLLOW"},
      {O_TMPFILE, "O_TMPFILE"},   {O_DIRECTORY, "O_DIRECTORY"},
      {O_PATH, "O_PATH"},         {O_SYNC, "O_SYNC"},
      {O_DSYNC, "O_DSYNC"},       {O_NOATIME, "O_NOATIME"},
      {O_NONBLOCK, "O_NONBLOCK"},
  };
  constexpr std::string_view kAccess[] = {"O_RDONLY", "O_WRONLY", "O_RDWR",
                                          "O_ACCMODE"};
  std::string text(kAccess[flags & O_ACCMODE]);
  for (const Name& name : kNames) {
    if ((flags & name.bits) != name.bits) continue;
    flags &= ~name.bits;
    text += "|" + std::string(name.name);
  }
  return text;
}

}  // namespace

const std::vector<User>& Users() {
  static const auto* const users = new std::vector<User>{
      {"root", 0, 0, {}},
      {"ann", 1001, 1001, {2000}},
      {"bob", 1002, 1002, {1001, 2001}},
  };
  return *users;
}

uint64_t Random::Next() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint16_t MakePath(Random& random, Likely likely) {
  uint32_t leaf = 0;
  const uint32_t chance = random.Below(20);
  if (chance == 0) {
    leaf = random.Below(16);
  } else if (chance < 5 || likely == Likely::kAnything) {
    leaf = random.Below(kFirstLink + 2);
  } else if (likely == Likely::kFile) {
    leaf = random.Below(kFirstDirectory);
  } else if (likely == Likely::kDirectory) {
    leaf = kFirstDirectory + random.Below(3);
  } else {
    leaf = kFirstLink + random.Below(2);
  }
  const uint32_t decoration = random.OneIn(12) ? random.Below(8) : 0;
  return static_cast<uint16_t>((decoration * 16 + leaf) * 8 + random.Below(8));
}

std::string ParentOf(uint16_t number) {
  std::string parent(kDirectories[number % 8]);
  parent += kDecorations[number / 128 % 8].before;
  // An absolute path starts at the root whatever stands before.
  while (!parent.empty() && parent.back() == '/') parent.pop_back();
  return parent.empty() ? "." : parent;
}

std::string PathOf(uint16_t number) {
  const Decoration& decoration = kDecorations[number / 128 % 8];
  std::string path(kDirectories[number % 8]);
  path += decoration.before;
  path += Leaves()[number / 8 % 16];
  path += decoration.after;
  while (!path.empty() && path.front() == '/') path.erase(0, 1);
  return path;
}

int64_t MakeOffset(Random& random) {
  switch (random.Below(16)) {
    case 0:
      return 0;
    case 1:
      return kPage * random.Below(8) - 1 + random.Below(3);
    case 2:
      // Not beyond what any filesystem takes: what is too large for it the
      // mount's kernel does not know.
      return random.Pick<int64_t>(
          {int64_t{1} << 31, (int64_t{1} << 32) + 5, -1, INT64_MIN});
    case 3:
    case 4:
    case 5:
    case 6:
      return int64_t{kPage} * random.Below(24);
    case 7:
    case 8:
      return 512 * random.Below(64);
    default:
      return random.Below(random.Pick<uint32_t>({100, 5000, 90000}));
  }
}

void MakeRange(Random& random, Operation& operation) {
  operation.offset = MakeOffset(random);
  switch (random.Below(8)) {
    case 0:
      operation.length = random.Below(3);
      break;
    case 1:
    case 2:
    case 3:
      operation.length = kPage * random.Below(8);
      break;
    case 4:
      operation.length = 512 * random.Below(16);
      break;
    case 5:
      operation.length = random.Below(65000);
      break;
    default:
      operation.length = random.Below(6000);
  }
}

uint32_t MakeMode(Random& random) {
  const uint32_t common =
      random.Pick<uint32_t>({0644, 0666, 0777, 0755, 0600, 0770, 0640});
  if (random.OneIn(3)) return random.Below(010000);
  return common | (random.OneIn(4) ? random.Below(8) << 9 : 0);
}

void FillPattern(uint32_t seed, std::span<char> bytes) {
  uint32_t state = seed * 2654435761u + 12345;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
}

void Outcome::Set(int64_t value) {
  result = value;
  error = value < 0 ? errno : 0;
}

std::span<const Kind> Kinds() {
  static const auto* const kinds = new std::vector<Kind>(AllKinds());
  return *kinds;
}

Operation MakeOperation(uint64_t seed, uint64_t index) {
  static const uint32_t total = [] {
    uint32_t sum = 0;
    for (const Kind& kind : Kinds()) sum += kind.weight;
    return sum;
  }();
  Random random(Random(seed * 0x100000001b3 ^ index).Next());
  uint32_t at = random.Below(total);
  Operation operation;
  while (at >= Kinds()[operation.kind].weight) {
    at -= Kinds()[operation.kind++].weight;
  }
  operation.user = static_cast<uint8_t>(random.Pick({0, 0, 1, 1, 2}));
  operation.umask = static_cast<uint16_t>(random.Pick({022, 0, 027, 077}));
  if (random.OneIn(8)) {
    operation.base = random.OneIn(2) ? Base::kWorkingDirectory : Base::kSlot;
    operation.base_slot = static_cast<uint8_t>(random.Below(kSlots));
  }
  operation.slot = static_cast<uint8_t>(random.Below(kSlots));
  operation.slot2 = static_cast<uint8_t>(random.Below(kSlots));
  operation.mode = MakeMode(random);
  operation.value = static_cast<uint32_t>(random.Next() >> 40);
  Kinds()[operation.kind].make(random, operation);
  return operation;
}

std::string Describe(const Operation& operation) {
  const Kind& kind = Kinds()[operation.kind];
  std::ostringstream out;
  out << Users()[operation.user].name << ": " << kind.name << "(";
  std::string_view separator = "";
  auto part = [&](std::string_view name) -> std::ostream& {
    out << separator << name;
    separator = ", ";
    return out;
  };
  auto path = [&](uint16_t number) {
    part("\"");
    if (operation.base == Base::kRoot) out << "/";
    out << Readable(PathOf(number)) << "\"";
    if (operation.base == Base::kWorkingDirectory) out << " from the cwd";
    if (operation.base == Base::kSlot) {
      out << " from #" << int{operation.base_slot};
    }
  };
  for (const char use : kind.uses) {
    switch (use) {
      case 'p':
        path(operation.path);
        break;
      case 'q':
        path(operation.path2);
        break;
      case 's':
        part("#") << int{operation.slot};
        break;
      case 't':
        part("#") << int{operation.slot2};
        break;
      case 'o':
        part("at ") << operation.offset;
        break;
      case 'O':
        part("to ") << operation.offset2;
        break;
      case 'l':
        part("length ") << operation.length;
        break;
      case 'f':
        part("flags 0x") << std::hex << operation.flags << std::dec;
        break;
      case 'x':
        part("") << OpenFlags(operation.flags);
        break;
      case 'm':
        part("mode 0") << std::oct << operation.mode << std::dec;
        break;
      case 'u':
        part("umask 0") << std::oct << operation.umask << std::dec;
        break;
      case 'v':
        part("value ") << operation.value;
        break;
    }
  }
  out << ")";
  return out.str();
}

std::string Describe(const Outcome& outcome) {
  std::ostringstream out;
  if (outcome.error != 0) {
    const char* name = strerrorname_np(outcome.error);
    out << (name == nullptr ? "?" : name);
    return out.str();
  }
  out << outcome.result;
  if (!outcome.data.empty()) {
    out << " and " << outcome.data.size() << " bytes, \"";
    for (const char c : outcome.data.substr(0, 200)) {
      if (c >= ' ' && c <= '~') {
        out << c;
      } else {
        constexpr char kDigits[] = "0123456789abcdef";
        out << "\\x" << kDigits[c >> 4 & 15] << kDigits[c & 15];
      }
    }
    out << (outcome.data.size() > 200 ? "...\"" : "\"");
  }
  return out.str();
}

}  // namespace barefuse::differential
