// Random valid messages of every kind, from a seed.
//
// They are made by the layouts themselves: an archive that, instead of reading
// or writing fields, makes them up.
#ifndef BAREFUSE_TESTS_CODEC_RANDOM_MESSAGES_H_
#define BAREFUSE_TESTS_CODEC_RANDOM_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "proto/dialect.h"
#include "proto/notifications.h"
#include "proto/replies.h"
#include "proto/requests.h"

namespace barefuse::testing {

// Makes random parts and owns them: views into it live as long as it does.
class RandomParts {
 public:
  explicit RandomParts(uint64_t seed) : random_(seed) {}

  uint64_t Number() { return random_(); }
  size_t Below(size_t limit) { return static_cast<size_t>(random_() % limit); }
  bool Coin() { return Below(2) == 0; }

  template <class T>
  void Fill(T& value) {
    auto* bytes = reinterpret_cast<std::byte*>(&value);
    for (size_t i = 0; i < sizeof value; ++i) {
      bytes[i] = static_cast<std::byte>(random_());
    }
  }
  proto::Bytes Bytes(size_t size);
  // Any bytes but NUL, and the slash where `slash` is false.
  std::string_view Name(size_t max, bool slash = false);

  // Extensions of random kinds in random order, unknown ones among them; their
  // size is a multiple of 8.
  proto::Extensions Extensions();
  // Records that fit in `size` bytes.
  proto::Bytes Directory(bool plus, size_t size);

 private:
  std::mt19937_64 random_;
  std::deque<std::string> owned_;
};

// A request of `opcode`, which must exist. The views are into `parts`.
proto::Request RandomRequest(uint32_t opcode, const proto::Dialect& dialect,
                             RandomParts* parts);

// A successful reply to it, or an error; where the request is owed none, a
// plain one.
proto::ReplyMessage RandomReply(const proto::Request& request,
                                RandomParts* parts);

// The notification of `code`, which must exist.
proto::AnyNotification RandomNotification(uint32_t code,
                                          const proto::Dialect& dialect,
                                          RandomParts* parts);

// Every opcode that exists.
std::vector<uint32_t> AllOpcodes();

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_CODEC_RANDOM_MESSAGES_H_
