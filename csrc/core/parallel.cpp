// SPDX-License-Identifier: Apache-2.0
// The pool: each worker owns one cache line with a state word. The caller posts part i of a loop to
// worker i, runs part 0, takes back what no worker has begun (a sleeping or descheduled worker
// delays nobody), and waits for the rest. Both sides spin for at most kSpinTime, then sleep.
// One loop at a time has the pool; a second concurrent caller runs its own loop alone.
#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "core/environment.h"
#include "core/error.h"
#include "core/float_mode.h"

namespace gradsmith {
namespace {

// Longer than the pause between two ops of a network, so that workers stay hot during a step, and
// short enough that an idle process costs nothing.
constexpr std::chrono::microseconds kSpinTime{200};
constexpr int kPausesPerClockRead = 32;
// Members of a team arrive within a few microseconds of each other unless one lost its processor.
constexpr std::chrono::microseconds kTeamSpinTime{20};

thread_local bool inside_loop = false;

class InsideLoop {
 public:
  InsideLoop() { inside_loop = true; }
  ~InsideLoop() { inside_loop = false; }
  InsideLoop(const InsideLoop&) = delete;
  InsideLoop& operator=(const InsideLoop&) = delete;
};

void pause_processor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether `done` came true before the time was up.
template <class Done>
bool spin_until(std::chrono::microseconds spin_time, const Done& done) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + spin_time;
  do {
    for (int i = 0; i < kPausesPerClockRead; ++i) {
      if (done()) return true;
      pause_processor();
    }
  } while (Clock::now() < deadline);
  return false;
}

// idle -> posted (caller) -> running (worker) -> idle. The caller may take posted back to idle.
// A worker tired of idle becomes asleep, a caller tired of running makes it awaited: whoever
// replaces one of these two must wake the sleeper. stopping ends the worker.
enum class State : int { idle, asleep, posted, running, awaited, stopping };

struct alignas(64) Worker {
  std::atomic<State> state{State::idle};
  alignas(64) std::mutex mutex;
  std::condition_variable changed;
  std::exception_ptr error;
  std::thread thread;
  int avoided_processor = -1;  // the caller's when it last had to wake this worker

  void replace_state(State next) {
    const State old = state.exchange(next, std::memory_order_acq_rel);
    if (old != State::asleep && old != State::awaited) return;
    if (old == State::asleep) wake_elsewhere();
    // The sleeper holds the mutex from its change of state until it waits.
    {
      std::lock_guard<std::mutex> lock(mutex);
    }
    changed.notify_one();
  }

  // Linux likes to wake a thread on the processor of the one that wakes it, where it would wait for
  // a loop that it should share, for milliseconds until the load is balanced.
  void wake_elsewhere() {
#if defined(__linux__)
    const int here = sched_getcpu();
    if (here < 0 || here == avoided_processor) return;
    cpu_set_t elsewhere;
    if (sched_getaffinity(0, sizeof elsewhere, &elsewhere) != 0) return;
    CPU_CLR(static_cast<std::size_t>(here), &elsewhere);
    if (CPU_COUNT(&elsewhere) == 0) return;
    if (pthread_setaffinity_np(thread.native_handle(), sizeof elsewhere, &elsewhere) == 0) {
      avoided_processor = here;
    }
#endif
  }

  bool change_state(State from, State to) {
    return state.compare_exchange_strong(from, to, std::memory_order_acq_rel,
                                         std::memory_order_acquire);
  }

  // Returns once the state is neither `current` nor `parked`, which it takes while asleep.
  void wait_while(State current, State parked, std::chrono::microseconds spin_time) {
    const auto left = [&] { return state.load(std::memory_order_acquire) != current; };
    if (spin_until(spin_time, left)) return;
    std::unique_lock<std::mutex> lock(mutex);
    if (!change_state(current, parked)) return;
    changed.wait(lock, [&] { return state.load(std::memory_order_acquire) != parked; });
  }
};

struct Loop {
  RangeFunction function;
  void* context;
  std::int64_t count;
  std::int64_t grain;
  int parts;
  FloatMode float_mode;  // the caller's
  bool together;         // every part on a thread of its own

