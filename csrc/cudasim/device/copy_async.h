// SPDX-License-Identifier: Apache-2.0
// cp.async. Until a copy lands its target holds NaN; it lands when its thread waits for it, or,
// under Schedule::random, as early as at its issue.
#pragma once

#include "cudasim/copy_async.h"
#include "cudasim/device/memory.h"

namespace gradsmith::cuda {

template <int Bytes, class T, class U>
void copy_async(Shared<T> to, Global<U> from, bool valid = true) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  static_assert(std::is_same_v<const T, const U>);
  cudasim::check_alignment(to.get(), Bytes);
  cudasim::check_shared(to.get(), Bytes);
  if (valid) {
    cudasim::check_alignment(from.get(), Bytes);
    cudasim::check_global(from.get(), Bytes, from.region());
  }
  cudasim::issue_copy(to.get(), valid ? from.get() : nullptr, Bytes);
}

inline void copy_async_commit() { cudasim::commit_copies(); }

template <int Pending>
void copy_async_wait() {
  cudasim::wait_for_copies(Pending);
}

}  // namespace gradsmith::cuda
