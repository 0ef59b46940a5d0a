// SPDX-License-Identifier: Apache-2.0
// Convolution in C order as implicit products (see conv_correlate.h, conv_weight.h). The forward
// pass is one correlation of x. The input gradient is one correlation of dy for each phase of the
// stride, with the taps that meet it, so that no zero between strided outputs is ever multiplied;
// for few channels of x it is a product whose columns are folded (see conv_fold.h). With many
// images and groups a thread takes whole ones and copies their planes next to itself; with few, all
// planes are copied first and threads share the columns.
#include "ops/conv.h"

#include "core/parallel.h"
#include "cpu/kernels/conv_correlate.h"
#include "cpu/kernels/conv_depthwise.h"
#include "cpu/kernels/conv_fold.h"
#include "cpu/kernels/conv_input_phase.h"
#include "cpu/kernels/conv_weight.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMaxPhases = 64;
// Elements of planes that pay for waking another thread.
constexpr std::int64_t kCopyGrain = 1 << 14;
// Elements of planes that stay in the first cache.
constexpr std::int64_t kNearElements = 1 << 12;

// All correlations from one source to one result.
template <class T>
struct Sweep {
  std::int64_t batch, groups;
  std::int64_t source_channels, rows;  // of a group: channels of the source, of the result
  const T *source, *weight, *bias;
  T* result;
  std::int64_t weight_group;  // weights of a group
  std::int64_t result_count;  // elements of a channel
  Planes planes;
  const Correlation<T>* correlations;
  std::int64_t count;

  GS_INLINE T* result_of(std::int64_t image_group) const {
    return result + image_group * rows * result_count;
  }
  GS_INLINE const T* source_of(std::int64_t image_group) const {
    return source + image_group * source_channels * planes.source;
  }
};

// Packs the weights of every correlation; `to` holds them one after the other.
template <class T>
void pack_all_weights(const Sweep<T>& s) {
  for (std::int64_t i = 0; i < s.count; ++i) {
    const Correlation<T>& c = s.correlations[i];
    const std::int64_t slivers = slivers_of(c);
    const std::int64_t grain = larger(1, kPackGrain / (c.tile_rows * (c.terms + 1)));
    parallel_for(s.groups * slivers, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t j = begin; j < end; ++j) {
        const std::int64_t group = j / slivers;
        const T* bias = s.bias == nullptr ? nullptr : s.bias + group * s.rows;
        pack_weights(c, s.weight + group * s.weight_group, bias, j % slivers,
                     const_cast<T*>(c.packed) + group * c.group_size);
      }
    });
  }
}

template <class T>
void copy_all_planes(const Sweep<T>& s, T* to) {
  const std::int64_t channels = s.batch * s.groups * s.source_channels;
  parallel_for(channels, larger(1, kCopyGrain / s.planes.channel),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   copy_planes(s.planes, s.source + i * s.planes.source, to + i * s.planes.channel);
                 }
               });
}

// Threads take images and groups.
template <class T>
void run_by_image(const Sweep<T>& s) {
  std::int64_t work = s.source_channels * s.planes.channel;
  for (std::int64_t i = 0; i < s.count; ++i) {
    work += s.rows * s.correlations[i].terms * s.correlations[i].positions.count();
  }
  parallel_for(s.batch * s.groups, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    // Small planes are copied several at a time: reading one at once would wait for the stores.
    const std::int64_t elements = s.source_channels * s.planes.channel;
    const std::int64_t together = smaller(end - begin, larger(1, kNearElements / elements));
    const Workspace copied(bytes_of<T>(s.planes.copied ? together * elements : 0));
    for (std::int64_t first = begin; first < end; first += together) {
      const std::int64_t last = smaller(first + together, end);
      for (std::int64_t c = 0; s.planes.copied && c < (last - first) * s.source_channels; ++c) {
        copy_planes(s.planes, s.source_of(first) + c * s.planes.source,
                    copied.as<T>() + c * s.planes.channel);
      }
      for (std::int64_t i = first; i < last; ++i) {
        const T* planes =
            s.planes.copied ? copied.as<T>() + (i - first) * elements : s.source_of(i);
        for (std::int64_t j = 0; j < s.count; ++j) {
          const Correlation<T>& c = s.correlations[j];
          correlate(c, planes, c.packed + i % s.groups * c.group_size, s.result_of(i), 0,
                    units_of(c));
        }
      }
    }
  });
}

