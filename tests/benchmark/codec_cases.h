// What the codec's benchmark and instruction count measure.
#ifndef BAREFUSE_TESTS_BENCHMARK_CODEC_CASES_H_
#define BAREFUSE_TESTS_BENCHMARK_CODEC_CASES_H_

#include <cstdint>
#include <span>

namespace barefuse {

struct CodecCase {
  const char* name;  // "decode GETATTR request"
  // Does it so many times.
  void (*run)(uint64_t times);
};

std::span<const CodecCase> CodecCases();

}  // namespace barefuse

#endif  // BAREFUSE_TESTS_BENCHMARK_CODEC_CASES_H_
