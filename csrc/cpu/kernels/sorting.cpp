// SPDX-License-Identifier: Apache-2.0
// Rows in stable order. Elements become unsigned keys (ops/sort_key.h), so that one method serves
// all dtypes; keys are put in order or searched (sorting_order.h, sorting_select.h), which gives
// places; values are then read where they stand in x.
//
// A row whose elements are apart in memory is copied and written together with its neighbours, for
// a line of the cache holds elements of several.
#include "ops/sorting.h"

#include "core/dispatch.h"
#include "cpu/kernels/sorting_select.h"
#include "ops/op_table.h"
#include "ops/sort_key.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 4096;            // elements worth a thread
constexpr std::int64_t kMostTogether = 16;       // rows
constexpr std::int64_t kCopiedTogether = 65536;  // elements of them
constexpr std::int64_t kLine = 16;               // elements
constexpr std::int64_t kShort = 48;  // a row whose order is found as soon as a part of it
// How many elements a row has for each of its first ranks that are found without the others' order.
constexpr std::int64_t kFirstOf = 3, kFewOf = 16;
constexpr std::int64_t kMostPlaces = (std::int64_t{1} << 32) - 1;

Support supports_sort(const SortParams& p) {
  GS_NEEDS(p.size <= kMostPlaces);
  return {};
}

enum class Method : std::uint8_t { order_all, find_one, find_first, find_few };

bool is_first(Method method) { return method == Method::find_first || method == Method::find_few; }

Method method_of(const SortParams& p) {
  if (p.size <= kShort) return Method::order_all;
  if (p.count == 1 && (p.first > 0 || p.ranks != SortRanks::given)) return Method::find_one;
  if (p.first > 0 || p.count > p.size / kFirstOf) return Method::order_all;
  return p.count > p.size / kFewOf ? Method::find_first : Method::find_few;
}

// What is the same for all groups of rows.
struct Plan {
  Method method;
  std::int64_t together;  // rows of a group
  std::int64_t pitch;     // of copies of rows: not a power of two, whose lines would meet
  std::int64_t ordered;   // places that the method leaves for a row
  std::int64_t room;      // of what is kept of a row

  explicit Plan(const SortParams& p) : method(method_of(p)) {
    const std::int64_t most = smaller(kMostTogether, larger(1, kCopiedTogether / p.size));
    together = p.stride == 1 || p.inner == 1 ? 1 : most;
    pitch = p.stride == 1 ? 0 : divide_up(p.size, kLine) * kLine + kLine;
    ordered = method == Method::order_all ? p.size : p.count;
    room = method == Method::find_few ? room_for_few(p.count) : p.size + 1;
  }
};

template <class T>
class Sorter {
  using Key = sort_key_t<T>;
  using Entry = SortEntry<Key>;

 public:
  Sorter(const SortParams& p, const Plan& plan)
      : p_(p),
        plan_(plan),
        copies_(bytes<T>(plan.together * plan.pitch)),
        keys_(bytes<Key>(p.size)),
        order_(bytes<std::uint32_t>(plan.together * plan.ordered)),
        kept_(bytes<Key>(plan.method == Method::order_all ? 0 : 2 * plan.room)),
        places_(bytes<std::uint32_t>(is_first(plan.method) ? 3 * plan.room : 0)),
        entries_(bytes<Entry>(plan.method == Method::find_one ? 0 : entries_for(plan.room))) {}

  void sort(std::int64_t first) {
    count_ = smaller(plan_.together, p_.rows - first);
    for (std::int64_t r = 0; r < count_; ++r) {
      x_[r] = static_cast<const T*>(p_.x) + row_offset(p_, first + r);
      target_[r] = row_target(p_, first + r);
    }
    if (p_.stride != 1) copy_rows();
    for (std::int64_t r = 0; r < count_; ++r) {
      take_keys(x_[r]);
      std::uint32_t* const order = order_.as<std::uint32_t>() + r * plan_.ordered;
      order_of_[r] = order + find_places(order);
    }
    if (count_ == 1) return write_row();
    write_rows();
  }

