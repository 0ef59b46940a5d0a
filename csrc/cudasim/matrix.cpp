// SPDX-License-Identifier: Apache-2.0
#pragma GCC diagnostic ignored "-Wshadow"
#include "cudasim/matrix.h"

#include <cstring>

#include "cudasim/context.h"

namespace gradsmith::cudasim {
namespace {

constexpr int kRowBytes = 16;  // of a matrix that ldmatrix loads
constexpr int kRows = 8;

struct MatrixLoad {
  std::uint32_t* r;
  const char* row;
};

void count_load(MatrixLoad** lanes, int matrices, Group* group) {
  std::vector<std::uint64_t> addresses;
  for (int lane = 0; lane < kRows * matrices; ++lane) {
    addresses.push_back(reinterpret_cast<std::uint64_t>(lanes[lane]->row));
  }
  WarpTraffic::note_warp(Space::shared, std::move(addresses), kRowBytes, &group->counters);
}

std::uint32_t element_pair(MatrixLoad** rows, int lane, bool transposed) {
  const int quad = lane / 4, within = lane % 4;
  std::uint32_t pair;
  if (!transposed) {
    std::memcpy(&pair, rows[quad]->row + within * 4, 4);
    return pair;
  }
  std::uint16_t elements[2];
  for (int i = 0; i < 2; ++i) std::memcpy(&elements[i], rows[2 * within + i]->row + 2 * quad, 2);
  return elements[0] | static_cast<std::uint32_t>(elements[1]) << 16;
}

// A product of a warp: M x K by K x 8 on D of M x 8, each lane with two columns of each eighth row.
template <class T, int M, int K>
struct Product {
  T a[M][K], b[K][8], d[M][8];

  void multiply() {
    for (int row = 0; row < M; ++row) {
      for (int depth = 0; depth < K; ++depth) {
        for (int column = 0; column < 8; ++column) {
          d[row][column] += a[row][depth] * b[depth][column];
        }
      }
    }
  }
  void gather(int lane, const T* from) {
    visit(lane, [&](int i, T* at) { *at = from[i]; });
  }
  void scatter(int lane, T* to) {
    visit(lane, [&](int i, const T* at) { to[i] = *at; });
  }

 private:
  template <class Use>
  void visit(int lane, const Use& use) {
    for (int i = 0; i < M / 4; ++i) use(i, &d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2]);
  }
};

float tf32(std::uint32_t bits) { return __builtin_bit_cast(float, bits & 0xffffe000u); }

template <class Product, class Operand, class Read>
void fill_m16n8k8(Product* product, int g, int t, const Operand* a, const Operand* b,
                  const Read& read) {
  for (int i = 0; i < 4; ++i) product->a[g + 8 * (i % 2)][t + 4 * (i / 2)] = read(a[i]);
  for (int i = 0; i < 2; ++i) product->b[t + 4 * i][g] = read(b[i]);
}

template <class T, class Operand>
struct Part {
  T* d;
  const Operand* a;
  const Operand* b;
};

// `fill` puts a lane's operands into the product.
template <int M, int K, class T, class Operand, class Fill>
void multiply(T* d, const Operand* a, const Operand* b, const char* name, const Fill& fill) {
  Part<T, Operand> part{d, a, b};
  Group& group = this_group();
  warp_collective(&part, name, [&](Part<T, Operand>** lanes) {
    ++group.counters.matrix_instructions;
    Product<T, M, K> product;
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      fill(&product, lane / 4, lane % 4, lanes[lane]->a, lanes[lane]->b);
      product.gather(lane, lanes[lane]->d);
    }
    product.multiply();
    for (int lane = 0; lane < kWarpLanes; ++lane) product.scatter(lane, lanes[lane]->d);
  });
}

}  // namespace

void load_matrix(std::uint32_t* r, const void* row, int matrices, bool transposed) {
  MatrixLoad load{r, static_cast<const char*>(row)};
  Group& group = this_group();
  warp_collective(
      &load, transposed ? "load_matrix_transposed" : "load_matrix", [&](MatrixLoad** lanes) {
        if (is_counting()) count_load(lanes, matrices, &group);
        for (int matrix = 0; matrix < matrices; ++matrix) {
          for (int lane = 0; lane < kWarpLanes; ++lane) {
            lanes[lane]->r[matrix] = element_pair(lanes + kRows * matrix, lane, transposed);
          }
        }
      });
}

void mma_m16n8k16(DType dtype, float* d, const std::uint32_t* a, const std::uint32_t* b) {
  multiply<16, 16>(
      d, a, b, "mma_m16n8k16",
      [&](auto* product, int g, int t, const std::uint32_t* x, const std::uint32_t* y) {
        const auto low = [&](std::uint32_t pair) { return reduced_element(dtype, pair & 0xffffu); };
        const auto high = [&](std::uint32_t pair) { return reduced_element(dtype, pair >> 16); };
        for (int i = 0; i < 4; ++i) {
          float* const at = &product->a[g + 8 * (i % 2)][2 * t + 8 * (i / 2)];
          at[0] = low(x[i]);
          at[1] = high(x[i]);
        }
        for (int i = 0; i < 2; ++i) {
          product->b[2 * t + 8 * i][g] = low(y[i]);
          product->b[2 * t + 8 * i + 1][g] = high(y[i]);
        }
      });
}

void mma_m16n8k8_tf32(float* d, const std::uint32_t* a, const std::uint32_t* b) {
  multiply<16, 8>(d, a, b, "mma_m16n8k8_tf32",
                  [](auto* product, int g, int t, const std::uint32_t* x, const std::uint32_t* y) {
                    fill_m16n8k8(product, g, t, x, y, tf32);
                  });
}

void mma_m16n8k8_double(double* d, const double* a, const double* b) {
  multiply<16, 8>(d, a, b, "mma_m16n8k8",
                  [](auto* product, int g, int t, const double* x, const double* y) {
                    fill_m16n8k8(product, g, t, x, y, [](double element) { return element; });
                  });
}

}  // namespace gradsmith::cudasim