  std::int64_t begin_of(int part) const {
    const std::int64_t grains = (count - 1) / grain + 1;
    const std::int64_t each = grains / parts;
    const std::int64_t longer_parts = grains % parts;
    return (part * each + std::min<std::int64_t>(part, longer_parts)) * grain;
  }

  std::exception_ptr run(int part) const {
    try {
      function(context, begin_of(part), part + 1 < parts ? begin_of(part + 1) : count);
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }
};

// Signals are for the application's threads, save those that a fault raises in the thread itself.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, fault);
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

class Pool {
 public:
  explicit Pool(int threads)
      : workers_(new Worker[static_cast<std::size_t>(threads - 1)]),
        // With fewer processors than threads a spinning thread keeps a working one from running.
        spin_time_(threads <= usable_processors() ? kSpinTime : kSpinTime * 0) {
    BlockedSignals blocked;
    try {
      for (; size_ < threads; ++size_) {
        workers_[size_ - 1].thread = std::thread(&Pool::serve, this, size_);
      }
    } catch (const std::exception&) {
      // The system refuses more threads: the pool keeps those it has.
    }
  }

  ~Pool() {
    for (int part = 1; part < size_; ++part) worker(part).replace_state(State::stopping);
    for (int part = 1; part < size_; ++part) worker(part).thread.join();
  }

  int size() const { return size_; }
  bool spins() const { return spin_time_.count() != 0; }

  void run(const Loop& loop) {
    loop_ = loop;
    for (int part = 1; part < loop.parts; ++part) worker(part).replace_state(State::posted);
    std::exception_ptr first_error = loop_.run(0);
    for (int part = 1; part < loop.parts && !loop.together; ++part) {
      if (worker(part).change_state(State::posted, State::idle)) {
        worker(part).error = loop_.run(part);
      }
    }
    for (int part = 1; part < loop.parts; ++part) {
      worker(part).wait_while(State::running, State::awaited, spin_time_);
      std::exception_ptr error = std::move(worker(part).error);
      if (!first_error) first_error = std::move(error);
    }
    if (first_error) std::rethrow_exception(std::move(first_error));
  }

 private:
  Worker& worker(int part) { return workers_[part - 1]; }

  void serve(int part) {
    inside_loop = true;
    Worker& self = worker(part);
    while (self.state.load(std::memory_order_acquire) != State::stopping) {
      self.wait_while(State::idle, State::asleep, spin_time_);
      if (self.change_state(State::posted, State::running)) {
        set_float_mode(loop_.float_mode);
        self.error = loop_.run(part);
        self.replace_state(State::idle);
      }
    }
  }

  std::unique_ptr<Worker[]> workers_;
  std::chrono::microseconds spin_time_;
  int size_ = 1;  // the caller and the workers that started
  Loop loop_{};
};

// Neither is ever destroyed: other threads may loop while the process exits.
std::mutex pool_mutex;  // held while a loop has the pool, and to make, resize or close it
Pool* pool = nullptr;
bool pool_closed = false;
std::atomic<int> chosen_count{0};  // 0: not chosen yet

void stop_pool() {
  delete pool;
  pool = nullptr;
}

// In a forked child the workers do not exist and the mutexes may be locked for ever: the pool is
// left as it is, and the next loop makes a new one.
void abandon_pool() {
  new (&pool_mutex) std::mutex;
  pool = nullptr;
  inside_loop = false;
}

struct PoolLifetime {
  PoolLifetime() { pthread_atfork(nullptr, nullptr, abandon_pool); }
  ~PoolLifetime() {
    // A thread that still has the pool at exit keeps it; the process ends under its feet.
    if (inside_loop) return;
    std::unique_lock<std::mutex> lock(pool_mutex, std::try_to_lock);
    if (!lock) return;
    stop_pool();
    pool_closed = true;
  }
} pool_lifetime;

// OMP_NUM_THREADS may hold a value per nesting level, and belongs to others: errors are theirs.
std::optional<std::int64_t> openmp_thread_count() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return std::nullopt;
  const std::string_view levels(text);
  const auto outermost = parse_integer(levels.substr(0, levels.find(',')));
  return outermost && *outermost >= 1 ? outermost : std::nullopt;
}

int default_thread_count() {
  const std::int64_t count = std::min(usable_processors(), kMaxThreads);
  auto wanted = environment_integer("GRADSMITH_NUM_THREADS", 1);
  if (!wanted) wanted = openmp_thread_count();
  return static_cast<int>(std::min(count, wanted.value_or(count)));
}

// The pool with the chosen count of threads, or with fewer if the system refuses; null when the
// process is about to exit. The caller holds pool_mutex.
Pool* started_pool(int threads) {
  if (pool == nullptr && !pool_closed) {
    pool = new Pool(threads);
    chosen_count.store(pool->size(), std::memory_order_relaxed);
  }
  return pool;
}

}  // namespace

