// Does one of the codec's cases a number of times, for
// tools/count_instructions.
//   codec_work           lists the cases
//   codec_work CASE N
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/benchmark/codec_cases.h"

int main(int argc, char** argv) {
  for (const barefuse::CodecCase& codec_case : barefuse::CodecCases()) {
    if (argc < 3) {
      std::puts(codec_case.name);
    } else if (std::string_view(argv[1]) == codec_case.name) {
      codec_case.run(std::strtoull(argv[2], nullptr, 10));
      return 0;
    }
  }
  return argc < 3 ? 0 : 1;
}