// Threads take columns of the results.
template <class T>
void run_by_columns(const Sweep<T>& s) {
  const std::int64_t group_elements = s.source_channels * s.planes.channel;
  const Workspace copied(bytes_of<T>(s.planes.copied ? s.batch * s.groups * group_elements : 0));
  if (s.planes.copied) copy_all_planes(s, copied.as<T>());
  const T* planes = s.planes.copied ? copied.as<T>() : s.source;
  for (std::int64_t j = 0; j < s.count; ++j) {
    const Correlation<T>& c = s.correlations[j];
    const std::int64_t units = units_of(c);
    const std::int64_t grain = grain_of(s.rows * (c.terms + 1) * unit_columns(c));
    parallel_for(s.batch * s.groups * units, grain, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t i = begin / units, unit = begin % units;
        const std::int64_t stop = smaller(units, unit + end - begin);
        correlate(c, planes + i * group_elements, c.packed + i % s.groups * c.group_size,
                  s.result_of(i), unit, stop);
        begin += stop - unit;
      }
    });
  }
}

// Gives the correlations room for their packed weights and runs them all.
template <class T>
void run_sweep(Sweep<T>& s, Correlation<T>* correlations) {
  std::int64_t elements = 0;
  for (std::int64_t i = 0; i < s.count; ++i) {
    choose_tiles(correlations[i]);
    elements += s.groups * correlations[i].group_size;
  }
  const Workspace packed(bytes_of<T>(elements));
  T* next = packed.as<T>();
  for (std::int64_t i = 0; i < s.count; ++i) {
    correlations[i].packed = next;
    next += s.groups * correlations[i].group_size;
  }
  s.correlations = correlations;
  pack_all_weights(s);
  if (s.batch * s.groups >= 4 * thread_count()) {
    run_by_image(s);
  } else {
    run_by_columns(s);
  }
}

template <class T>
void forward(const ConvParams& p) {
  if (is_depthwise(p)) return depthwise_forward<T>(p);
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t taps = volume(p.kernel), terms = in_group * taps;
  const Planes planes = planes_of_x(p);
  const Workspace tables(bytes_of<std::int64_t>(2 * terms));
  std::int64_t* source_at = tables.as<std::int64_t>();
  std::int64_t* weight_at = source_at + terms;
  for (std::int64_t term = 0; term < terms; ++term) {
    const std::int64_t tap = term % taps;
    const std::int64_t k[] = {tap / (p.kernel[1] * p.kernel[2]), tap / p.kernel[2] % p.kernel[1],
                              tap % p.kernel[2]};
    source_at[term] = term / taps * planes.channel + tap_of_x(p, planes, k);
    weight_at[term] = term;
  }
  const Positions positions =
      merge_rows({{p.out[0], p.out[1], p.out[2]}, {planes.pitch[0], planes.pitch[1], 1}});
  Correlation<T> correlation{};
  correlation.rows = out_group;
  correlation.terms = terms;
  correlation.source_at = source_at;
  correlation.weight_at = weight_at;
  correlation.weight_row = terms;
  correlation.positions = positions;
  correlation.dense = true;
  correlation.result_row = volume(p.out);
  Sweep<T> sweep{p.batch,
                 p.groups,
                 in_group,
                 out_group,
                 static_cast<const T*>(p.x),
                 static_cast<const T*>(p.weight),
                 static_cast<const T*>(p.bias),
                 static_cast<T*>(p.y),
                 out_group * terms,
                 volume(p.out),
                 planes,
                 nullptr,
                 1};
  run_sweep(sweep, &correlation);
}

