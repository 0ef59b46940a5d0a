// SPDX-License-Identifier: Apache-2.0
#include "cudasim/copy_async.h"

#include <cstring>

#include "cudasim/context.h"

namespace gradsmith::cudasim {
namespace {

constexpr std::uint64_t kEarlyIn = 3;  // of the copies under way that one in so many lands early

void land(const AsyncCopies::Copy& copy) {
  if (copy.from == nullptr) {
    std::memset(copy.to, 0, copy.bytes);
  } else {
    std::memcpy(copy.to, copy.from, copy.bytes);
  }
}

// A copy that has landed stays in its group as one of no bytes.
void land_some_early() {
  Group& group = this_group();
  if (group.schedule != Schedule::random) return;
  for (AsyncCopies::Copy& copy : this_thread().copies.open) {
    if (group.random() % kEarlyIn != 0) continue;
    land(copy);
    copy.bytes = 0;
  }
}

}  // namespace

void issue_copy(void* to, const void* from, std::size_t bytes) {
  std::memset(to, 0xff, bytes);
  this_group().counters.copied_bytes += static_cast<std::int64_t>(bytes);
  AsyncCopies::Copy copy{static_cast<char*>(to), static_cast<const char*>(from),
                         static_cast<std::uint32_t>(bytes)};
  Group& group = this_group();
  if (group.schedule == Schedule::random && group.random() % kEarlyIn == 0) {
    land(copy);
    copy.bytes = 0;
  }
  this_thread().copies.open.push_back(copy);
}

void commit_copies() {
  AsyncCopies& copies = this_thread().copies;
  std::size_t in_groups = 0;
  for (const std::size_t size : copies.group_sizes) in_groups += size;
  copies.group_sizes.push_back(copies.open.size() - in_groups);
  land_some_early();
}

void wait_for_copies(std::size_t pending_groups) {
  AsyncCopies& copies = this_thread().copies;
  if (copies.group_sizes.size() <= pending_groups) return;
  const std::size_t groups = copies.group_sizes.size() - pending_groups;
  std::size_t count = 0;
  for (std::size_t i = 0; i < groups; ++i) count += copies.group_sizes[i];
  for (std::size_t i = 0; i < count; ++i) land(copies.open[i]);
  copies.open.erase(copies.open.begin(), copies.open.begin() + static_cast<std::ptrdiff_t>(count));
  copies.group_sizes.erase(copies.group_sizes.begin(),
                           copies.group_sizes.begin() + static_cast<std::ptrdiff_t>(groups));
}

}  // namespace gradsmith::cudasim
