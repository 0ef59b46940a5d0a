// SPDX-License-Identifier: Apache-2.0
#include "cudasim/counters.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <utility>

namespace gradsmith::cudasim {
namespace {

constexpr int kLanes = 32;
constexpr std::uint64_t kSectorBytes = 32;
constexpr std::uint64_t kBanks = 32;
constexpr std::uint64_t kBankBytes = 4;

std::atomic<bool> counting{false};
std::mutex reports_mutex;
std::map<std::string, Counters>& all_reports() {
  static auto* instance = new std::map<std::string, Counters>;
  return *instance;
}

std::int64_t sectors(const std::vector<std::uint64_t>& addresses, int bytes) {
  std::set<std::uint64_t> touched;
  for (const std::uint64_t address : addresses) {
    for (std::uint64_t at = address / kSectorBytes; at * kSectorBytes < address + bytes; ++at) {
      touched.insert(at);
    }
  }
  return static_cast<std::int64_t>(touched.size());
}

// Passes that a request takes: lanes go through in parts of 128 bytes, in each of which different
// words of one bank follow each other and equal words are read together.
std::int64_t wavefronts(const std::vector<std::uint64_t>& addresses, int bytes) {
  const std::size_t together = kLanes / std::max(1, bytes / static_cast<int>(kBankBytes));
  std::int64_t passes = 0;
  for (std::size_t first = 0; first < addresses.size(); first += together) {
    std::map<std::uint64_t, std::set<std::uint64_t>> words_of_bank;
    const std::size_t end = std::min(addresses.size(), first + together);
    for (std::size_t i = first; i < end; ++i) {
      for (std::uint64_t at = addresses[i] / kBankBytes;
           at * kBankBytes < addresses[i] + static_cast<std::uint64_t>(bytes); ++at) {
        words_of_bank[at % kBanks].insert(at);
      }
    }
    std::size_t most = 0;
    for (const auto& [bank, words] : words_of_bank) most = std::max(most, words.size());
    passes += static_cast<std::int64_t>(most);
  }
  return passes;
}

}  // namespace

void Counters::add(const Counters& other) {
  launches += other.launches;
  blocks += other.blocks;
  threads += other.threads;
  block_barriers += other.block_barriers;
  grid_barriers += other.grid_barriers;
  warp_collectives += other.warp_collectives;
  matrix_instructions += other.matrix_instructions;
  copied_bytes += other.copied_bytes;
  global_bytes += other.global_bytes;
  global_requests += other.global_requests;
  global_sectors += other.global_sectors;
  shared_requests += other.shared_requests;
  shared_wavefronts += other.shared_wavefronts;
  atomics += other.atomics;
}

void WarpTraffic::account(const Request& request, Counters* counters) {
  if (request.space == Space::global) {
    ++counters->global_requests;
    counters->global_bytes += static_cast<std::int64_t>(request.addresses.size()) * request.bytes;
    counters->global_sectors += sectors(request.addresses, request.bytes);
  } else {
    ++counters->shared_requests;
    counters->shared_wavefronts += wavefronts(request.addresses, request.bytes);
  }
}

void WarpTraffic::note(Space space, int thread, const void* site, std::uint64_t address, int bytes,
                       Counters* counters) {
  const std::uint64_t visitor =
      (reinterpret_cast<std::uint64_t>(site) << 12) ^ static_cast<std::uint64_t>(thread);
  const Key key{thread / kLanes, site, occurrences_[visitor]++};
  Request& request = open_[key];
  request.space = space;
  request.bytes = bytes;
  request.addresses.push_back(address);
  if (request.addresses.size() < kLanes) return;
  account(request, counters);
  open_.erase(key);
}

void WarpTraffic::note_warp(Space space, std::vector<std::uint64_t> addresses, int bytes,
                            Counters* counters) {
  account({space, bytes, std::move(addresses)}, counters);
}

void WarpTraffic::finish(Counters* counters) {
  for (const auto& [key, request] : open_) account(request, counters);
  open_.clear();
  occurrences_.clear();
}

bool is_counting() { return counting.load(std::memory_order_relaxed); }
void set_counting(bool on) { counting.store(on, std::memory_order_relaxed); }

void report(const char* kernel, const Counters& counters) {
  const std::lock_guard<std::mutex> lock(reports_mutex);
  all_reports()[kernel].add(counters);
}

std::map<std::string, Counters> reports() {
  const std::lock_guard<std::mutex> lock(reports_mutex);
  return all_reports();
}

void reset_reports() {
  const std::lock_guard<std::mutex> lock(reports_mutex);
  all_reports().clear();
}

}  // namespace gradsmith::cudasim