// The taps of a phase for output channel 0: returns how many there are.
GS_INLINE std::int64_t list_taps(const ConvParams& p, const Planes& planes,
                                 const InputPhase (&phase)[kSpatialDims], std::int64_t* source_at,
                                 std::int64_t* weight_at) {
  std::int64_t found = 0;
  const std::int64_t taps = volume(p.kernel);
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const std::int64_t k[] = {tap / (p.kernel[1] * p.kernel[2]), tap / p.kernel[2] % p.kernel[1],
                              tap % p.kernel[2]};
    bool meets = true;
    std::int64_t place = 0;
    for (int d = 0; d < kSpatialDims; ++d) {
      meets = meets && phase[d].meets(p, d, k[d]);
      place += (phase[d].place(p, d, k[d]) - planes.axis[d].origin) * planes.pitch[d];
    }
    if (!meets) continue;
    source_at[found] = place;
    weight_at[found] = tap;
    ++found;
  }
  return found;
}

// One phase of the stride; its tables start at `source_at` and `weight_at`.
template <class T>
Correlation<T> input_phase(const ConvParams& p, const Planes& planes,
                           const InputPhase (&phase)[kSpatialDims], std::int64_t* source_at,
                           std::int64_t* weight_at) {
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t taps = volume(p.kernel);
  const std::int64_t found = list_taps(p, planes, phase, source_at, weight_at);
  for (std::int64_t o = 1; o < out_group; ++o) {
    for (std::int64_t t = 0; t < found; ++t) {
      source_at[o * found + t] = source_at[t] + o * planes.channel;
      weight_at[o * found + t] = weight_at[t] + o * in_group * taps;
    }
  }
  Correlation<T> c{};
  c.rows = in_group;
  c.terms = found * out_group;
  c.source_at = source_at;
  c.weight_at = weight_at;
  c.weight_row = taps;
  c.positions = {{phase[0].size, phase[1].size, phase[2].size},
                 {planes.pitch[0], planes.pitch[1], 1}};
  c.dense = p.stride[0] * p.stride[1] * p.stride[2] == 1;
  if (c.dense) c.positions = merge_rows(c.positions);
  c.first = (phase[0].first * p.in[1] + phase[1].first) * p.in[2] + phase[2].first;
  c.step[0] = p.stride[0] * p.in[1] * p.in[2];
  c.step[1] = p.stride[1] * p.in[2];
  c.step[2] = p.stride[2];
  c.result_row = volume(p.in);
  return c;
}

template <class T>
void backward_input(const ConvParams& p) {
  if (is_depthwise(p)) return depthwise_backward_input<T>(p);
  if (suits_fold<T>(p)) return fold_backward_input<T>(p);
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t taps = volume(p.kernel), terms = out_group * taps;
  const std::int64_t phases = volume(p.stride);
  const Planes planes = planes_of_dy(p);
  const Workspace tables(bytes_of<std::int64_t>(2 * terms));
  std::int64_t* source_at = tables.as<std::int64_t>();
  std::int64_t* weight_at = source_at + terms;
  const Workspace space(static_cast<std::size_t>(phases) * sizeof(Correlation<T>));
  Correlation<T>* correlations = space.as<Correlation<T>>();
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < phases; ++i) {
    const InputPhase phase[] = {{p, 0, i / (p.stride[1] * p.stride[2])},
                                {p, 1, i / p.stride[2] % p.stride[1]},
                                {p, 2, i % p.stride[2]}};
    if (phase[0].size * phase[1].size * phase[2].size == 0) continue;
    const Correlation<T> c = input_phase<T>(p, planes, phase, source_at, weight_at);
    source_at += c.terms;
    weight_at += c.terms;
    correlations[count++] = c;
  }
  Sweep<T> sweep{p.batch,
                 p.groups,
                 out_group,
                 in_group,
                 static_cast<const T*>(p.y),
                 static_cast<const T*>(p.weight),
                 static_cast<const T*>(p.bias),
                 static_cast<T*>(p.x),
                 in_group * terms,
                 volume(p.in),
                 planes,
                 nullptr,
                 count};
  run_sweep(sweep, correlations);
}

