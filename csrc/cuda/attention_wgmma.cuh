// SPDX-License-Identifier: Apache-2.0
// What attention on Hopper's warpgroup products is made of. Rows of heads come by the copy engine,
// as panels of 64 features, 128 bytes a row, swizzled; features and rows beyond the last are zeros.
// A warpgroup has 64 rows of its own side. It multiplies them with a tile of the other side's rows,
// both along the features, and makes weights of the products; as these lie in its registers they
// are, packed in pairs, the operand A of a product with the same rows or others of that side, now
// read across: one panel in shared memory serves both directions.
//
// The kernels are persistent, a block per multiprocessor. One thread of a block asks the copy
// engine for the tiles ahead, in rings of stages; the other threads of its warpgroup hand their
// registers to those that multiply.
#pragma once

#include <limits>

#include "cuda/attention_mma.cuh"
#include "cuda/wgmma_parts.cuh"

namespace gradsmith::cuda {
namespace {

using wgmma::kEightRows;
using wgmma::kGroupRows;
using wgmma::kGroupThreads;
using wgmma::kPanel;
using wgmma::kPanelColumns;
using wgmma::Ring;

// ---- where heads lie ----------------------------------------------------------------------------

// The copy engine knows heads by two numbers, of which the first counts to `inner`.
struct HeadSplit {
  int inner;
};

// Elements of rows of a panel, and bytes.
constexpr int panel_elements(int rows) { return rows * kPanelColumns; }
constexpr int panel_bytes(int rows) { return panel_elements(rows) * wgmma::kElementBytes; }

// Rows of a head as panels, one behind the other.
template <int kRows, int kPanels, class T>
__device__ inline void load_rows(Shared<T> to, const TensorMap& map, Shared<Barrier> barrier,
                                 const HeadSplit& heads, int head, int first_row) {
#pragma unroll
  for (int i = 0; i < kPanels; ++i) {
    tensor_load(to + i * panel_elements(kRows), map, barrier, i * kPanelColumns, first_row,
                head % heads.inner, head / heads.inner);
  }
}

// The warpgroup's number among those that multiply. By way of a lane the compiler knows that it is
// the same for the warp, and keeps what hangs on it, descriptors above all, in uniform registers.
__device__ __forceinline__ int multiplying_group() {
  return shuffle(static_cast<int>(threadIdx.x) / kGroupThreads, 0) - 1;
}

// ---- products -----------------------------------------------------------------------------------

// Starts products = 64 own rows . kOther rows of the other side, along the features.
template <class T, int kPanels, int kOther>
__device__ inline void start_products(float (&products)[kOther / 2], Shared<T> own,
                                      Shared<T> other) {
  const std::uint64_t a = matrix_descriptor(own, Swizzle::bytes128, kEightRows, 16);
  const std::uint64_t b = matrix_descriptor(other, Swizzle::bytes128, kEightRows, 16);
  constexpr int kStepBytes = wgmma::kProductDepth * wgmma::kElementBytes;
  constexpr int kSteps = kPanelColumns / wgmma::kProductDepth;
#pragma unroll
  for (int i = 0; i < kPanels * kSteps; ++i) {
    const int panel = i / kSteps, step = i % kSteps * kStepBytes;
    wgmma_k16<T, kOther, Major::depth, Major::depth>(
        products, advance_descriptor(a, panel * panel_bytes(kGroupRows) + step),
        advance_descriptor(b, panel * panel_bytes(kOther) + step), i > 0);
  }
}

// Numbers of 64 rows and kOther columns, as operands A of products along the columns.
template <int kOther>
using PackedRows = std::uint32_t[kOther / wgmma::kProductDepth][4];

template <class T, int kOther>
__device__ inline void pack_rows(PackedRows<kOther>& packed, const float (&numbers)[kOther / 2]) {
#pragma unroll
  for (int i = 0; i < kOther / 4; ++i) {
    packed[i / 4][i % 4] = pack_pair<T>(numbers[2 * i], numbers[2 * i + 1]);
  }
}

// Starts sums = weights . kOther rows of the other side, plus the sums themselves if `accumulate`.
template <class T, int kPanels, int kOther>
__device__ inline void start_sums(float (&sums)[kPanels * kPanelColumns / 2],
                                  const PackedRows<kOther>& weights, Shared<T> other,
                                  bool accumulate) {
  const std::uint64_t b =
      matrix_descriptor(other, Swizzle::bytes128, kEightRows, panel_bytes(kOther));
#pragma unroll
  for (int i = 0; i < kOther / wgmma::kProductDepth; ++i) {
    wgmma_k16<T, kPanels * kPanelColumns, Major::outer>(
        sums, weights[i], advance_descriptor(b, i * wgmma::kProductDepth / 8 * kEightRows),
        accumulate || i > 0);
  }
}

// Scores of keys that a query may not see become -inf. The lane's first element is at `row` and
// `column`; `end` is the first key that none may see.
template <int kScores>
__device__ inline void hide_scores(float (&scores)[kScores], bool causal, int row, int column,
                                   int end) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int last = causal && row + 8 * half + 1 < end ? row + 8 * half + 1 : end;
    const int visible = last - column;
#pragma unroll
    for (int i = 0; i < kScores / 2; ++i) {
      const int at = i / 2 * 4 + 2 * half + i % 2;
      if (8 * (at / 4) + at % 2 >= visible) scores[at] = -infinity<float>();
    }
  }
}

