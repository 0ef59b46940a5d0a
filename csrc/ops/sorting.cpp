// SPDX-License-Identifier: Apache-2.0
#include "ops/sorting.h"

#include "core/error.h"

namespace gradsmith {
namespace {

SortParams rows_along(const char* op, const Array& x, std::int64_t axis) {
  const int along = checked_axis(op, axis, x.ndim());
  SortParams p{};
  p.dtype = x.dtype;
  p.x = x.data;
  p.size = x.ndim() == 0 ? 1 : x.size(along);
  p.stride = x.ndim() == 0 ? 1 : x.stride[along];
  p.rows = p.inner = 1;
  for (int d = 0; d < x.ndim(); ++d) {
    if (d == along) continue;
    append_merged(x.size(d), x.stride[d], &p.row_ndim, p.row_shape, p.row_stride);
    p.rows *= x.size(d);
    if (d > along) p.inner *= x.size(d);
  }
  return p;
}

void take_ranks(const Array& x, std::int64_t axis, std::int64_t first, std::int64_t count,
                SortParams* p, Shape* shape) {
  p->first = first;
  p->count = count;
  *shape = x.shape;
  if (x.ndim() > 0) (*shape)[checked_axis("sort", axis, x.ndim())] = count;
}

}  // namespace

SortParams sort_params(const Array& x, std::int64_t axis, std::int64_t first, std::int64_t count,
                       bool is_descending, Shape* shape) {
  SortParams p = rows_along("sort", x, axis);
  GS_CHECK(first >= 0 && count >= 0 && count <= p.size && first <= p.size - count, "sort: ranks ",
           first, " to ", first + count, ", expected some of 0 to ", p.size);
  p.ranks = SortRanks::given;
  p.is_descending = is_descending;
  take_ranks(x, axis, first, count, &p, shape);
  return p;
}

SortParams median_params(const char* op, const Array& x, std::int64_t axis, SortRanks ranks,
                         Shape* shape) {
  SortParams p = rows_along(op, x, axis);
  GS_CHECK(p.size > 0, op, ": dim ", axis, " of shape ", to_string(x.shape), " has no element");
  p.ranks = ranks;
  take_ranks(x, axis, 0, 1, &p, shape);
  return p;
}

std::string problem(const SortParams& p) {
  constexpr const char* kRanks[] = {"", " median", " nanmedian"};
  return std::string(name_of(p.dtype)) + " rows" + std::to_string(p.rows) + " size" +
         std::to_string(p.size) + " first" + std::to_string(p.first) + " count" +
         std::to_string(p.count) + kRanks[static_cast<int>(p.ranks)] +
         (p.is_descending ? " descending" : "");
}

}  // namespace gradsmith
