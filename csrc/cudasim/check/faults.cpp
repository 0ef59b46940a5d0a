// SPDX-License-Identifier: Apache-2.0
// Each kernel is right without its fault; with it, it does what kernels get wrong.
#include "cudasim/check/faults.h"

#include "core/error.h"
#include "cuda/device.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 64;

template <bool Faulty>
__global__ void missing_barrier(void* out) {
  SharedArena arena;
  const Shared<float> values = arena.take<float>(kThreads);
  const int i = static_cast<int>(threadIdx.x);
  values[i] = static_cast<float>(i);
  if (!Faulty) sync_block();
  global<float>(out)[i] = values[kThreads - 1 - i];
}

// Whoever writes last wins.
template <bool Faulty>
__global__ void write_race(void* out) {
  const int i = static_cast<int>(threadIdx.x);
  global<float>(out)[Faulty ? 0 : i] = static_cast<float>(i);
}

// The second warp hands words to the first, which waits until none is zero.
template <bool Faulty>
__global__ void missing_word(void* out) {
  const Global<std::uint32_t> words = global<std::uint32_t>(out);
  const int i = static_cast<int>(threadIdx.x);
  if (i >= kThreads / 2) {
    if (!Faulty || i != kThreads - 1) store_relaxed(words + i, bits_of(static_cast<float>(i)));
    return;
  }
  Pack<std::uint32_t, 4> four;
  spin_until([&] {
    four = load_words_relaxed(words + (kThreads / 2 + i / 4 * 4));
    return four[0] != 0 && four[1] != 0 && four[2] != 0 && four[3] != 0;
  });
  words[i] = four[i % 4];
}

template <bool Faulty>
__global__ void missing_copy_wait(void* out) {
  SharedArena arena;
  const Shared<float> values = arena.take<float>(kThreads);
  const Global<float> memory = global<float>(out);
  const int i = static_cast<int>(threadIdx.x);
  memory[i] = static_cast<float>(i);
  copy_async<4>(values + i, memory + i);
  copy_async_commit();
  if (!Faulty) copy_async_wait<0>();
  sync_block();
  memory[i] = values[i ^ 1];
  copy_async_wait<0>();
}

template <bool Faulty>
__global__ void copy_never_waited_for(void* out) {
  SharedArena arena;
  const Shared<float> values = arena.take<float>(kThreads);
  copy_async<4>(values + threadIdx.x, global<float>(out) + threadIdx.x);
  copy_async_commit();
  if (!Faulty) copy_async_wait<0>();
}

template <bool Faulty>
__global__ void global_out_of_bounds(void* out) {
  global<float>(out)[threadIdx.x + (Faulty ? 1 : 0)] = 1;
}

template <bool Faulty>
__global__ void shared_out_of_bounds(void* out) {
  SharedArena arena;
  const Shared<float> values = arena.take<float>(kThreads);
  values[threadIdx.x + (Faulty ? 1 : 0)] = 1;
  global<float>(out)[threadIdx.x] = 1;
}

template <bool Faulty>
__global__ void arena_too_small(void* out) {
  SharedArena arena;
  arena.take<float>(kThreads + (Faulty ? 1 : 0));
  global<float>(out)[threadIdx.x] = 1;
}

template <bool Faulty>
__global__ void misaligned_pack(void* out) {
  const Global<float> memory = global<float>(out);
  memory[threadIdx.x] = 1;
  store_pack(memory + (4 * (threadIdx.x % 8) + (Faulty ? 1 : 0)), Pack<float, 4>{{1, 1, 1, 1}});
}

template <bool Faulty>
__global__ void host_pointer(void* out, const float* given) {
  global<float>(out)[threadIdx.x] = global<const float>(given)[0];
}

template <bool Faulty>
__global__ void diverged_collective(void* out) {
  const bool is_upper = Faulty && lane_index() >= 16;
  const int value = is_upper ? static_cast<int>(ballot(true)) : shuffle_xor(lane_index(), 1);
  global<float>(out)[threadIdx.x] = static_cast<float>(value);
}