// Writes 64 rows to a result, through panels of shared memory that only the warpgroup uses. Its
// leader, one thread, has the copy engine copy what lies inside.
template <class T, int kPanels>
__device__ inline void store_rows_of_group(const float (&sums)[kPanels * kPanelColumns / 2],
                                           Shared<T> panels, const TensorMap& map,
                                           const HeadSplit& heads, int head, int first_row,
                                           int group, bool is_leader) {
  constexpr int kPerPanel = kPanelColumns / 2;
  if (is_leader) tensor_store_wait_read<0>();  // of the rows before
  sync_threads_of(1 + group, kGroupThreads);
#pragma unroll
  for (int panel = 0; panel < kPanels; ++panel) {
    float values[kPerPanel];
#pragma unroll
    for (int i = 0; i < kPerPanel; ++i) values[i] = sums[panel * kPerPanel + i];
    wgmma::write_panel(panels + panel * kPanel, values, warp_index() % 4);
  }
  fence_async_shared();
  sync_threads_of(1 + group, kGroupThreads);
  if (!is_leader) return;
#pragma unroll
  for (int panel = 0; panel < kPanels; ++panel) {
    tensor_store(map, panels + panel * kPanel, panel * kPanelColumns, first_row, head % heads.inner,
                 head / heads.inner);
  }
  tensor_store_commit();
}

// ---- the order of the work ----------------------------------------------------------------------

// Tiles of rows of all heads, head by head, so that tiles in flight share the other side. Causal
// tiles are of different lengths: those of as many heads as share L2 come together, the longest
// first.
struct AttentionWork {
  int blocks;  // tiles of a head
  int heads, heads_together;
  bool last_first;

  __device__ inline unsigned count() const {
    return static_cast<unsigned>(blocks) * static_cast<unsigned>(heads);
  }
};

// A multiprocessor's share, forth and back through the order, so that shares are alike.
class AttentionSchedule {
 public:
  explicit __device__ AttentionSchedule(const AttentionWork& work) : work_(work) { place(); }

  __device__ inline bool has_tile() const { return tile_ < work_.count(); }
  __device__ inline void advance() {
    ++round_;
    place();
  }
  __device__ inline int head() const { return head_; }
  __device__ inline int block() const { return block_; }

 private:
  __device__ inline void place() {
    tile_ = round_ * gridDim.x + (round_ % 2 == 0 ? blockIdx.x : gridDim.x - 1 - blockIdx.x);
    if (!has_tile()) return;
    const unsigned together = static_cast<unsigned>(work_.heads_together);
    const unsigned section = tile_ / (together * static_cast<unsigned>(work_.blocks));
    const unsigned in_section = tile_ - section * together * static_cast<unsigned>(work_.blocks);
    const unsigned left = static_cast<unsigned>(work_.heads) - section * together;
    const unsigned width = left < together ? left : together;
    head_ = static_cast<int>(section * together + in_section % width);
    const int block = static_cast<int>(in_section / width);
    block_ = work_.last_first ? work_.blocks - 1 - block : block;
  }

