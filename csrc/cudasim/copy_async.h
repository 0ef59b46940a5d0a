// SPDX-License-Identifier: Apache-2.0
// The queue of a thread's cp.async copies.
#pragma once

#include <cstddef>

namespace gradsmith::cudasim {

// `from` null: zeros.
void issue_copy(void* to, const void* from, std::size_t bytes);
void commit_copies();
void wait_for_copies(std::size_t pending_groups);

}  // namespace gradsmith::cudasim
