// SPDX-License-Identifier: Apache-2.0
// Shared memory as the copy engine and warpgroup products see it. They do not see what a thread
// wrote until that thread has fenced it.
#pragma once

#include "cudasim/context.h"

namespace gradsmith::cudasim {

void keep_async_view(Block* block);   // from now on
void publish_writes(Thread* thread);  // the fence

// SimulationError where the bytes that are about to be read differ from what they have seen.
void check_seen(const Block& block, const char* place, std::size_t bytes);

// Memory written by the copy engine itself.
void write_async(Block* block, char* place, const void* from, std::size_t bytes);
void poison_async(Block* block, char* place, std::size_t bytes);

// Runs `act` in the name of the thread that asked for it: it may fail.
template <class Act>
void act_for(Thread* thread, const Act& act) {
  Thread* const before = running_thread;
  running_thread = thread;
  try {
    act();
  } catch (...) {
    running_thread = before;
    throw;
  }
  running_thread = before;
}

}  // namespace gradsmith::cudasim
