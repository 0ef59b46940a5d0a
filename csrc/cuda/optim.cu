// SPDX-License-Identifier: Apache-2.0
// Optimiser steps over all tensors of a group in one launch. The table of tensors goes by value, as
// a kernel's parameter: that costs no copy and no wait. Tensors are cut into chunks, one per block;
// a block finds its tensor by binary search over the blocks of those before. Elements are
// independent and read once, by wide accesses where a tensor's memory is aligned for them. The
// 16-bit types compute and keep their states in float. What depends on the step alone is worked out
// in double on the host; what happens to an element stands in ops/optim_updates.h.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/values.h"
#include "ops/op_table.h"
#include "ops/optim_updates.h"

namespace gradsmith::cuda {
namespace {

using namespace functors;

constexpr int kThreads = 256;
constexpr int kPacksPerThread = 4;  // so that a block's start costs little beside its work
constexpr std::size_t kPackBytes = 16;

template <class T>
constexpr std::int64_t kChunk = std::int64_t{kThreads} * kPackOf<T> * kPacksPerThread;

// A tensor, and the blocks that the table's tensors up to it take.
struct Entry {
  void* param;
  const void* grad;
  void* state[kMaxOptimStates];  // null: none
  double number[kUpdateNumbers];
  std::int64_t count;
  std::uint32_t block_end;
  bool is_packed;
};

// Of two sizes, for a kernel's parameters are copied at each launch: a network of a few layers fits
// into the first, what does not fit into the second takes more launches.
constexpr int kFewTensors = 48, kManyTensors = 224;

template <int kEntries>
struct Table {
  int count;
  Entry entries[kEntries];
};

// ---- kernel
// --------------------------------------------------------------------------------------

template <int N, class T, class Update, class S = compute_t<T>>
__device__ void update_elements(const Entry& entry, std::int64_t i, const Update& update,
                                const Penalty<S>& penalty, const OfTensor<S>& facts) {
  constexpr int kStates = Update::kStates;
  const Global<T> param_at = global<T>(entry.param) + i;
  Pack<T, N> param = load_pack<N>(param_at);
  const Pack<T, N> grad = load_pack<N>(global<const T>(entry.grad) + i);
  S state[kStates][N] = {};
#pragma unroll
  for (int s = 0; s < kStates; ++s) {
    if (facts.has_state[s]) load_values<S, N>(global<const S>(entry.state[s]) + i, state[s]);
  }
#pragma unroll
  for (int j = 0; j < N; ++j) {
    S own[kStates];
#pragma unroll
    for (int s = 0; s < kStates; ++s) own[s] = state[s][j];
    const S value = static_cast<S>(param[j]);
    const S gradient = penalty.gradient(static_cast<S>(grad[j]), value);
    param[j] = static_cast<T>(update(value, gradient, own, facts));
#pragma unroll
    for (int s = 0; s < kStates; ++s) state[s][j] = own[s];
  }
  store_pack(param_at, param);
#pragma unroll
  for (int s = 0; s < kStates; ++s) {
    if (facts.has_state[s]) store_values<S, N>(global<S>(entry.state[s]) + i, state[s]);
  }
}

template <class T, class Update, int kEntries, class S = compute_t<T>>
__global__ __launch_bounds__(kThreads) void step_tensors(
    const __grid_constant__ Table<kEntries> table, Update update, Penalty<S> penalty) {
  int low = 0, high = table.count - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (table.entries[middle].block_end > blockIdx.x) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  const Entry& entry = table.entries[low];
  const std::uint32_t first_block = low == 0 ? 0 : table.entries[low - 1].block_end;
  const std::int64_t begin = std::int64_t{blockIdx.x - first_block} * kChunk<T>;
  const std::int64_t end = smaller(begin + kChunk<T>, entry.count);
  OfTensor<S> facts;
#pragma unroll
  for (int s = 0; s < kMaxOptimStates; ++s) facts.has_state[s] = entry.state[s] != nullptr;
#pragma unroll
  for (int s = 0; s < kUpdateNumbers; ++s) facts.number[s] = static_cast<S>(entry.number[s]);
  std::int64_t rest = begin;
  if (entry.is_packed) {
    constexpr int kWidth = kPackOf<T>;
    rest = end - (end - begin) % kWidth;
    for (std::int64_t i = begin + threadIdx.x * kWidth; i < rest; i += kThreads * kWidth) {
      update_elements<kWidth, T>(entry, i, update, penalty, facts);
    }
  }
  for (std::int64_t i = rest + threadIdx.x; i < end; i += kThreads) {
    update_elements<1, T>(entry, i, update, penalty, facts);
  }
}

// ---- launchers
// -----------------------------------------------------------------------------------

// Gathers the tensors of one dtype, and launches whenever the table or the grid is full.
template <class T, template <class> class Update, class Params>
class Steps {
 public:
  using S = compute_t<T>;

  explicit Steps(const Params& p) : p_(p) { table_.count = 0; }

  void add(const OptimTensor& tensor) {
    constexpr std::int64_t kMostBlocks = std::int64_t{1} << 30;
    const std::int64_t blocks = divide_up(tensor.count, kChunk<T>);
    if (blocks == 0) return;
    if (table_.count == kManyTensors || blocks_ + blocks > kMostBlocks) flush();
    blocks_ += blocks;
    Entry& entry = table_.entries[table_.count++];
    entry = {tensor.param,
             tensor.grad,
             {},
             {},
             tensor.count,
             static_cast<std::uint32_t>(blocks_),
             is_aligned(tensor.param, kPackBytes) && is_aligned(tensor.grad, kPackBytes)};
    for (int s = 0; s < Update<S>::kStates; ++s) {
      entry.state[s] = tensor.state[s];
      entry.is_packed = entry.is_packed && is_aligned(tensor.state[s], kPackBytes);
    }
    Update<S>::set_numbers(p_, tensor, entry.number);
  }

  void flush() {
    if (table_.count == 0) return;
    table_.count <= kFewTensors ? launch_table<kFewTensors>() : launch_table<kManyTensors>();
    table_.count = 0;
    blocks_ = 0;
  }

 private:
  template <int kEntries>
  void launch_table() {
    Table<kEntries> table;
    table.count = table_.count;
    for (int i = 0; i < table.count; ++i) table.entries[i] = table_.entries[i];
    const Penalty<S> penalty(p_.maximize, Update<S>::penalty(p_));
    launch<step_tensors<T, Update<S>, kEntries>>({static_cast<unsigned>(blocks_), kThreads}, table,
                                                 Update<S>(p_), penalty);
  }

  const Params& p_;
  Table<kManyTensors> table_;
  std::int64_t blocks_ = 0;
};

template <template <class> class Update, class Params>
void run_steps(const Params& p) {
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16, DType::float64}) {
    visit_floating(dtype, [&](auto t) {
      Steps<decltype(t), Update, Params> steps(p);
      for (int i = 0; i < p.on.count; ++i) {
        if (p.on.tensors[i].dtype == dtype) steps.add(p.on.tensors[i]);
      }
      steps.flush();
    });
  }
}

}  // namespace

void fill_optim(OpTable& table) {
#define GS_STEP(name, Name)     \
  table.name##_step.push_front( \
      {"sm80:tensors", Isa::sm80, nullptr, run_steps<Name##Update, Name##Params>});
  GS_OPTIMISERS(GS_STEP)
#undef GS_STEP
}

}  // namespace gradsmith::cuda
