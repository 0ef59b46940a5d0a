// SPDX-License-Identifier: Apache-2.0
#include "cudasim/grid.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <new>

#include "core/error.h"
#include "core/parallel.h"
#include "cudasim/allocator.h"
#include "cudasim/async_view.h"

namespace gradsmith::cudasim {
namespace {

constexpr const char* kScheduleNames[] = {"in_order", "reversed", "random"};
constexpr int kMaxBlockThreads = 1024;
constexpr unsigned kMaxGridYZ = 65535;
constexpr int kMaxClusterBlocks = 8;  // what every Hopper GPU takes

std::atomic<Schedule> schedule{Schedule::in_order};
std::atomic<std::uint64_t> seed{0};
std::atomic<std::uint64_t> launches{0};
std::atomic<int> multiprocessor_count{6};

void map_shared(Block* block, std::size_t bytes) {
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t room = (bytes + page - 1) / page * page;
  block->mapping_bytes = room + page;
  void* const memory = mmap(nullptr, block->mapping_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(static_cast<char*>(memory) + room, page, PROT_NONE);
  block->shared_mapping = memory;
  block->shared = static_cast<char*>(memory);
  block->shared_bytes = bytes;
}

void make_blocks(Group* group, std::size_t count, const GridShape& shape) {
  const auto threads = static_cast<std::size_t>(shape.block.count());
  group->blocks.clear();
  group->blocks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Block& block = group->blocks.emplace_back();
    map_shared(&block, shape.shared_bytes);
    block.group = group;
    block.threads.resize(threads);
    block.warps.resize((threads + kWarpLanes - 1) / kWarpLanes);
    block.warp_groups.resize((threads + kWarpGroupThreads - 1) / kWarpGroupThreads);
  }
  group->cluster_barriers.assign(
      (count + static_cast<std::size_t>(shape.cluster) - 1) / shape.cluster, {});
}

// Makes a block as it is before its first thread runs; what is in shared memory is NaN.
void reset_block(Block* block, const Index3& index) {
  const Index3& shape = block->group->block_shape;
  block->index = index;
  if (block->shared_bytes > 0) std::memset(block->shared, 0xff, block->shared_bytes);
  block->has_async_view = false;
  if (block->group->kernel.has_tensor_maps) keep_async_view(block);
  for (NamedBarrier& barrier : block->barriers) barrier = {};
  for (Rendezvous& warp : block->warps) warp.arrived = 0;
  int number = 0;
  for (Thread& thread : block->threads) {
    thread.block = block;
    thread.number = number;
    thread.finished = false;
    thread.waits_for = nullptr;
    thread.copies.group_sizes.clear();  // empty ones may be left
    thread.unfenced.clear();
    thread.index = Index3(static_cast<unsigned>(number) % shape.x,
                          static_cast<unsigned>(number) / shape.x % shape.y,
                          static_cast<unsigned>(number) / (shape.x * shape.y));
    ++number;
  }
}

Index3 block_index(std::int64_t number, const Index3& grid) {
  return Index3(static_cast<unsigned>(number % grid.x),
                static_cast<unsigned>(number / grid.x % grid.y),
                static_cast<unsigned>(number / (std::int64_t{grid.x} * grid.y)));
}

void check_shape(const Kernel& kernel, const GridShape& shape) {
  const std::int64_t threads = shape.block.count();
  const auto refuse = [&](const std::string& why) {
    throw SimulationError(std::string(kernel.name) + ": cannot be launched: " + why);
  };
  if (shape.grid.count() < 1 || threads < 1) refuse("the grid or the block is empty");
  if (threads > kMaxBlockThreads) refuse("a block has " + std::to_string(threads) + " threads");
  if (threads % kWarpLanes != 0) refuse("a block is no multiple of 32 threads");
  if (shape.grid.y > kMaxGridYZ || shape.grid.z > kMaxGridYZ)
    refuse("the grid is too large in y or z");
  if (shape.shared_bytes > kMaxSharedBytes) {
    refuse(std::to_string(shape.shared_bytes) + " bytes of shared memory");
  }
  if (shape.cluster < 1 || shape.cluster > kMaxClusterBlocks ||
      shape.grid.x % static_cast<unsigned>(shape.cluster) != 0) {
    refuse("the grid does not divide into clusters of " + std::to_string(shape.cluster));
  }
}

// Collects what the OS threads did.
struct Outcome {
  std::mutex mutex;
  Counters counters;
  std::string error;
};

void run_groups(const Kernel& kernel, const GridShape& shape, std::int64_t begin, std::int64_t end,
                std::int64_t blocks_per_group, std::uint64_t launch, Outcome* outcome) {
  Group group;
  group.kernel = kernel;
  group.grid = shape.grid;
  group.block_shape = shape.block;
  group.cluster = Index3(static_cast<unsigned>(shape.cluster));
  group.is_cooperative = shape.is_cooperative;
  group.schedule = schedule;
  make_blocks(&group, static_cast<std::size_t>(blocks_per_group), shape);
  std::string error;
  for (std::int64_t i = begin; i < end && error.empty(); ++i) {
    // The first seeds of xorshift must not be alike, nor 0.
    group.random_state = (seed + launch * 0x9e3779b97f4a7c15u +
                          static_cast<std::uint64_t>(i) * 0xbf58476d1ce4e5b9u) |
                         1u;
    for (std::int64_t b = 0; b < blocks_per_group; ++b) {
      reset_block(&group.blocks[static_cast<std::size_t>(b)],
                  block_index(i * blocks_per_group + b, shape.grid));
    }
    try {
      run_group(&group);
    } catch (const SimulationError& failure) {
      error = failure.what();
    }
  }
  const std::lock_guard<std::mutex> lock(outcome->mutex);
  outcome->counters.add(group.counters);
  if (outcome->error.empty()) outcome->error = error;
}

}  // namespace

void set_schedule(Schedule new_schedule, std::uint64_t new_seed) {
  schedule = new_schedule;
  seed = new_seed;
}

Schedule current_schedule() { return schedule; }

Schedule schedule_from_name(const std::string& name) {
  for (int i = 0; i < 3; ++i) {
    if (name == kScheduleNames[i]) return static_cast<Schedule>(i);
  }
  throw ValueError(concatenate("schedule: unknown schedule '", name,
                               "' (expected in_order, reversed or random)"));
}

void set_multiprocessors(int count) {
  GS_CHECK(count > 0, "set_multiprocessors: count is ", count, ", expected a positive number");
  multiprocessor_count = count;
}

int multiprocessors() { return multiprocessor_count; }

const char* name_of(Schedule which) { return kScheduleNames[static_cast<int>(which)]; }

void run_grid(const Kernel& kernel, const GridShape& shape) {
  check_shape(kernel, shape);
  const std::int64_t blocks = shape.grid.count();
  const std::int64_t per_group = shape.is_cooperative ? blocks : shape.cluster;
  const std::uint64_t launch = launches++;
  Outcome outcome;
  parallel_for(blocks / per_group, 1, [&](std::int64_t begin, std::int64_t end) {
    run_groups(kernel, shape, begin, end, per_group, launch, &outcome);
  });
  outcome.counters.launches = 1;
  outcome.counters.blocks = blocks;
  outcome.counters.threads = blocks * shape.block.count();
  report(kernel.name, outcome.counters);
  if (!outcome.error.empty()) throw SimulationError(outcome.error);
}

void launch_grid(const Kernel& kernel, const GridShape& shape) {
  try {
    run_grid(kernel, shape);
  } catch (const SimulationError& failure) {
    throw DeviceError(failure.what());
  }
  const std::string damage = damaged_guards();
  if (!damage.empty()) throw DeviceError(concatenate(kernel.name, ": ", damage));
}

std::string kernel_name(const char* pretty_function) {
  // "... [with auto Kernel = gradsmith::cuda::{anonymous}::scale<float>; Args = {...}]"
  const std::string text = pretty_function;
  const std::string marker = "Kernel = ";
  const std::size_t start = text.find(marker);
  if (start == std::string::npos) return text;
  std::string name = text.substr(start + marker.size());
  name = name.substr(0, name.find_first_of(";]"));
  for (const std::string noise :
       {"gradsmith::cuda::", "{anonymous}::", "<unnamed>::", "gradsmith::"}) {
    for (std::size_t at; (at = name.find(noise)) != std::string::npos;) {
      name.erase(at, noise.size());
    }
  }
  return name;
}

}  // namespace gradsmith::cudasim