  const AttentionWork& work_;
  unsigned round_ = 0, tile_ = 0;
  int head_ = 0, block_ = 0;
};

// ---- launchers ----------------------------------------------------------------------------------

// Heads by at most two numbers; the batch dimensions that make one progression are one.
struct HeadFold {
  int ndim = 0;
  std::int64_t size[2] = {1, 1}, stride[2] = {0, 0};  // innermost first
  bool is_possible = true;

  explicit HeadFold(const HeadBatch& heads) {
    for (int d = heads.ndim - 1; d >= 0; --d) {
      if (heads.size[d] == 1) continue;
      if (ndim > 0 && heads.stride[d] == stride[ndim - 1] * size[ndim - 1]) {
        size[ndim - 1] *= heads.size[d];
        continue;
      }
      if (ndim == 2 || heads.stride[d] <= 0) {
        is_possible = false;
        return;
      }
      size[ndim] = heads.size[d];
      stride[ndim++] = heads.stride[d];
    }
  }
};

inline HeadSplit split_of(const HeadMatrices& matrices) {
  return {static_cast<int>(HeadFold(matrices.heads).size[0])};
}

// Whether the copy engine reads or writes the rows in place.
inline bool can_be_copied(const HeadMatrices& matrices) {
  return has_aligned_rows(matrices) && matrices.row > 0 && HeadFold(matrices.heads).is_possible;
}

// `box_rows` rows of 64 features make up a copy.
inline TensorMap map_of(const HeadMatrices& matrices, const AttentionProblem& p, std::int64_t rows,
                        int box_rows) {
  const HeadFold heads(matrices.heads);
  TensorShape shape{};
  shape.dtype = p.dtype;
  shape.rank = 4;
  shape.swizzle = Swizzle::bytes128;
  shape.sizes[0] = p.features;
  shape.sizes[1] = rows;
  shape.strides[0] = 1;
  shape.strides[1] = matrices.row;
  for (int d = 0; d < 2; ++d) {
    shape.sizes[2 + d] = heads.size[d];
    // Of one head any stride will do.
    shape.strides[2 + d] = heads.size[d] > 1 ? heads.stride[d] : matrices.row;
    shape.box[2 + d] = 1;
  }
  shape.box[0] = kPanelColumns;
  shape.box[1] = box_rows;
  return make_tensor_map(matrices.data, shape);
}

// Problems that fill tiles, and whose numbers fit the copy engine's.
inline Support supports_wgmma(const AttentionProblem& p) {
  constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max() / 2;
  const Support support = supports_mma(p);
  if (support.reason != nullptr) return support;
  GS_NEEDS(p.mask_kind == AttentionMask::none);
  GS_NEEDS(p.queries >= kGroupRows && p.keys >= kGroupRows && p.batch > 0);
  GS_NEEDS(p.queries <= kLargest && p.keys <= kLargest);
  GS_NEEDS(p.batch * divide_up(larger(p.queries, p.keys), kGroupRows) <= kLargest);
  // The largest product is the largest score.
  GS_NEEDS(p.scale > 0);
  return {};
}

// `rows` are a head's, in tiles of `tile_rows`; `other_rows` are what each of them meets.
inline AttentionWork work_of(const AttentionProblem& p, std::int64_t heads, std::int64_t rows,
                             int tile_rows, std::int64_t other_rows, bool last_first) {
  const std::int64_t other_bytes = 2 * other_rows * p.features * size_of(p.dtype);
  const auto l2 = static_cast<std::int64_t>(device_facts().l2_bytes);
  const std::int64_t together = p.causal ? smaller(heads, larger(1, l2 / 2 / other_bytes)) : 1;
  return {static_cast<int>(divide_up(rows, tile_rows)), static_cast<int>(heads),
          static_cast<int>(together), last_first};
}

inline unsigned blocks_of(const AttentionWork& work) {
  const std::int64_t tiles = std::int64_t{work.blocks} * work.heads;
  return static_cast<unsigned>(smaller(tiles, device_facts().multiprocessors));
}

}  // namespace
}  // namespace gradsmith::cuda
