// SPDX-License-Identifier: Apache-2.0
// What this machine can do right now: float32 FMA rate and copy bandwidth, on `threads` threads.
// Compiled for the machine itself and independent of the library, so that it judges it fairly.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace {

// As wide as a register: twelve wider ones would not fit into a file of sixteen.
#ifdef __AVX512F__
constexpr int kVectorBytes = 64;
#else
constexpr int kVectorBytes = 32;
#endif
constexpr int kLanes = kVectorBytes / sizeof(float);
using Vector = float __attribute__((vector_size(kVectorBytes)));
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Twelve independent chains cover the latency of the FMA units. They start from a value that the
// compiler doesn't know: it once saw that 1 is a fixed point and left that chain out.
float multiply_add(long rounds, float start) {
  Vector a[12];
  for (int i = 0; i < 12; ++i) a[i] = Vector{} + start * static_cast<float>(i);
  const Vector scale = Vector{} + 0.999999f;
  const Vector shift = Vector{} + 0.000001f;
  for (long r = 0; r < rounds; ++r) {
    for (Vector& chain : a) chain = chain * scale + shift;
  }
  Vector sum{};
  for (const Vector& chain : a) sum += chain;
  return sum[0];
}

template <class Work>
double best_of(int repeats, int threads, const Work& work) {
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    std::vector<std::thread> pool;
    const Clock::time_point start = Clock::now();
    for (int t = 0; t < threads; ++t) pool.emplace_back([&work, t] { work(t); });
    for (std::thread& thread : pool) thread.join();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

}  // namespace

// The rate of float32 FMA: the best of `repeats` loops of `rounds` on each of `threads` threads.
extern "C" double fma_gflops(int threads, int repeats, long rounds) {
  volatile float start = 1;
  std::vector<float> sinks(static_cast<std::size_t>(threads) * 16);
  const double seconds = best_of(repeats, threads, [&](int t) {
    sinks[static_cast<std::size_t>(t) * 16] = multiply_add(rounds, start);
  });
  volatile float sink = sinks[0];
  static_cast<void>(sink);
  return 2.0 * 12 * kLanes * static_cast<double>(rounds) * threads / seconds / 1e9;
}

// Bytes read and written by a copy of 64 MB.
extern "C" double copy_gbs(int threads) {
  constexpr std::size_t kBytes = 64 << 20;
  std::vector<char> from(kBytes, 1), to(kBytes, 2);
  const std::size_t part = kBytes / static_cast<std::size_t>(threads);
  const double seconds = best_of(9, threads, [&](int t) {
    std::memcpy(to.data() + static_cast<std::size_t>(t) * part,
                from.data() + static_cast<std::size_t>(t) * part, part);
  });
  return 2.0 * kBytes / seconds / 1e9;
}
