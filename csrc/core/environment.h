// SPDX-License-Identifier: Apache-2.0
// What the process runs in: the processors and the memory it may use (affinity mask, cgroup limits
// of version 1 and 2 along the whole path to the root), and integers from environment variables.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace gradsmith {

// Processors in the affinity mask, or the cgroup's CPU quota rounded up if that is less; >= 1.
int usable_processors();

// Bytes: physical memory, or the cgroup's limit if that is less.
std::int64_t usable_memory();

// Empty unless the whole text, spaces around it aside, is a decimal integer of 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text);

// Empty if the variable is unset or blank. Throws ValueError, with the name and the value, unless
// it is an integer >= minimum.
std::optional<std::int64_t> environment_integer(const char* name, std::int64_t minimum);

}  // namespace gradsmith
