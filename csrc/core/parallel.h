// SPDX-License-Identifier: Apache-2.0
// A parallel loop over [0, count). The thread pool starts at the first loop that is large enough,
// is made anew in a forked child, and by default holds no more threads than the process may use:
// min(affinity mask, cgroup quota, GRADSMITH_NUM_THREADS or else OMP_NUM_THREADS).
#pragma once

#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

constexpr int kMaxThreads = 1024;

// Threads a loop may use, the caller included. Throws ValueError if GRADSMITH_NUM_THREADS is not an
// integer >= 1; less than asked for if the system refused to start as many.
int thread_count();

// The same for a loop that begins here: 1 inside a parallel loop.
int free_thread_count();

// Also beyond the processors at hand. Waits for a running loop of another thread. Throws ValueError
// unless 1 <= count <= kMaxThreads, and inside a parallel loop.
void set_thread_count(int count);

using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);

// Calls function(context, begin, end) on disjoint ranges that cover [0, count); each range but the
// last is a multiple of `grain` long (a grain below 1 counts as 1). Runs on the caller alone if
// count <= grain, inside another parallel loop, while another thread runs one, or with one thread.
// Every range runs, also after an exception in another; then that of the first range is rethrown.
void parallel_range(std::int64_t count, std::int64_t grain, RangeFunction function, void* context);

// How the range is cut depends on the thread count: a body may not let a result depend on begin or
// end, so that any thread count gives the same bits.
template <class Body>
GS_INLINE void parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
  if (count <= grain) {
    if (count > 0) body(std::int64_t{0}, count);
    return;
  }
  parallel_range(
      count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<const Body*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// One thread of a team. The body may write what others read after the next wait.
class Barrier;
struct TeamMember {
  int rank, size;
  Barrier* barrier;

  // Returns once every member has called it as often as this one. Spins for some microseconds, then
  // yields the processor again and again.
  void wait() const;
};

using TeamFunction = void (*)(void* context, const TeamMember& member);

// Calls function(context, member) once on each of `member.size` <= limit threads at the same time;
// on the caller alone where parallel_range would run there.
void run_team(int limit, TeamFunction function, void* context);

// For loops whose threads have to meet many times: a wait costs a fraction of a new loop. The body
// may not throw, because the others would wait for it for ever; and as in parallel_for no result
// may depend on the size of the team.
template <class Body>
GS_INLINE void parallel_team(int limit, const Body& body) {
  static_assert(noexcept(body(TeamMember{})), "a team's body may not throw");
  run_team(
      limit,
      [](void* context, const TeamMember& member) { (*static_cast<const Body*>(context))(member); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace gradsmith
