// Damaged messages.
#ifndef BAREFUSE_TESTS_CODEC_DAMAGE_H_
#define BAREFUSE_TESTS_CODEC_DAMAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "proto/requests.h"

namespace barefuse::testing {

// Calls `try_it` with every prefix, with bytes behind, and with every byte
// changed. The bytes are handed over in a buffer of their exact size, so that a
// sanitizer sees every step outside.
template <class Try>
void ForEachDamage(proto::Bytes message, Try try_it) {
  for (size_t size = 0; size < message.size(); ++size) {
    std::vector<std::byte> damaged(message.begin(), message.begin() + size);
    try_it(damaged);
    // With a header that does not give it away.
    if (size >= sizeof(uint32_t)) {
      const auto length = static_cast<uint32_t>(size);
      std::memcpy(damaged.data(), &length, sizeof length);
      try_it(damaged);
    }
  }
  for (size_t more : {1u, 7u, 8u, 100u}) {
    std::vector<std::byte> damaged(message.begin(), message.end());
    damaged.resize(message.size() + more, std::byte{0x5a});
    const auto length = static_cast<uint32_t>(damaged.size());
    std::memcpy(damaged.data(), &length, sizeof length);
    try_it(damaged);
  }
  for (size_t i = 0; i < message.size(); ++i) {
    for (std::byte change : {std::byte{1}, std::byte{0x80}, std::byte{0xff}}) {
      std::vector<std::byte> damaged(message.begin(), message.end());
      damaged[i] ^= change;
      try_it(damaged);
    }
  }
}

}  // namespace barefuse::testing

#endif  // BAREFUSE_TESTS_CODEC_DAMAGE_H_
