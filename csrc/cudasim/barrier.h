// SPDX-License-Identifier: Apache-2.0
// mbarrier words in shared memory.
#pragma once

#include "cudasim/context.h"

namespace gradsmith::cudasim {

// In the 64 bits that the device gives it.
struct BarrierWord {
  std::uint64_t expected : 20;  // arrivals of each phase
  std::uint64_t pending : 20;   // that this phase waits for
  std::uint64_t phase : 1;
  std::int64_t bytes : 23;  // that this phase waits for
};
static_assert(sizeof(BarrierWord) == sizeof(std::uint64_t));

void init_barrier(BarrierWord* word, int arrivals);
void arrive(BarrierWord* word, std::int64_t expected_bytes);
void complete_bytes(BarrierWord* word, std::int64_t bytes);
bool is_over(BarrierWord* word, int parity);
void wait_for_phase(BarrierWord* word, int parity);

// The same place of another block of the running thread's cluster.
Block& block_of_cluster(int rank);
char* place_in_peer(const void* pointer, int rank);
int rank_in_cluster();
void arrive_at_cluster();
void wait_for_cluster();

}  // namespace gradsmith::cudasim
