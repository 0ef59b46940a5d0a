// SPDX-License-Identifier: Apache-2.0
#include "cudasim/barrier.h"

#include "core/error.h"
#include "cudasim/access.h"
#include "cudasim/async_view.h"

namespace gradsmith::cudasim {
namespace {

constexpr int kMaxArrivals = (1 << 20) - 1;
constexpr std::int64_t kMaxBytes = (1 << 20) - 1;

void check_made(const BarrierWord& word) {
  // Nobody makes one for so many threads: it is what fresh shared memory holds.
  if (word.expected == kMaxArrivals) fail("uses a barrier that nobody has made");
}

void end_phase_if_over(BarrierWord* word) {
  if (word->pending != 0 || word->bytes != 0) return;
  word->phase ^= 1u;
  word->pending = word->expected;
}

void add_bytes(BarrierWord* word, std::int64_t bytes) {
  const std::int64_t sum = word->bytes + bytes;
  if (sum > kMaxBytes || sum < -kMaxBytes) fail("expects more bytes than a barrier can count");
  word->bytes = sum;
}

}  // namespace

void init_barrier(BarrierWord* word, int arrivals) {
  if (arrivals < 1 || arrivals >= kMaxArrivals) {
    fail(concatenate("makes a barrier for ", arrivals, " arrivals"));
  }
  keep_async_view(&this_block());
  *word = BarrierWord{};
  word->expected = word->pending = static_cast<std::uint64_t>(arrivals);
}

void arrive(BarrierWord* word, std::int64_t expected_bytes) {
  check_made(*word);
  if (word->pending == 0) fail("arrives at a barrier once more than it was made for");
  add_bytes(word, expected_bytes);
  --word->pending;
  end_phase_if_over(word);
}

void complete_bytes(BarrierWord* word, std::int64_t bytes) {
  check_made(*word);
  add_bytes(word, -bytes);
  end_phase_if_over(word);
}

bool is_over(BarrierWord* word, int parity) {
  check_made(*word);
  return word->phase != (static_cast<unsigned>(parity) & 1u);
}

void wait_for_phase(BarrierWord* word, int parity) {
  check_made(*word);
  wait_until("a barrier in shared memory",
             [=] { return word->phase != (static_cast<unsigned>(parity) & 1u); });
}

int rank_in_cluster() { return static_cast<int>(number_of(this_block()) % this_group().cluster.x); }

Block& block_of_cluster(int rank) {
  Group& group = this_group();
  if (rank < 0 || rank >= static_cast<int>(group.cluster.x)) {
    fail(concatenate("names block ", rank, " of a cluster of ", group.cluster.x));
  }
  const std::size_t first = number_of(this_block()) / group.cluster.x * group.cluster.x;
  return group.blocks[first + static_cast<std::size_t>(rank)];
}

char* place_in_peer(const void* pointer, int rank) {
  return block_of_cluster(rank).shared + (static_cast<const char*>(pointer) - this_block().shared);
}

void arrive_at_cluster() {
  Group& group = this_group();
  ClusterBarrier& barrier = group.cluster_barriers[number_of(this_block()) / group.cluster.x];
  this_thread().cluster_phase = barrier.phase;
  const auto threads = static_cast<int>(group.cluster.x * group.block_shape.count());
  if (++barrier.arrived < threads) return;
  barrier.arrived = 0;
  ++barrier.phase;
}

void wait_for_cluster() {
  Group& group = this_group();
  const ClusterBarrier* const barrier =
      &group.cluster_barriers[number_of(this_block()) / group.cluster.x];
  const std::uint64_t mine = this_thread().cluster_phase;
  wait_until("the cluster", [=] { return barrier->phase != mine; });
}

}  // namespace gradsmith::cudasim
