// SPDX-License-Identifier: Apache-2.0
// Exchange between the lanes of a warp: each lane deposits its value, and the last to come works
// out what every lane gets.
#pragma once

#include <cstdint>

#include "cudasim/context.h"

namespace gradsmith::cuda {
namespace simulated {

template <class T>
struct Exchange {
  T value;
  int source;
  T result;
};

// Each lane gets the value of the lane it names; its own where that is no lane.
template <class T>
T exchange(T value, int source, const char* operation) {
  Exchange<T> mine{value, source, value};
  ++cudasim::this_group().counters.warp_collectives;
  cudasim::warp_collective(&mine, operation, [](Exchange<T>** lanes) {
    for (int lane = 0; lane < cudasim::kWarpLanes; ++lane) {
      const int from = lanes[lane]->source;
      const bool exists = from >= 0 && from < cudasim::kWarpLanes;
      lanes[lane]->result = lanes[exists ? from : lane]->value;
    }
  });
  return mine.result;
}

}  // namespace simulated

template <class T>
T shuffle(T value, int lane) {
  return simulated::exchange(value, lane & 31, "shuffle");
}
template <class T>
T shuffle_xor(T value, int mask) {
  return simulated::exchange(value, cudasim::this_thread().lane() ^ mask, "shuffle_xor");
}
template <class T>
T shuffle_up(T value, int distance) {
  return simulated::exchange(value, cudasim::this_thread().lane() - distance, "shuffle_up");
}
template <class T>
T shuffle_down(T value, int distance) {
  return simulated::exchange(value, cudasim::this_thread().lane() + distance, "shuffle_down");
}

inline std::uint32_t ballot(bool yes) {
  struct Vote {
    bool yes;
    std::uint32_t all;
  } mine{yes, 0};
  cudasim::warp_collective(&mine, "ballot", [](Vote** lanes) {
    std::uint32_t all = 0;
    for (int lane = 0; lane < cudasim::kWarpLanes; ++lane) {
      all |= static_cast<std::uint32_t>(lanes[lane]->yes) << lane;
    }
    for (int lane = 0; lane < cudasim::kWarpLanes; ++lane) lanes[lane]->all = all;
  });
  return mine.all;
}
inline bool any_lane(bool yes) { return ballot(yes) != 0; }
inline bool all_lanes(bool yes) { return ballot(yes) == 0xffffffffu; }

// In one meeting of the warp, in the order of the butterfly that the device goes through.
template <class T, class Combine>
T warp_reduce(T value, const Combine& combine) {
  ++cudasim::this_group().counters.warp_collectives;
  cudasim::warp_collective(&value, "warp_reduce", [&](T** lanes) {
    for (int distance = 16; distance > 0; distance /= 2) {
      T next[cudasim::kWarpLanes];
      for (int lane = 0; lane < cudasim::kWarpLanes; ++lane) {
        next[lane] = combine(*lanes[lane], *lanes[lane ^ distance]);
      }
      for (int lane = 0; lane < cudasim::kWarpLanes; ++lane) *lanes[lane] = next[lane];
    }
  });
  return value;
}

}  // namespace gradsmith::cuda
