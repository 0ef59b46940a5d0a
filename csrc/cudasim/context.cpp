// SPDX-License-Identifier: Apache-2.0
#include "cudasim/context.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

namespace gradsmith::cudasim {

__thread Thread* running_thread = nullptr;

namespace {

thread_local StackPool stacks;

// Threads listed in a deadlock report; the others wait for the same things as a rule.
constexpr int kThreadsReported = 12;

std::string place_of(const Thread& thread) {
  const Index3& block = thread.block->index;
  std::ostringstream text;
  text << "block (" << block.x << ", " << block.y << ", " << block.z << ") thread "
       << thread.number;
  return text.str();
}

void run_kernel_of_thread() {
  arrive_on_stack();
  Thread& thread = this_thread();
  Group& group = this_group();
  try {
    group.kernel.invoke(group.kernel.arguments);
  } catch (const std::exception& error) {
    if (group.error.empty()) group.error = error.what();
  }
  thread.finished = true;
  --group.live;
  switch_flow(&thread.flow, &group.scheduler, true);
  std::abort();  // nobody goes on with a thread that has finished
}

void start(Thread* thread) {
  thread->stack = stacks.take();
  thread->stack->prepare(&thread->flow, &run_kernel_of_thread);
}

Thread* next_runnable(Group* group) {
  const std::size_t count = group->runnable.size();
  const std::size_t place =
      group->schedule == Schedule::random && count > 1 ? group->random() % count : 0;
  Thread* const thread = group->runnable[place];
  if (place > 0) std::swap(group->runnable[place], group->runnable.front());
  group->runnable.pop_front();
  return thread;
}

void land_one_copy(Group* group) {
  const std::size_t place =
      group->schedule == Schedule::random ? group->random() % group->pending.size() : 0;
  const PendingCopy copy = std::move(group->pending[place]);
  group->pending.erase(group->pending.begin() + static_cast<std::ptrdiff_t>(place));
  try {
    copy();
  } catch (const std::exception& error) {
    if (group->error.empty()) group->error = error.what();
  }
}

// Those that are woken run next, except under Schedule::reversed.
bool wake_pollers(Group* group) {
  bool woke = false;
  std::vector<Poller> still;
  for (Poller& poller : group->pollers) {
    running_thread = poller.thread;
    if (poller.holds()) {
      if (group->schedule == Schedule::reversed) {
        group->runnable.push_back(poller.thread);
      } else {
        group->runnable.push_front(poller.thread);
      }
      woke = true;
    } else {
      still.push_back(std::move(poller));
    }
  }
  running_thread = nullptr;
  group->pollers = std::move(still);
  return woke;
}

std::string deadlock_report(const Group& group) {
  std::ostringstream text;
  text << group.kernel.name << ": deadlock: ";
  int reported = 0;
  for (const Block& block : group.blocks) {
    for (const Thread& thread : block.threads) {
      if (thread.finished) continue;
      if (++reported > kThreadsReported) continue;
      text << (reported > 1 ? "; " : "") << place_of(thread) << " waits for "
           << (thread.waits_for == nullptr ? "nothing" : thread.waits_for);
    }
  }
  if (reported > kThreadsReported) text << "; and " << reported - kThreadsReported << " more";
  return text.str();
}

// Lets threads wait: copies land when nobody can run, or, under the random schedule, at any time.
// Who waits for a word of memory is asked now and then, so that what a kernel permits too early
// happens early; under the reversed schedule only when nobody else can run.
bool find_work(Group* group) {
  constexpr std::uint64_t kSteps = 32;  // between two copies that land early, on average
  constexpr std::uint64_t kPollSteps = 8;
  if (group->schedule == Schedule::random && !group->pending.empty() &&
      group->random() % kSteps == 0) {
    land_one_copy(group);
  }
  if (group->schedule != Schedule::reversed && !group->pollers.empty() &&
      ++group->steps % kPollSteps == 0) {
    wake_pollers(group);
  }
  while (group->runnable.empty() && group->error.empty()) {
    if (wake_pollers(group)) break;
    if (group->pending.empty()) return false;
    land_one_copy(group);
  }
  return true;
}

void queue_threads(Group* group) {
  group->live = 0;
  group->runnable.clear();
  for (Block& block : group->blocks) {
    for (Thread& thread : block.threads) {
      group->runnable.push_back(&thread);
      ++group->live;
    }
  }
  if (group->schedule == Schedule::reversed) {
    std::reverse(group->runnable.begin(), group->runnable.end());
  }
}

// What a kernel left undone is an error too: a copy nobody waited for may land in memory that holds
// something else by then.
void check_finished(const Group& group) {
  for (const Block& block : group.blocks) {
    for (const Thread& thread : block.threads) {
      if (!thread.copies.open.empty() || !thread.open_stores.empty() ||
          !thread.store_groups.empty()) {
        throw SimulationError(std::string(group.kernel.name) + ": " + place_of(thread) +
                              " ends with asynchronous copies that nobody waited for");
      }
    }
    for (const WarpGroup& warp_group : block.warp_groups) {
      if (!warp_group.open.empty() || !warp_group.groups.empty()) {
        throw SimulationError(std::string(group.kernel.name) +
                              ": a warpgroup ends with matrix products that nobody waited for");
      }
    }
  }
}

}  // namespace

Block::Block(Block&& other) noexcept
    : group(other.group),
      index(other.index),
      threads(std::move(other.threads)),
      warps(std::move(other.warps)),
      warp_groups(std::move(other.warp_groups)),
      shared(std::exchange(other.shared, nullptr)),
      shared_bytes(other.shared_bytes),
      shared_mapping(std::exchange(other.shared_mapping, nullptr)),
      mapping_bytes(other.mapping_bytes) {}  // made before anything has run

Block::~Block() {
  if (shared_mapping != nullptr) munmap(shared_mapping, mapping_bytes);
}

std::uint64_t Group::random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

void fail(const std::string& message) {
  const Group& group = this_group();
  throw SimulationError(std::string(group.kernel.name) + ": " + place_of(this_thread()) + ": " +
                        message);
}

void make_runnable(Thread* thread) {
  thread->waits_for = nullptr;
  thread->block->group->runnable.push_back(thread);
}

void wake_all(std::vector<Thread*>* waiting) {
  if (this_group().schedule == Schedule::reversed) std::reverse(waiting->begin(), waiting->end());
  for (Thread* thread : *waiting) make_runnable(thread);
  waiting->clear();
}

void park(const char* reason) {
  Thread& thread = this_thread();
  thread.waits_for = reason;
  switch_flow(&thread.flow, &this_group().scheduler);
}

void wait_until(const char* reason, std::function<bool()> holds) {
  if (holds()) return;
  this_group().pollers.push_back({&this_thread(), std::move(holds)});
  park(reason);
}

void defer(PendingCopy copy) { this_group().pending.push_back(std::move(copy)); }

void meet(Rendezvous* rendezvous, int place, int places, int needed, void* argument,
          const char* operation, void (*act)(void** arguments, const void* context),
          const void* context) {
  if (rendezvous->arrived == 0) {
    rendezvous->operation = operation;
    rendezvous->arguments.assign(static_cast<std::size_t>(places), nullptr);
  } else if (std::strcmp(rendezvous->operation, operation) != 0) {
    fail(std::string("is in ") + operation + " while others of its warp are in " +
         rendezvous->operation);
  }
  rendezvous->arguments[static_cast<std::size_t>(place)] = argument;
  if (++rendezvous->arrived < needed) {
    rendezvous->waiting.push_back(&this_thread());
    return park(operation);
  }
  act(rendezvous->arguments.data(), context);
  rendezvous->arrived = 0;
  wake_all(&rendezvous->waiting);
}

void meet_at_barrier(NamedBarrier* barrier, int count, bool waits, const char* name) {
  if (barrier->arrived == 0) barrier->expected = count;
  if (barrier->expected != count) {
    fail(std::string("comes to ") + name + " with " + std::to_string(count) +
         " threads, others with " + std::to_string(barrier->expected));
  }
  if (++barrier->arrived < count) {
    if (!waits) return;
    barrier->waiting.push_back(&this_thread());
    return park(name);
  }
  barrier->arrived = 0;
  wake_all(&barrier->waiting);
}

void run_group(Group* group) {
  queue_threads(group);
  while (group->live > 0 && group->error.empty()) {
    const bool found = find_work(group);
    if (!group->error.empty()) break;
    if (!found) {
      group->error = deadlock_report(*group);
      break;
    }
    Thread* const thread = next_runnable(group);
    if (thread->stack == nullptr) start(thread);
    running_thread = thread;
    switch_flow(&group->scheduler, &thread->flow);
    running_thread = nullptr;
    if (thread->finished) stacks.give_back(std::exchange(thread->stack, nullptr));
  }
  for (Block& block : group->blocks) {
    for (Thread& thread : block.threads) {
      if (thread.stack != nullptr) stacks.give_back(std::exchange(thread.stack, nullptr));
    }
    block.traffic.finish(&group->counters);
  }
  if (!group->error.empty()) throw SimulationError(group->error);
  check_finished(*group);
}

}  // namespace gradsmith::cudasim
