// SPDX-License-Identifier: Apache-2.0
#include "cudasim/warpgroup_matrix.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "cudasim/access.h"
#include "cudasim/async_view.h"
#include "cudasim/matrix.h"
#include "cudasim/tensor_copy.h"

namespace gradsmith::cudasim {
namespace {

constexpr int kRows = 64;  // of D
constexpr int kMaxColumns = 256;
constexpr int kMaxDepth = 16;

// What a descriptor says, as the device decodes it.
struct Tile {
  std::uint32_t start, leading_bytes, stride_bytes;
  cuda::Swizzle swizzle;

  explicit Tile(std::uint64_t descriptor)
      : start(field(descriptor)),
        leading_bytes(field(descriptor >> 16)),
        stride_bytes(field(descriptor >> 32)),
        swizzle(kKinds[descriptor >> 62]) {}

  // Of an element in a tile whose neighbours along the depth, or along the other side, are
  // adjacent.
  std::uint32_t place(int outer, int depth, int element_bytes, bool by_depth) const {
    const int row_bytes = cuda::swizzle_bytes(swizzle);
    std::uint32_t offset;
    if (by_depth) {
      offset = static_cast<std::uint32_t>(outer / 8) * stride_bytes +
               static_cast<std::uint32_t>(outer % 8 * row_bytes + depth * element_bytes);
    } else {
      const int piece = row_bytes / element_bytes;
      offset = static_cast<std::uint32_t>(outer / piece) * leading_bytes +
               static_cast<std::uint32_t>(depth / 8) * stride_bytes +
               static_cast<std::uint32_t>(depth % 8 * row_bytes + outer % piece * element_bytes);
    }
    return swizzled(start + offset, swizzle);
  }

 private:
  static constexpr cuda::Swizzle kKinds[4] = {cuda::Swizzle::none, cuda::Swizzle::bytes128,
                                              cuda::Swizzle::bytes64, cuda::Swizzle::bytes32};
  static std::uint32_t field(std::uint64_t bits) {
    return static_cast<std::uint32_t>(bits & 0x3fff) << 4;
  }
};

float tf32(std::uint32_t bits) { return __builtin_bit_cast(float, bits & 0xffffe000u); }

// Reads elements of tiles, which must lie in the block's memory and have been fenced.
class Reader {
 public:
  Reader(const Block& block, DType dtype) : block_(block), dtype_(dtype) {}

  float operator()(const Tile& tile, int outer, int depth, bool by_depth) const {
    const auto bytes = static_cast<int>(size_of(dtype_));
    const std::uint32_t offset = tile.place(outer, depth, bytes, by_depth);
    const char* const place = block_.shared + offset;
    if (offset + static_cast<std::uint32_t>(bytes) > block_.shared_bytes) {
      fail_shared(place, static_cast<std::size_t>(bytes));
    }
    std::uint32_t bits = 0, seen = 0;
    std::memcpy(&bits, place, static_cast<std::size_t>(bytes));
    std::memcpy(&seen, block_.async_view.data() + offset, static_cast<std::size_t>(bytes));
    if (bits != seen) check_seen(block_, place, static_cast<std::size_t>(bytes));
    return dtype_ == DType::float32 ? tf32(bits) : reduced_element(dtype_, bits);
  }