template <bool Faulty>
__global__ void deadlock(void* out) {
  if (!Faulty || warp_index() == 0) sync_threads_of(1, kThreads);
  global<float>(out)[threadIdx.x] = 1;
}

template <bool Faulty>
__global__ void barrier_overflow(void* out) {
  SharedArena arena;
  const Shared<Barrier> barrier = arena.take<Barrier>(1);
  if (threadIdx.x == 0) {
    barrier_init(barrier, 1);
    fence_barrier_init();
    barrier_arrive_expect(barrier, Faulty ? 16 : 0);
    barrier_arrive(barrier);
  }
  sync_block();
  global<float>(out)[threadIdx.x] = 1;
}

template <bool Faulty>
__global__ void barrier_not_made(void* out) {
  SharedArena arena;
  const Shared<Barrier> barrier = arena.take<Barrier>(1);
  if (!Faulty && threadIdx.x == 0) barrier_init(barrier, 1);
  sync_block();
  barrier_wait(barrier, 1);
  global<float>(out)[threadIdx.x] = 1;
}

template <bool Faulty>
__global__ void missing_async_fence(const TensorMap map) {
  SharedArena arena;
  const Shared<float> box = arena.take<float>(kThreads, 128);
  box[threadIdx.x] = static_cast<float>(threadIdx.x);
  // Thread 0 fences what it wrote, not what the others did.
  if (!Faulty || threadIdx.x == 0) fence_async_shared();
  sync_block();
  if (threadIdx.x > 0) return;
  tensor_store(map, box, 0, 0);
  tensor_store_commit();
  tensor_store_wait_read<0>();
}

// ---- products
// ------------------------------------------------------------------------------------

constexpr int kSide = 64;  // of each matrix; the depth is twice that
constexpr int kDepth = 2 * kSide;

template <bool Faulty>
__global__ void misread_fragment(const void* a_pointer, const void* b_pointer, void* out) {
  SharedArena arena;
  const Shared<bfloat16> tile_a = arena.take<bfloat16>(16 * 16);
  const Shared<bfloat16> tile_b = arena.take<bfloat16>(8 * 16);
  const int lane = lane_index();
  for (int i = lane; i < 16 * 16; i += 32) {
    tile_a[i] = global<const bfloat16>(a_pointer)[i / 16 * kDepth + i % 16];
    if (i < 8 * 16) tile_b[i] = global<const bfloat16>(b_pointer)[i / 16 * kDepth + i % 16];
  }
  sync_warp();
  std::uint32_t a[4], b[2];
  load_matrix_x4(a, tile_a + (lane % 16 * 16 + lane / 16 * 8));
  // B lies by columns, as the product takes it: nothing is to be transposed.
  const Shared<bfloat16> row = tile_b + (lane % 8 * 16 + lane / 8 % 2 * 8);
  if (Faulty) {
    load_matrix_x2_transposed(b, row);
  } else {
    load_matrix_x2(b, row);
  }
  float d[4] = {};
  mma_m16n8k16<bfloat16>(d, a, b);
  for (int i = 0; i < 4; ++i) {
    global<float>(out)[(lane / 4 + 8 * (i / 2)) * 8 + 2 * (lane % 4) + i % 2] = d[i];
  }
}

enum class Fault {
  none,
  stage_freed_early,
  wrong_swizzle,
  missing_full_wait,
  missing_product_wait,
  products_never_waited_for
};

