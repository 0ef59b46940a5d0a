// SPDX-License-Identifier: Apache-2.0
#include "cudasim/async_view.h"

#include <cstring>

#include "core/error.h"

namespace gradsmith::cudasim {

void keep_async_view(Block* block) {
  if (block->has_async_view) return;
  block->has_async_view = true;
  block->async_view.assign(block->shared, block->shared + block->shared_bytes);
}

void publish_writes(Thread* thread) {
  Block* const block = thread->block;
  keep_async_view(block);
  for (const GenericAccess& access : thread->unfenced) {
    std::memcpy(block->async_view.data() + access.offset, block->shared + access.offset,
                access.bytes);
  }
  thread->unfenced.clear();
}

void check_seen(const Block& block, const char* place, std::size_t bytes) {
  const auto offset = static_cast<std::size_t>(place - block.shared);
  if (std::memcmp(place, block.async_view.data() + offset, bytes) == 0) return;
  fail(concatenate("lets the copy engine or a product read ", bytes, " bytes at offset ", offset,
                   " of shared memory that were written without fence_async_shared"));
}

void write_async(Block* block, char* place, const void* from, std::size_t bytes) {
  std::memcpy(place, from, bytes);
  std::memcpy(block->async_view.data() + (place - block->shared), from, bytes);
}

void poison_async(Block* block, char* place, std::size_t bytes) {
  std::memset(place, 0xff, bytes);
  std::memset(block->async_view.data() + (place - block->shared), 0xff, bytes);
}

}  // namespace gradsmith::cudasim
