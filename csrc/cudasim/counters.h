// SPDX-License-Identifier: Apache-2.0
// What decides a kernel's speed and needs no GPU to know, counted while it is simulated: sectors of
// global memory per request, bank conflicts of shared memory, matrix instructions, barriers, bytes.
//
// A request is one access instruction of one warp. Lanes run one after the other here, so accesses
// are matched up by the instruction (the address it returns to) and by how often the lane has come
// by; that costs time, so it is done only while counting is switched on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace gradsmith::cudasim {

struct Counters {
  std::int64_t launches = 0, blocks = 0, threads = 0;
  std::int64_t block_barriers = 0, grid_barriers = 0, warp_collectives = 0;
  std::int64_t matrix_instructions = 0;
  std::int64_t copied_bytes = 0;  // by cp.async and the copy engine
  std::int64_t global_bytes = 0, global_requests = 0, global_sectors = 0;
  std::int64_t shared_requests = 0;
  std::int64_t shared_wavefronts = 0;  // passes through the banks; more than requests: conflicts
  std::int64_t atomics = 0;

  void add(const Counters& other);
};

enum class Space : std::uint8_t { global, shared };

// Accesses of a block's warps that wait for their other lanes.
class WarpTraffic {
 public:
  void note(Space space, int thread, const void* site, std::uint64_t address, int bytes,
            Counters* counters);
  // A request whose lanes are all known, in their order.
  static void note_warp(Space space, std::vector<std::uint64_t> addresses, int bytes,
                        Counters* counters);
  void finish(Counters* counters);  // requests in which not all lanes took part

 private:
  struct Key {
    int warp;
    const void* site;
    std::int64_t occurrence;
    bool operator==(const Key& other) const {
      return warp == other.warp && site == other.site && occurrence == other.occurrence;
    }
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return (reinterpret_cast<std::size_t>(key.site) * 31 +
              static_cast<std::size_t>(key.occurrence)) *
                 31 +
             static_cast<std::size_t>(key.warp);
    }
  };
  struct Request {
    Space space;
    int bytes;
    std::vector<std::uint64_t> addresses;
  };
  static void account(const Request& request, Counters* counters);

  std::unordered_map<Key, Request, Hash> open_;
  std::unordered_map<std::uint64_t, std::int64_t> occurrences_;  // by thread and site
};

bool is_counting();  // whether accesses are matched into requests
void set_counting(bool on);

void report(const char* kernel, const Counters& counters);
std::map<std::string, Counters> reports();  // by kernel, since the last reset
void reset_reports();

}  // namespace gradsmith::cudasim
