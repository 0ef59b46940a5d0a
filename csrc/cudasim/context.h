// SPDX-License-Identifier: Apache-2.0
// The state of a running grid: threads (fibers), blocks with their shared memory, barriers and
// warps, and the group of blocks that one OS thread runs. A group is one block, the blocks of a
// cluster, or all blocks of a cooperative launch: those that may wait for each other.
//
// Nothing spins: a thread that has to wait is parked with its reason, and the scheduler runs
// another. When nobody can run and no copy is under way, that is a deadlock, reported with the
// reason of every thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cudasim/counters.h"
#include "cudasim/fiber.h"

namespace gradsmith::cudasim {

struct Index3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr Index3(unsigned first = 1, unsigned second = 1, unsigned third = 1)
      : x(first), y(second), z(third) {}
  std::int64_t count() const { return std::int64_t{x} * y * z; }
};

// What a kernel must not do, with the kernel, block and thread that did it.
struct SimulationError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr int kWarpLanes = 32;
constexpr int kWarpGroupThreads = 128;
constexpr int kNamedBarriers = 16;
constexpr std::size_t kSharedAlignment = 1024;
constexpr std::size_t kMaxSharedBytes = 227 * 1024;  // of a block on Hopper

struct Block;
struct Group;
struct TensorMap;

using PendingCopy = std::function<void()>;

// What a thread has under way of cp.async, oldest first: `group_sizes` copies in each committed
// group, then those since the last commit.
struct AsyncCopies {
  struct Copy {
    char* to;
    const char* from;  // null: zeros
    std::uint32_t bytes;
  };
  std::vector<Copy> open;
  std::vector<std::size_t> group_sizes;
};

// What a thread wrote to shared memory, or may have written, since its last fence for the copy
// engine.
struct GenericAccess {
  std::uint32_t offset, bytes;
};

// One CUDA thread.
struct Thread {
  Flow flow;
  Stack* stack = nullptr;  // taken when the thread first runs
  Block* block = nullptr;
  Index3 index;    // threadIdx
  int number = 0;  // in the block
  bool finished = false;
  const char* waits_for = nullptr;
  AsyncCopies copies;
  // Stores by the copy engine, as cp.async has them.
  std::vector<PendingCopy> open_stores;
  std::vector<std::vector<PendingCopy>> store_groups;
  std::vector<GenericAccess> unfenced;
  std::uint64_t cluster_phase = 0;  // that it arrived in

  int lane() const { return number % kWarpLanes; }
};

// Threads that meet in order to do something together: the last to come does it for all.
struct Rendezvous {
  const char* operation = nullptr;
  int arrived = 0;
  std::vector<void*> arguments;
  std::vector<Thread*> waiting;
};

struct NamedBarrier {
  int expected = 0;  // 0: nobody has come yet
  int arrived = 0;
  std::vector<Thread*> waiting;
};

// Matrix products that a warpgroup has issued and not yet waited for.
struct WarpGroup {
  Rendezvous rendezvous;
  std::vector<PendingCopy> open;
  std::deque<std::vector<PendingCopy>> groups;
};

struct Block {
  Group* group = nullptr;
  Index3 index;  // blockIdx
  std::vector<Thread> threads;
  std::vector<Rendezvous> warps;
  std::vector<WarpGroup> warp_groups;
  NamedBarrier barriers[kNamedBarriers];
  char* shared = nullptr;  // kSharedAlignment-aligned; shared_bytes, then an unmapped page
  std::size_t shared_bytes = 0;
  void* shared_mapping = nullptr;
  std::size_t mapping_bytes = 0;
  WarpTraffic traffic;
  // Shared memory as the copy engine and warpgroup products see it: what they wrote themselves, and
  // what threads wrote and fenced. Kept once the block uses them.
  bool has_async_view = false;
  std::vector<char> async_view;

  Block() = default;
  Block(Block&& other) noexcept;
  ~Block();
};

struct ClusterBarrier {
  int arrived = 0;
  std::uint64_t phase = 0;
};