// A warp that copies and a warpgroup that multiplies meet at one stage, twice.
template <Fault fault>
__global__ void pipeline(const TensorMap map_a, const TensorMap map_b, void* out) {
  constexpr int kElements = kSide * kSide;
  SharedArena arena;
  const Shared<bfloat16> a = arena.take<bfloat16>(kElements, 1024);
  const Shared<bfloat16> b = arena.take<bfloat16>(kElements, 1024);
  const Shared<Barrier> full = arena.take<Barrier>(1);
  const Shared<Barrier> empty = arena.take<Barrier>(1);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    barrier_init(full, 1);
    barrier_init(empty, 1);
    fence_barrier_init();
  }
  sync_block();
  if (thread >= 128) {
    for (int step = 0; step < 2 && thread == 128; ++step) {
      barrier_wait(empty, step ^ 1);
      barrier_arrive_expect(full, 2 * kElements * static_cast<int>(sizeof(bfloat16)));
      tensor_load(a, map_a, full, step * kSide, 0);
      tensor_load(b, map_b, full, step * kSide, 0);
    }
    return;
  }
  constexpr Swizzle kSwizzle = fault == Fault::wrong_swizzle ? Swizzle::bytes64 : Swizzle::bytes128;
  float d[kSide / 2];
  for (int step = 0; step < 2; ++step) {
    if (fault != Fault::missing_full_wait) barrier_wait(full, step);
    const std::uint64_t tile_a = matrix_descriptor(a, kSwizzle, 1024, 16);
    const std::uint64_t tile_b = matrix_descriptor(b, kSwizzle, 1024, 16);
    warpgroup_fence();
    for (int i = 0; i < 4; ++i) {
      wgmma_k16<bfloat16, kSide, Major::depth, Major::depth>(
          d, advance_descriptor(tile_a, 32 * i), advance_descriptor(tile_b, 32 * i), step + i > 0);
    }
    warpgroup_commit();
    if (fault == Fault::stage_freed_early && thread == 0) barrier_arrive(empty);
    if (step == 0 || fault != Fault::products_never_waited_for) {
      if (step == 0 || fault != Fault::missing_product_wait) warpgroup_wait<0>();
    }
    pin_registers(d);
    if (fault != Fault::stage_freed_early && thread == 0) barrier_arrive(empty);
  }
  for (int i = 0; i < kSide / 2; ++i) {
    const int row = 16 * (thread / 32) + thread % 32 / 4 + 8 * (i / 2 % 2);
    global<float>(out)[row * kSide + 8 * (i / 4) + 2 * (thread % 4) + i % 2] = d[i];
  }
  if (fault == Fault::missing_product_wait) warpgroup_wait<0>();
}

// ---- on the host
// ---------------------------------------------------------------------------------

std::vector<float> floats_of(const Workspace& memory, int count) {
  const float* const values = memory.as<float>();
  return {values, values + count};
}

template <auto Good, auto Bad>
std::vector<float> run_simple(bool is_faulty) {
  Workspace out(kThreads * sizeof(float));
  fill_bytes(out.as<float>(), 0, kThreads * sizeof(float));
  const LaunchShape shape{1, kThreads, kThreads * sizeof(float)};
  if (is_faulty) {
    launch<Bad>(shape, out.as<void>());
  } else {
    launch<Good>(shape, out.as<void>());
  }
  return floats_of(out, kThreads);
}

std::vector<float> run_host_pointer(bool is_faulty) {
  Workspace out(kThreads * sizeof(float)), given(sizeof(float));
  *given.as<float>() = 1;
  const float on_host = 1;
  launch<host_pointer<false>>({1, kThreads}, out.as<void>(),
                              is_faulty ? &on_host : given.as<const float>());
  return floats_of(out, kThreads);
}

std::vector<float> run_missing_async_fence(bool is_faulty) {
  Workspace out(kThreads * sizeof(float));
  TensorShape tensor{DType::float32, 2, {kThreads, 1}, {1, kThreads}, {kThreads, 1}, Swizzle::none};
  const TensorMap map = make_tensor_map(out.as<void>(), tensor);
  const LaunchShape shape{1, kThreads, kThreads * sizeof(float)};
  if (is_faulty) {
    launch<missing_async_fence<true>>(shape, map);
  } else {
    launch<missing_async_fence<false>>(shape, map);
  }
  return floats_of(out, kThreads);
}

