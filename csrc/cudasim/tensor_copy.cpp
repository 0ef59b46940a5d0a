// SPDX-License-Identifier: Apache-2.0
#include "cudasim/tensor_copy.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "cudasim/access.h"
#include "cudasim/async_view.h"

namespace gradsmith::cudasim {
namespace {

constexpr std::uint32_t kPiece = 16;      // bytes that a swizzle keeps together
constexpr std::size_t kAlignedTo = 128;   // a box in shared memory
constexpr std::size_t kMaxRow = 256 * 8;  // bytes of a row of a box

using Origin = int[cuda::kMaxTensorRank];

std::int64_t element_bytes(const TensorMap& map) { return size_of(map.shape.dtype); }

std::size_t box_bytes(const TensorMap& map) {
  std::size_t bytes = static_cast<std::size_t>(element_bytes(map));
  for (int i = 0; i < map.shape.rank; ++i) bytes *= static_cast<std::size_t>(map.shape.box[i]);
  return bytes;
}

// A row of a box: the part that lies in the tensor, and where it begins in the row.
struct Row {
  char* global;  // null: none of it
  std::size_t skipped, bytes;
};

Row row_of(const TensorMap& map, const Origin& origin, std::int64_t number) {
  const cuda::TensorShape& shape = map.shape;
  std::int64_t offset = 0;
  for (int i = 1; i < shape.rank; ++i) {
    const std::int64_t at = origin[i] + number % shape.box[i];
    number /= shape.box[i];
    if (at < 0 || at >= shape.sizes[i]) return {};
    offset += at * shape.strides[i];
  }
  const std::int64_t begin = std::max<std::int64_t>(origin[0], 0);
  const std::int64_t end = std::min<std::int64_t>(origin[0] + shape.box[0], shape.sizes[0]);
  if (begin >= end) return {};
  const std::int64_t size = element_bytes(map);
  return {map.base + (offset + begin) * size, static_cast<std::size_t>((begin - origin[0]) * size),
          static_cast<std::size_t>((end - begin) * size)};
}

// use(row of the tensor, its bytes in the box: a function from a piece's offset to its place)
template <class Use>
void for_each_row(const TensorMap& map, const Origin& origin, char* box, const Use& use) {
  const auto row_bytes = static_cast<std::uint32_t>(map.shape.box[0] * element_bytes(map));
  const std::int64_t rows =
      static_cast<std::int64_t>(box_bytes(map)) / static_cast<std::int64_t>(row_bytes);
  char* const window = this_block().shared;
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto start =
        static_cast<std::uint32_t>(box - window) + static_cast<std::uint32_t>(i) * row_bytes;
    use(row_of(map, origin, i), row_bytes,
        [&](std::uint32_t at) { return window + swizzled(start + at, map.shape.swizzle); });
  }
}

void check_global_row(const TensorMap& map, const Row& row) {
  const Region region = checked_region(map.base);
  const auto address = reinterpret_cast<std::uintptr_t>(row.global);
  if (address < region.begin || address + row.bytes > region.end) {
    fail_global(row.global, row.bytes, region);
  }
}

void check_place(const void* place, const TensorMap& map, std::size_t bytes) {
  const std::size_t alignment =
      map.shape.swizzle == cuda::Swizzle::none
          ? kAlignedTo
          : 8 * static_cast<std::size_t>(cuda::swizzle_bytes(map.shape.swizzle));
  if (static_cast<std::size_t>(static_cast<const char*>(place) - this_block().shared) % alignment !=
      0) {
    fail(concatenate("copies a box whose place in shared memory is not aligned to ", alignment));
  }
  check_shared_bounds(place, bytes);
  keep_async_view(&this_block());
  this_group().counters.copied_bytes += static_cast<std::int64_t>(bytes);
}

void check_copy(const void* place, const TensorMap& map, int rank) {
  if (map.pixels.pixels != 0) fail("copies a box by a map of pixels");
  if (rank != map.shape.rank) {
    fail(concatenate("copies with ", rank, " coordinates by a map of ", map.shape.rank));
  }
  check_place(place, map, box_bytes(map));
}

// The window's positions along an axis (columns, rows), and which of them a pixel is.
int window_size(const cuda::PixelShape& shape, int axis) {
  return (shape.last[axis] - shape.first[axis]) / shape.step[axis] + 1;
}
int window_index(const cuda::PixelShape& shape, int axis, int at) {
  const int from_first = at - shape.first[axis];
  if (from_first < 0 || at > shape.last[axis] || from_first % shape.step[axis] != 0) {
    fail(concatenate("copies pixels from ", at, " on, which is no position of a window from ",
                     shape.first[axis], " to ", shape.last[axis], " in steps of ",
                     shape.step[axis]));
  }
  return from_first / shape.step[axis];
}

// Pixels of the window from one on.
struct PixelRun {
  int channel, column, row, image;  // the first: columns and rows of the window, by number
  int offset[2];
};

void land_pixels(char* to, const TensorMap& map, BarrierWord* barrier, const PixelRun& run) {
  const cuda::PixelShape& shape = map.pixels;
  const int columns = window_size(shape, 0), rows = window_size(shape, 1);
  const auto bytes = static_cast<std::uint32_t>(box_bytes(map));
  for (int i = 0; i < shape.pixels; ++i) {
    const int column = run.column + i, row = run.row + column / columns;
    const Origin origin = {
        run.channel, shape.first[0] + column % columns * shape.step[0] + run.offset[0],
        shape.first[1] + row % rows * shape.step[1] + run.offset[1], run.image + row / rows, 0};
    const Row pixel = row_of(map, origin, 0);
    char values[kMaxRow] = {};
    if (pixel.global != nullptr) {
      check_global_row(map, pixel);
      std::memcpy(values + pixel.skipped, pixel.global, pixel.bytes);
    }
    char* const window = this_block().shared;
    const std::uint32_t start =
        static_cast<std::uint32_t>(to - window) + static_cast<std::uint32_t>(i) * bytes;
    for (std::uint32_t at = 0; at < bytes; at += kPiece) {
      write_async(&this_block(), window + swizzled(start + at, shape.swizzle), values + at, kPiece);
    }
  }
  complete_bytes(barrier, std::int64_t{bytes} * shape.pixels);
}

void land_load(char* box, const TensorMap& map, BarrierWord* barrier, const Origin& origin) {
  for_each_row(map, origin, box, [&](const Row& row, std::uint32_t bytes, const auto& place) {
    char values[kMaxRow] = {};
    if (row.global != nullptr) {
      check_global_row(map, row);
      std::memcpy(values + row.skipped, row.global, row.bytes);
    }
    for (std::uint32_t at = 0; at < bytes; at += kPiece) {
      write_async(&this_block(), place(at), values + at, kPiece);
    }
  });
  complete_bytes(barrier, static_cast<std::int64_t>(box_bytes(map)));
}

void land_store(char* box, const TensorMap& map, const Origin& origin) {
  for_each_row(map, origin, box, [&](const Row& row, std::uint32_t bytes, const auto& place) {
    char values[kMaxRow];
    for (std::uint32_t at = 0; at < bytes; at += kPiece) {
      check_seen(this_block(), place(at), kPiece);
      std::memcpy(values + at, place(at), kPiece);
    }
    if (row.global == nullptr) return;
    check_global_row(map, row);
    std::memcpy(row.global, values + row.skipped, row.bytes);
  });
}

struct Copy {
  TensorMap map;
  Origin origin;
};

Copy copy_of(const TensorMap& map, int rank, const int* origin) {
  Copy copy{map, {}};
  std::copy_n(origin, rank, copy.origin);
  return copy;
}

}  // namespace

