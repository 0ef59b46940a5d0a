// SPDX-License-Identifier: Apache-2.0
#include "ops/indexing_border.h"

#include "core/error.h"

namespace gradsmith {
namespace {

constexpr const char* kPad = "pad";
constexpr const char* kModes[] = {"reflect", "replicate", "circular"};

BorderMode mode_from(const std::string& name) {
  for (int mode = 0; mode < 3; ++mode) {
    if (name == kModes[mode]) return static_cast<BorderMode>(mode);
  }
  GS_CHECK(false, kPad, ": mode is '", name, "', expected one of reflect, replicate, circular");
}

void check_axis(BorderMode mode, const BorderAxis& axis, int dim) {
  const bool has_border = axis.before > 0 || axis.after > 0;
  const std::int64_t most = mode == BorderMode::replicate ? std::int64_t{1} << 62
                            : mode == BorderMode::reflect ? axis.size - 1
                                                          : axis.size;
  GS_CHECK(!has_border || (axis.size > 0 && axis.before <= most && axis.after <= most), kPad, ": ",
           axis.before, " and ", axis.after, " are too large for dimension ", dim, " of size ",
           axis.size, " in mode '", kModes[static_cast<int>(mode)], "'");
}

// Puts a dimension innermost, after those already there.
void append(const BorderAxis& axis, BorderParams* p) {
  const bool is_plain = axis.before == 0 && axis.after == 0;
  BorderAxis* last = p->ndim > 0 ? &p->axis[p->ndim - 1] : nullptr;
  if (is_plain && last != nullptr && last->before == 0 && last->after == 0) {
    last->size *= axis.size;
  } else {
    p->axis[p->ndim++] = axis;
  }
}

}  // namespace

BorderParams border_params(DType dtype, const Shape& x, Layout layout, const std::string& mode,
                           const Shape& before, const Shape& after, Shape* y) {
  GS_CHECK(before.ndim == x.ndim && after.ndim == x.ndim && x.ndim > 0, kPad, ": borders of ",
           before.ndim, " and ", after.ndim, " dimensions for shape ", to_string(x));
  BorderParams p{};
  p.mode = mode_from(mode);
  p.dtype = dtype;
  *y = x;
  for (int d = 0; d < x.ndim; ++d) {
    const BorderAxis axis{x[d], before[d], after[d]};
    check_axis(p.mode, axis, d);
    GS_CHECK(!__builtin_add_overflow(axis.size, axis.before, &(*y)[d]) &&
                 !__builtin_add_overflow((*y)[d], axis.after, &(*y)[d]),
             kPad, ": the size of dimension ", d, " does not fit in 64 bits");
  }
  p.x_count = checked_count(x, size_of(dtype));
  p.y_count = checked_count(*y, size_of(dtype));
  p.inner = 1;
  if (p.y_count == 0) return p;
  const bool is_last = layout == Layout::channels_last;
  for (int i = 0; i < x.ndim; ++i) {  // (N, spatial, C) in memory
    const int d = !is_last || i == 0 ? i : i == x.ndim - 1 ? 1 : i + 1;
    append({x[d], before[d], after[d]}, &p);
  }
  const BorderAxis& last = p.axis[p.ndim - 1];
  if (p.ndim > 1 && last.before == 0 && last.after == 0) {
    p.inner = last.size;
    --p.ndim;
  }
  return p;
}

std::string problem(const BorderParams& p) {
  std::string text = std::string(name_of(p.dtype)) + " " + kModes[static_cast<int>(p.mode)] + " ";
  for (int d = 0; d < p.ndim; ++d) {
    const BorderAxis& axis = p.axis[d];
    text += (d > 0 ? "x" : "") + std::to_string(axis.before) + "+" + std::to_string(axis.size) +
            "+" + std::to_string(axis.after);
  }
  return text + " inner" + std::to_string(p.inner);
}

}  // namespace gradsmith