 private:
  template <class U>
  static std::size_t bytes(std::int64_t count) {
    return static_cast<std::size_t>(count) * sizeof(U);
  }

  // From here on the elements of a row are adjacent.
  void copy_rows() {
    T* const copies = copies_.as<T>();
    const std::int64_t count = count_, size = p_.size, stride = p_.stride, pitch = plan_.pitch;
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t r = 0; r < count; ++r) copies[r * pitch + i] = x_[r][i * stride];
    }
    for (std::int64_t r = 0; r < count; ++r) x_[r] = copies + r * pitch;
  }

  void take_keys(const T* x) {
    Key* const keys = keys_.as<Key>();
    const bool is_descending = p_.is_descending;
    parallel_for(p_.size, kChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) keys[i] = sort_key(x[i], is_descending);
    });
  }

  // Returns where in `order` the wanted places begin.
  std::int64_t find_places(std::uint32_t* order) {
    const Key* const keys = keys_.as<Key>();
    if (plan_.method == Method::order_all) {
      order_keys(keys, p_.size, entries_.template as<Entry>(), order);
      return first_rank();
    }
    if (plan_.method == Method::find_one) {
      const auto found = key_of_rank(keys, p_.size, first_rank(), kSortBits<T>, kept_.as<Key>());
      *order = static_cast<std::uint32_t>(place_among_equals(keys, p_.size, found));
      return 0;
    }
    Key* const kept = kept_.as<Key>();
    std::uint32_t* const places = places_.as<std::uint32_t>();
    const SelectMemory<Key> memory{kept,
                                   kept + plan_.room,
                                   places,
                                   places + plan_.room,
                                   places + 2 * plan_.room,
                                   entries_.template as<Entry>()};
    if (plan_.method == Method::find_few) {
      find_first_few(keys, p_.size, p_.count, memory, order);
    } else {
      find_first(keys, p_.size, p_.count, kSortBits<T>, memory, order);
    }
    return 0;
  }

  // The first rank that is wanted of the row whose keys are at hand.
  std::int64_t first_rank() const {
    if (p_.ranks == SortRanks::given) return p_.first;
    const bool has_nan = kInfinityBits<T> != 0;
    return median_rank(p_,
                       has_nan ? count_less(keys_.as<Key>(), p_.size, kLargestKey<T>) : p_.size);
  }

  void write_row() const {
    const std::uint32_t* const order = order_of_[0];
    const T* const x = x_[0];
    T* const values = static_cast<T*>(p_.values) + target_[0];
    std::int64_t* const places = p_.places + target_[0];
    const std::int64_t step = p_.inner;
    parallel_for(p_.count, kChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        values[i * step] = x[order[i]];
        places[i * step] = order[i];
      }
    });
  }

  void write_rows() const {
    T* const values = static_cast<T*>(p_.values);
    std::int64_t* const places = p_.places;
    const std::int64_t rows = count_, count = p_.count, step = p_.inner;
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::uint32_t place = order_of_[r][i];
        values[target_[r] + i * step] = x_[r][place];
        places[target_[r] + i * step] = place;
      }
    }
  }

  const SortParams& p_;
  const Plan& plan_;
  const Workspace copies_, keys_, order_, kept_, places_, entries_;
  std::int64_t count_ = 0;  // rows of the group at hand
  const T* x_[kMostTogether];
  const std::uint32_t* order_of_[kMostTogether];
  std::int64_t target_[kMostTogether];
};

void sort(const SortParams& p) {
  if (p.rows == 0 || p.count == 0) return;
  const Plan plan(p);
  const std::int64_t groups = divide_up(p.rows, plan.together);
  visit_any(p.dtype, [&](auto t) {
    using T = decltype(t);
    const std::int64_t grain = kGrain / (plan.together * p.size) + 1;
    parallel_for(groups, grain, [&](std::int64_t begin, std::int64_t end) {
      Sorter<T> sorter(p, plan);
      for (; begin < end; ++begin) sorter.sort(begin * plan.together);
    });
  });
}

}  // namespace

void fill_sorting(OpTable& table) {
  table.sort.push_front({GS_NAME("keys"), Isa::GRADSMITH_TARGET, supports_sort, sort});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
