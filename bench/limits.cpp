// SPDX-License-Identifier: Apache-2.0
// What this machine can do right now: float32 FMA rate and copy bandwidth, on `threads` threads.
// Compiled for the machine itself and independent of the library, so that it judges it fairly.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

using Vector = float __attribute__((vector_size(64)));
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

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  constexpr long kRounds = 4'000'000;
  volatile float start = 1, sink = 0;
  const double fma_time =
      best_of(5, threads, [&](int) { sink = sink + multiply_add(kRounds, start); });
  const double flops = 2.0 * 12 * 16 * kRounds * threads / fma_time;

  constexpr std::size_t kBytes = 64 << 20;
  std::vector<char> from(kBytes, 1), to(kBytes, 2);
  const std::size_t part = kBytes / static_cast<std::size_t>(threads);
  const double copy_time = best_of(9, threads, [&](int t) {
    std::memcpy(to.data() + static_cast<std::size_t>(t) * part,
                from.data() + static_cast<std::size_t>(t) * part, part);
  });
  std::printf("{\"fma_gflops\": %.1f, \"copy_gbs\": %.2f}\n", flops / 1e9,
              2.0 * kBytes / copy_time / 1e9);
}