 private:
  const Block& block_;
  DType dtype_;
};

// One product on its way: the parts of all threads.
struct Issued {
  WarpGroupProduct what;
  std::array<float*, kWarpGroupThreads> d;
  std::array<std::array<std::uint32_t, 4>, kWarpGroupThreads> a;
};

struct Operands {
  float a[kRows][kMaxDepth];
  float b[kMaxDepth][kMaxColumns];
  float d[kRows][kMaxColumns];
};

// use(element of D, the thread that holds it, its number there)
template <class Use>
void for_each_of_d(Operands* operands, int columns, const Use& use) {
  for (int thread = 0; thread < kWarpGroupThreads; ++thread) {
    const int warp = thread / kWarpLanes, lane = thread % kWarpLanes;
    for (int i = 0; i < columns / 2; ++i) {
      const int row = 16 * warp + lane / 4 + 8 * (i / 2 % 2);
      const int column = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
      use(&operands->d[row][column], thread, i);
    }
  }
}

void read_a_registers(const Issued& issued, Operands* operands) {
  for (int thread = 0; thread < kWarpGroupThreads; ++thread) {
    const int warp = thread / kWarpLanes, lane = thread % kWarpLanes;
    for (int i = 0; i < 4; ++i) {
      float* const at =
          &operands->a[16 * warp + lane / 4 + 8 * (i % 2)][2 * (lane % 4) + 8 * (i / 2)];
      const std::uint32_t pair =
          issued.a[static_cast<std::size_t>(thread)][static_cast<std::size_t>(i)];
      at[0] = reduced_element(issued.what.dtype, pair & 0xffffu);
      at[1] = reduced_element(issued.what.dtype, pair >> 16);
    }
  }
}

void multiply(const Block& block, const Issued& issued) {
  const WarpGroupProduct& what = issued.what;
  const int depth = what.dtype == DType::float32 ? 8 : 16;
  const Reader read(block, what.dtype);
  const auto operands = std::make_unique<Operands>();
  const Tile a(what.a), b(what.b);
  if (what.a_registers != nullptr) {
    read_a_registers(issued, operands.get());
  } else {
    for (int row = 0; row < kRows; ++row) {
      for (int k = 0; k < depth; ++k) operands->a[row][k] = read(a, row, k, what.a_by_depth);
    }
  }
  for (int k = 0; k < depth; ++k) {
    for (int n = 0; n < what.columns; ++n) operands->b[k][n] = read(b, n, k, what.b_by_depth);
  }
  for_each_of_d(operands.get(), what.columns, [&](float* at, int thread, int i) {
    *at = what.accumulate ? issued.d[static_cast<std::size_t>(thread)][i] : 0.0f;
  });
  for (int row = 0; row < kRows; ++row) {
    for (int k = 0; k < depth; ++k) {
      const float value = operands->a[row][k];
      for (int n = 0; n < what.columns; ++n) operands->d[row][n] += value * operands->b[k][n];
    }
  }
  for_each_of_d(operands.get(), what.columns, [&](const float* at, int thread, int i) {
    issued.d[static_cast<std::size_t>(thread)][i] = *at;
  });
}

WarpGroup& this_warp_group() {
  return this_block().warp_groups[this_thread().number / kWarpGroupThreads];
}

void run_oldest(WarpGroup* group) {
  for (const PendingCopy& product : group->groups.front()) product();
  group->groups.pop_front();
}

template <class Act>
void whole_warp_group(const char* operation, const Act& act) {
  if (this_thread().number / kWarpGroupThreads * kWarpGroupThreads + kWarpGroupThreads >
      static_cast<int>(this_block().threads.size())) {
    fail(std::string(operation) + " in a block without a whole warpgroup there");
  }
  int nothing = 0;
  warp_group_collective(&nothing, operation, [&](int**) { act(); });
}

bool have_same_operands(const WarpGroupProduct& x, const WarpGroupProduct& y) {
  return x.a == y.a && x.b == y.b && x.accumulate == y.accumulate;
}

}  // namespace

void multiply_warp_group(const WarpGroupProduct& product) {
  WarpGroup& group = this_warp_group();
  Block& block = this_block();
  keep_async_view(&block);
  WarpGroupProduct mine = product;
  warp_group_collective(&mine, "a warpgroup's product", [&](WarpGroupProduct** threads) {
    ++block.group->counters.matrix_instructions;
    auto issued = std::make_shared<Issued>();
    issued->what = mine;
    for (std::size_t i = 0; i < kWarpGroupThreads; ++i) {
      if (!have_same_operands(*threads[i], mine)) {
        fail("multiplies by other descriptors than the rest of its warpgroup");
      }
      issued->d[i] = threads[i]->d;
      if (mine.a_registers != nullptr)
        std::copy_n(threads[i]->a_registers, 4, issued->a[i].begin());
    }
    group.open.push_back([issued, &block] { multiply(block, *issued); });
  });
}

void fence_warp_group() {
  whole_warp_group("warpgroup_fence", [] {});
}

void commit_products() {
  WarpGroup& group = this_warp_group();
  whole_warp_group("warpgroup_commit", [&] {
    group.groups.push_back(std::move(group.open));
    group.open.clear();
    Group& all = this_group();
    constexpr std::uint64_t kEarlyIn = 3;
    if (all.schedule != Schedule::random || all.random() % kEarlyIn != 0) return;
    while (!group.groups.empty()) run_oldest(&group);
  });
}

void wait_for_products(int pending_groups) {
  WarpGroup& group = this_warp_group();
  whole_warp_group("warpgroup_wait", [&] {
    while (group.groups.size() > static_cast<std::size_t>(pending_groups)) run_oldest(&group);
  });
}

void change_registers(int registers) {
  if (registers < 24 || registers > 256 || registers % 8 != 0) {
    fail(concatenate("asks for ", registers, " registers"));
  }
  whole_warp_group("set_max_registers", [] {});
}

void store_matrix(void* row, const std::uint32_t* r) {
  struct Part {
    char* row;
    const std::uint32_t* r;
  } part{static_cast<char*>(row), r};
  Group& group = this_group();
  warp_collective(&part, "store_matrix", [&](Part** lanes) {
    if (is_counting()) {
      std::vector<std::uint64_t> addresses;
      for (int lane = 0; lane < kWarpLanes; ++lane) {
        addresses.push_back(reinterpret_cast<std::uint64_t>(lanes[lane]->row));
      }
      WarpTraffic::note_warp(Space::shared, std::move(addresses), 16, &group.counters);
    }
    for (int matrix = 0; matrix < 4; ++matrix) {
      for (int lane = 0; lane < kWarpLanes; ++lane) {
        std::memcpy(lanes[8 * matrix + lane / 4]->row + lane % 4 * 4, &lanes[lane]->r[matrix], 4);
      }
    }
  });
}

}  // namespace gradsmith::cudasim
