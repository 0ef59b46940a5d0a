// SPDX-License-Identifier: Apache-2.0
// Each thread keeps the workspaces that it used last, up to 8 of at most 1 MiB. They come back
// without a lock, and their lines still lie in the thread's own caches: with one store for all,
// threads that begin together wait for each other and get what another processor has written.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gradsmith {

// A block of the calling thread with room for so many bytes, or null.
void* take_kept_workspace(std::size_t bytes);

// Gives the calling thread a block of so many bytes to keep. Returns what it no longer keeps, this
// block or another one, or null.
void* keep_workspace(void* block, std::size_t size);

// Whether threads may keep anything; what they hold stays until it is taken out.
void allow_kept_workspaces(bool allowed);

std::int64_t kept_workspace_bytes();  // of all threads

// Takes out a block that any thread keeps; null if there is none.
void* take_any_kept_workspace();

}  // namespace gradsmith