// Of small whole numbers, so that products are exact.
void fill_operands(bfloat16* a, bfloat16* b) {
  for (int row = 0; row < kSide; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      a[row * kDepth + k] = bfloat16(static_cast<float>((7 * row + 3 * k) % 13 - 6));
      b[row * kDepth + k] = bfloat16(static_cast<float>((5 * row + 11 * k) % 17 - 8));
    }
  }
}

struct Matrices {
  Workspace a{kSide * kDepth * sizeof(bfloat16)};
  Workspace b{kSide * kDepth * sizeof(bfloat16)};
  Workspace out{kSide * kSide * sizeof(float)};
  Matrices() { fill_operands(a.as<bfloat16>(), b.as<bfloat16>()); }
};

std::vector<float> run_misread_fragment(bool is_faulty) {
  Matrices on;
  const LaunchShape shape{1, 32, 1024};
  if (is_faulty) {
    launch<misread_fragment<true>>(shape, on.a.as<void>(), on.b.as<void>(), on.out.as<void>());
  } else {
    launch<misread_fragment<false>>(shape, on.a.as<void>(), on.b.as<void>(), on.out.as<void>());
  }
  return floats_of(on.out, 16 * 8);
}

template <Fault fault>
void run_pipeline_with(const Matrices& on) {
  const TensorShape tensor{DType::bfloat16,  2, {kDepth, kSide}, {1, kDepth}, {kSide, kSide},
                           Swizzle::bytes128};
  const LaunchShape shape{1, 160, 2 * kSide * kSide * sizeof(bfloat16) + 32};
  launch<pipeline<fault>>(shape, make_tensor_map(on.a.as<void>(), tensor),
                          make_tensor_map(on.b.as<void>(), tensor), on.out.as<void>());
}

template <Fault fault>
std::vector<float> run_pipeline(bool is_faulty) {
  const Matrices on;
  if (is_faulty) {
    run_pipeline_with<fault>(on);
  } else {
    run_pipeline_with<Fault::none>(on);
  }
  return floats_of(on.out, kSide * kSide);
}

struct Experiment {
  const char* name;
  std::vector<float> (*run)(bool is_faulty);
};

#define GS_SIMPLE(name) {#name, &run_simple<&name<false>, &name<true>>}
#define GS_PIPELINE(name) {#name, &run_pipeline<Fault::name>}
constexpr Experiment kExperiments[] = {
    GS_SIMPLE(missing_barrier),
    GS_SIMPLE(write_race),
    GS_SIMPLE(missing_word),
    GS_SIMPLE(missing_copy_wait),
    GS_SIMPLE(copy_never_waited_for),
    GS_SIMPLE(global_out_of_bounds),
    GS_SIMPLE(shared_out_of_bounds),
    GS_SIMPLE(arena_too_small),
    GS_SIMPLE(misaligned_pack),
    GS_SIMPLE(diverged_collective),
    GS_SIMPLE(deadlock),
    GS_SIMPLE(barrier_overflow),
    GS_SIMPLE(barrier_not_made),
    {"host_pointer", &run_host_pointer},
    {"missing_async_fence", &run_missing_async_fence},
    {"misread_fragment", &run_misread_fragment},
    GS_PIPELINE(stage_freed_early),
    GS_PIPELINE(wrong_swizzle),
    GS_PIPELINE(missing_full_wait),
    GS_PIPELINE(missing_product_wait),
    GS_PIPELINE(products_never_waited_for),
};
#undef GS_SIMPLE
#undef GS_PIPELINE

}  // namespace
}  // namespace gradsmith::cuda

namespace gradsmith::cudasim {

std::vector<std::string> fault_names() {
  std::vector<std::string> names;
  for (const cuda::Experiment& experiment : cuda::kExperiments) names.push_back(experiment.name);
  return names;
}

std::vector<float> run_fault(const std::string& name, bool is_faulty) {
  for (const cuda::Experiment& experiment : cuda::kExperiments) {
    if (name == experiment.name) return experiment.run(is_faulty);
  }
  throw ValueError(concatenate("run_fault: unknown fault '", name, "'"));
}

}  // namespace gradsmith::cudasim
