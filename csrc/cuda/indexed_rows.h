// SPDX-License-Identifier: Apache-2.0
// Whole slices by index, for index_get, index_put and index_add and for embeddings.
#pragma once

#include <memory>

#include "cuda/device.h"
#include "cuda/index_guard.h"
#include "cuda/index_sort.h"
#include "ops/indexing.h"

namespace gradsmith::cuda {

// IndexError if one is wrong; for problems without an element.
void check_indices(const IndexParams& p);

void get_rows(const IndexParams& p);

// Equal indices are brought together by a sort.
void put_sorted_rows(const IndexParams& p);
struct RowSums {
  DType target;          // of x; p.dtype is that of the rows
  bool overwrites;       // x, instead of adding to it
  bool averages;         // divides by the number of rows
  std::int64_t skipped;  // an index whose rows are left out; -1: none
};
void add_sorted_rows(const IndexParams& p, const RowSums& options);

// A thread per element of a slice takes the indices in their order.
void put_rows_in_order(const IndexParams& p);
void add_rows_in_order(const IndexParams& p);

// The targets of all indices as numbers from 0 on, sorted. Raises the guard's flags and closes it.
std::unique_ptr<IndexSort> sorted_targets(const IndexParams& p, IndexGuard* guard);

// Throws IndexError if the guard's flags are up.
void finish(const IndexParams& p, IndexGuard* guard);

}  // namespace gradsmith::cuda