// A condition that other threads' writes will make true.
struct Poller {
  Thread* thread;
  std::function<bool()> holds;
};

enum class Schedule : std::uint8_t { in_order, reversed, random };

struct Kernel {
  const char* name;
  void (*invoke)(const void* arguments);
  const void* arguments;
  bool has_tensor_maps;
};

struct Group {
  Kernel kernel;
  Index3 grid, block_shape;
  Index3 cluster;
  bool is_cooperative = false;
  Schedule schedule = Schedule::in_order;
  std::uint64_t random_state = 1;
  std::uint64_t steps = 0;  // of the scheduler while somebody waits for a word
  std::vector<Block> blocks;
  std::deque<Thread*> runnable;
  std::deque<PendingCopy> pending;  // copies under way that no thread has to ask for
  std::vector<Poller> pollers;
  NamedBarrier grid_barrier;
  std::vector<ClusterBarrier> cluster_barriers;
  int live = 0;
  Flow scheduler;
  std::string error;
  Counters counters;

  std::uint64_t random();  // xorshift
};

// The thread that runs now; null outside kernels. Not thread_local: g++ reads that through a
// function which UBSan takes for a null pointer.
extern __thread Thread* running_thread __attribute__((tls_model("initial-exec")));

inline Thread& this_thread() { return *running_thread; }
inline Block& this_block() { return *running_thread->block; }
inline Group& this_group() { return *running_thread->block->group; }

// Of the block in its group, counted along x as clusters are.
inline std::size_t number_of(const Block& block) {
  return static_cast<std::size_t>(&block - block.group->blocks.data());
}

// ---- used by the device functions
// ----------------------------------------------------------------

// Throws SimulationError, with kernel, block and thread put in front.
[[noreturn]] void fail(const std::string& message);

void make_runnable(Thread* thread);
void wake_all(std::vector<Thread*>* waiting);

// Stops the running thread until somebody makes it runnable; `reason` is for the deadlock report.
void park(const char* reason);

// Stops the running thread until the condition holds, which is looked at whenever the others wait.
void wait_until(const char* reason, std::function<bool()> holds);

// A copy that lands at the latest moment, or at a random one under Schedule::random.
void defer(PendingCopy copy);

// Deposits this thread's arguments. The last of `needed` threads runs act(arguments of all, by
// `place`) and wakes the rest. SimulationError if they did not all call the same operation.
void meet(Rendezvous* rendezvous, int place, int places, int needed, void* argument,
          const char* operation, void (*act)(void** arguments, const void* context),
          const void* context);

// The same for the whole warp, or the whole warpgroup, of the running thread. `act` takes an array
// of pointers to the arguments, by lane.
template <class Argument, class Act>
void warp_collective(Argument* argument, const char* operation, const Act& act) {
  Thread& thread = this_thread();
  Rendezvous& rendezvous = thread.block->warps[thread.number / kWarpLanes];
  meet(
      &rendezvous, thread.lane(), kWarpLanes, kWarpLanes, argument, operation,
      [](void** arguments, const void* context) {
        (*static_cast<const Act*>(context))(reinterpret_cast<Argument**>(arguments));
      },
      &act);
}
template <class Argument, class Act>
void warp_group_collective(Argument* argument, const char* operation, const Act& act) {
  Thread& thread = this_thread();
  WarpGroup& group = thread.block->warp_groups[thread.number / kWarpGroupThreads];
  meet(
      &group.rendezvous, thread.number % kWarpGroupThreads, kWarpGroupThreads, kWarpGroupThreads,
      argument, operation,
      [](void** arguments, const void* context) {
        (*static_cast<const Act*>(context))(reinterpret_cast<Argument**>(arguments));
      },
      &act);
}

// Barrier of `count` threads; returns at once for those that only arrive.
void meet_at_barrier(NamedBarrier* barrier, int count, bool waits, const char* name);

// Runs all blocks of a group to their end. Throws SimulationError.
void run_group(Group* group);

}  // namespace gradsmith::cudasim