TensorMap pixel_map(const void* base, const cuda::PixelShape& shape) {
  TensorMap map{static_cast<char*>(const_cast<void*>(base)), {}, shape};
  map.shape = {shape.dtype, 4, {}, {}, {shape.channels, 1, 1, 1}, shape.swizzle};
  std::copy_n(shape.sizes, 4, map.shape.sizes);
  std::copy_n(shape.strides, 4, map.shape.strides);
  return map;
}

void load_pixels(void* to, const TensorMap& map, BarrierWord* barrier, const int* position,
                 const int* offset) {
  constexpr int kMostOffset = 255;
  if (map.pixels.pixels == 0) fail("copies pixels by a map of boxes");
  if (offset[0] > kMostOffset || offset[1] > kMostOffset) fail("moves pixels too far");
  const std::size_t bytes = box_bytes(map) * static_cast<std::size_t>(map.pixels.pixels);
  check_place(to, map, bytes);
  check_shared_bounds(barrier, sizeof(*barrier));
  const PixelRun run{position[0],
                     window_index(map.pixels, 0, position[1]),
                     window_index(map.pixels, 1, position[2]),
                     position[3],
                     {offset[0], offset[1]}};
  Thread* const thread = &this_block().threads[0];
  char* const place = static_cast<char*>(to);
  poison_async(thread->block, place, bytes);
  defer([=, copy = map] { act_for(thread, [&] { land_pixels(place, copy, barrier, run); }); });
}

void load_box(void* to, const TensorMap& map, BarrierWord* barrier, unsigned receivers, int rank,
              const int* origin) {
  check_copy(to, map, rank);
  check_shared_bounds(barrier, sizeof(*barrier));
  if (receivers == 0) receivers = 1u << rank_in_cluster();
  const Copy copy = copy_of(map, rank, origin);
  for (int peer = 0; receivers >> peer != 0; ++peer) {
    if ((receivers >> peer & 1u) == 0) continue;
    Thread* const in_peer = &block_of_cluster(peer).threads[0];
    char* const box = place_in_peer(to, peer);
    auto* const word = reinterpret_cast<BarrierWord*>(place_in_peer(barrier, peer));
    keep_async_view(in_peer->block);
    poison_async(in_peer->block, box, box_bytes(map));
    defer([=] { act_for(in_peer, [&] { land_load(box, copy.map, word, copy.origin); }); });
  }
}

void store_box(const TensorMap& map, const void* from, int rank, const int* origin) {
  check_copy(from, map, rank);
  char* const box = const_cast<char*>(static_cast<const char*>(from));
  const Copy copy = copy_of(map, rank, origin);
  this_thread().open_stores.push_back([=] { land_store(box, copy.map, copy.origin); });
}

void commit_stores() {
  Thread& thread = this_thread();
  thread.store_groups.push_back(std::move(thread.open_stores));
  thread.open_stores.clear();
  constexpr std::uint64_t kEarlyIn = 3;
  Group& group = this_group();
  if (group.schedule == Schedule::random && group.random() % kEarlyIn == 0) wait_for_stores(0);
}

void wait_for_stores(std::size_t pending_groups) {
  auto& groups = this_thread().store_groups;
  while (groups.size() > pending_groups) {
    for (const PendingCopy& store : groups.front()) store();
    groups.erase(groups.begin());
  }
}

}  // namespace gradsmith::cudasim
