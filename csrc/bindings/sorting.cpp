// SPDX-License-Identifier: Apache-2.0
#include "ops/sorting.h"

#include "bindings/array.h"
#include "bindings/families.h"

namespace gradsmith::bindings {
namespace {

py::tuple run_sort(SortParams p, const Shape& shape) {
  py::object values = empty(shape, p.dtype);
  py::object places = empty(shape, DType::int64);
  p.values = view(values, "sort", "out").data;
  p.places = view(places, "sort", "out").as<std::int64_t>();
  run_released(table().sort, p, p.rows * p.size);
  return py::make_tuple(values, places);
}

py::tuple call_sort(py::handle x, std::int64_t dim, std::int64_t first, std::int64_t count,
                    bool descending) {
  Shape shape;
  const SortParams p = sort_params(view(x, "sort", "input"), dim, first, count, descending, &shape);
  return run_sort(p, shape);
}

py::tuple call_median(py::handle x, std::int64_t dim, bool ignores_nan) {
  const char* op = ignores_nan ? "nanmedian" : "median";
  const SortRanks ranks = ignores_nan ? SortRanks::nanmedian : SortRanks::median;
  Shape shape;
  const SortParams p = median_params(op, view(x, op, "input"), dim, ranks, &shape);
  return run_sort(p, shape);
}

}  // namespace

void bind_sorting(py::module_& m) {
  m.def("sort", &call_sort, py::arg("x"), py::arg("dim"), py::arg("first"), py::arg("count"),
        py::arg("descending"));
  m.def("median", &call_median, py::arg("x"), py::arg("dim"), py::arg("ignores_nan"));
}

}  // namespace gradsmith::bindings