template <class T>
void backward_weight(const ConvParams& p) {
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t taps = volume(p.kernel), columns = in_group * taps;
  const Planes planes = planes_of_x(p);
  const Workspace table(bytes_of<std::int64_t>(columns));
  std::int64_t* column_at = table.as<std::int64_t>();
  for (std::int64_t column = 0; column < columns; ++column) {
    const std::int64_t tap = column % taps;
    const std::int64_t k[] = {tap / (p.kernel[1] * p.kernel[2]), tap / p.kernel[2] % p.kernel[1],
                              tap % p.kernel[2]};
    column_at[column] = column / taps * planes.channel + tap_of_x(p, planes, k);
  }
  WeightGradient<T> w{
      p,
      planes,
      merge_rows({{p.out[0], p.out[1], p.out[2]}, {planes.pitch[0], planes.pitch[1], 1}}),
      in_group,
      out_group,
      taps,
      columns,
      volume(p.out),
      column_at,
      static_cast<const T*>(p.x),
      static_cast<const T*>(p.y),
      static_cast<T*>(p.weight)};
  if (suits_dots(w)) return dot_gradient(w);
  const std::int64_t channels = p.batch * p.in_channels;
  const Workspace copied(bytes_of<T>(planes.copied ? channels * planes.channel : 0));
  if (planes.copied) {
    T* to = copied.as<T>();
    parallel_for(channels, larger(1, kCopyGrain / planes.channel),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     copy_planes(planes, static_cast<const T*>(p.x) + i * planes.source,
                                 to + i * planes.channel);
                   }
                 });
    w.source = to;
  }
  multiply_gradient(w);
}

GS_INLINE bool is_channels_first(const ConvParams& p) { return p.layout == Layout::channels_first; }
GS_INLINE bool is_supported_dtype(const ConvParams& p) {
  return p.dtype == DType::float32 || p.dtype == DType::float64;
}
GS_INLINE bool sums_have_terms(const ConvParams& p) {
  return p.batch > 0 && p.in_channels > 0 && p.out_channels > 0;
}

Support supports_x(const ConvParams& p) {
  GS_NEEDS(is_channels_first(p));
  GS_NEEDS(is_supported_dtype(p));
  GS_NEEDS(sums_have_terms(p));
  GS_NEEDS(planes_are_affordable(p, axis_of_x));
  return {};
}

Support supports_dy(const ConvParams& p) {
  GS_NEEDS(is_channels_first(p));
  GS_NEEDS(is_supported_dtype(p));
  GS_NEEDS(sums_have_terms(p));
  GS_NEEDS(p.stride[0] <= kMaxPhases && p.stride[1] <= kMaxPhases && p.stride[2] <= kMaxPhases);
  GS_NEEDS(volume(p.stride) <= kMaxPhases);
  GS_NEEDS(planes_are_affordable(p, axis_of_dy));
  return {};
}

#define GS_RUN(function)                                      \
  [](const ConvParams& p) {                                   \
    if (p.dtype == DType::float32) return function<float>(p); \
    function<double>(p);                                      \
  }

constexpr char kName[] = GS_NAME("implicit_gemm");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_conv(OpTable& table) {
  table.conv_forward.push_front({kName, kIsa, supports_x, GS_RUN(forward)});
  table.conv_backward_input.push_front({kName, kIsa, supports_dy, GS_RUN(backward_input)});
  table.conv_backward_weight.push_front({kName, kIsa, supports_x, GS_RUN(backward_weight)});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