int thread_count() {
  const int count = chosen_count.load(std::memory_order_relaxed);
  if (GS_LIKELY(count != 0)) return count;
  int unset = 0;
  const int chosen = default_thread_count();
  return chosen_count.compare_exchange_strong(unset, chosen) ? chosen : unset;
}

int free_thread_count() { return inside_loop ? 1 : thread_count(); }

void set_thread_count(int count) {
  GS_CHECK(count >= 1 && count <= kMaxThreads, "set_thread_count: count is ", count,
           ", expected 1 to ", kMaxThreads);
  GS_CHECK(!inside_loop, "set_thread_count: called inside a parallel loop, expected outside");
  std::lock_guard<std::mutex> lock(pool_mutex);
  if (pool != nullptr && pool->size() != count) stop_pool();
  chosen_count.store(count, std::memory_order_relaxed);
}

// The last to arrive resets the count and begins the next round.
class Barrier {
 public:
  Barrier(int size, bool spins)
      : size_(size), spin_time_(spins ? kTeamSpinTime : kTeamSpinTime * 0), missing_(size) {}

  void wait() {
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      missing_.store(size_, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    if (spin_until(spin_time_, [&] { return has_passed(round); })) return;
    while (!has_passed(round)) std::this_thread::yield();
  }

 private:
  bool has_passed(unsigned round) const { return round_.load(std::memory_order_acquire) != round; }

  const int size_;
  const std::chrono::microseconds spin_time_;
  alignas(64) std::atomic<int> missing_;
  alignas(64) std::atomic<unsigned> round_{0};
};

void TeamMember::wait() const {
  if (size > 1) barrier->wait();
}

namespace {

// Calls use(team) with the pool, or with null where the caller has to do the work alone.
template <class Use>
void with_pool(const Use& use) {
  std::unique_lock<std::mutex> lock(pool_mutex, std::try_to_lock);
  const InsideLoop guard;
  const int threads = thread_count();  // final now that nobody can resize
  Pool* const team = lock && threads > 1 ? started_pool(threads) : nullptr;
  use(team == nullptr || team->size() == 1 ? nullptr : team);
}

}  // namespace

void parallel_range(std::int64_t count, std::int64_t grain, RangeFunction function, void* context) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  if (inside_loop || count <= grain || thread_count() == 1) return function(context, 0, count);
  with_pool([&](Pool* team) {
    if (team == nullptr) return function(context, 0, count);
    const std::int64_t grains = (count - 1) / grain + 1;
    const int parts = static_cast<int>(std::min<std::int64_t>(team->size(), grains));
    team->run({function, context, count, grain, parts, float_mode(), false});
  });
}

void run_team(int limit, TeamFunction function, void* context) {
  if (inside_loop || limit <= 1 || thread_count() == 1) return function(context, {0, 1, nullptr});
  with_pool([&](Pool* team) {
    if (team == nullptr) return function(context, {0, 1, nullptr});
    const int size = std::min(team->size(), limit);
    Barrier barrier(size, team->spins());
    const auto body = [&](std::int64_t rank) {
      function(context, {static_cast<int>(rank), size, &barrier});
    };
    const RangeFunction part = [](void* call, std::int64_t rank, std::int64_t) {
      (*static_cast<const decltype(body)*>(call))(rank);
    };
    team->run({part, const_cast<void*>(static_cast<const void*>(&body)), size, 1, size,
               float_mode(), true});
  });
}

}  // namespace gradsmith
