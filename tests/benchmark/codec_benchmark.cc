// Time per message: bazel run --config=opt //tests/benchmark:codec_benchmark
#include <benchmark/benchmark.h>

#include "tests/benchmark/codec_cases.h"

int main(int argc, char** argv) {
  for (const barefuse::CodecCase& codec_case : barefuse::CodecCases()) {
    benchmark::RegisterBenchmark(
        codec_case.name, [run = codec_case.run](benchmark::State& state) {
          constexpr uint64_t kBatch = 64;
          while (state.KeepRunningBatch(kBatch)) run(kBatch);
        });
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
