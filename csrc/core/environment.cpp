// SPDX-License-Identifier: Apache-2.0
// The limits of a cgroup bind all groups below it, so each is the least along the path from the
// process's own group to the root of the mount. In a container without a cgroup namespace the path
// in /proc/self/cgroup is the host's: directories that do not exist are passed over, and the root
// of the mount, which is the container's own group there, remains.
#include "core/environment.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/error.h"

namespace gradsmith {
namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

bool list_contains(const std::string& list, const std::string& item) {
  return ("," + list + ",").find("," + item + ",") != std::string::npos;
}

// The path of the process's group in the version 2 hierarchy, or in that of a version 1 controller.
std::optional<std::string> group_path(const std::string& controller, bool version2) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {  // id:controllers:path, no controllers in version 2
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version2 ? controllers.empty() : list_contains(controllers, controller)) {
      return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

void append_upwards(const std::string& mount, std::string path, std::vector<std::string>& out) {
  while (!path.empty() && path != "/") {
    out.push_back(mount + path);
    path.erase(path.rfind('/'));
  }
  out.push_back(mount);
}

// Directories of the groups that bind the process, of both versions: hosts in hybrid mode mount
// both, with each controller in one of them.
std::vector<std::string> group_directories(const std::string& controller) {
  std::vector<std::string> directories;
  std::ifstream file("/proc/self/mountinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::string id, parent, device, root, mount, type, source, options;
    std::istringstream(line.substr(0, separator)) >> id >> parent >> device >> root >> mount;
    std::istringstream(line.substr(separator + 3)) >> type >> source >> options;
    const bool version2 = type == "cgroup2";
    if (!version2 && !(type == "cgroup" && list_contains(options, controller))) continue;
    std::string path = group_path(controller, version2).value_or("");
    if (root != "/") path = path.compare(0, root.size(), root) == 0 ? path.substr(root.size()) : "";
    if (!path.empty() && path[0] != '/') path.clear();
    append_upwards(mount, path, directories);
  }
  return directories;
}

// The integers of a file; "max" and whatever else is no number reads as kUnlimited.
std::vector<std::int64_t> read_integers(const std::string& path) {
  std::vector<std::int64_t> values;
  std::ifstream file(path);
  std::string word;
  while (file >> word) values.push_back(parse_integer(word).value_or(kUnlimited));
  return values;
}

std::int64_t quota_processors(std::int64_t quota, std::int64_t period) {
  if (quota <= 0 || quota == kUnlimited || period <= 0) return kUnlimited;
  return (quota - 1) / period + 1;
}

std::int64_t cgroup_processors() {
  std::int64_t limit = kUnlimited;
  for (const std::string& directory : group_directories("cpu")) {
    const auto both = read_integers(directory + "/cpu.max");
    if (both.size() == 2) limit = std::min(limit, quota_processors(both[0], both[1]));
    const auto quota = read_integers(directory + "/cpu.cfs_quota_us");
    const auto period = read_integers(directory + "/cpu.cfs_period_us");
    if (quota.size() == 1 && period.size() == 1) {
      limit = std::min(limit, quota_processors(quota[0], period[0]));
    }
  }
  return limit;
}

std::int64_t cgroup_memory() {
  std::int64_t limit = kUnlimited;
  for (const std::string& directory : group_directories("memory")) {
    for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
      const auto bytes = read_integers(directory + name);
      if (bytes.size() == 1 && bytes[0] > 0) limit = std::min(limit, bytes[0]);
    }
  }
  return limit;
}

// The kernel refuses a mask shorter than its own, which may have more than cpu_set_t's 1024 bits.
std::int64_t affinity_processors() {
  for (int bits = CPU_SETSIZE; bits <= (1 << 20); bits *= 2) {
    cpu_set_t* mask = CPU_ALLOC(static_cast<std::size_t>(bits));
    if (mask == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(bits));
    const bool known = sched_getaffinity(0, bytes, mask) == 0;
    const int count = known ? CPU_COUNT_S(bytes, mask) : 0;
    CPU_FREE(mask);
    if (known) return count;
  }
  return std::thread::hardware_concurrency();
}

}  // namespace

int usable_processors() {
  const std::int64_t count = std::min(affinity_processors(), cgroup_processors());
  return static_cast<int>(std::max<std::int64_t>(count, 1));
}

std::int64_t usable_memory() {
  const std::int64_t pages = sysconf(_SC_PHYS_PAGES);
  const std::int64_t page_size = sysconf(_SC_PAGESIZE);
  const std::int64_t physical = pages > 0 && page_size > 0 ? pages * page_size : kUnlimited;
  return std::min(physical, cgroup_memory());
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(' ') + 1 - first);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> environment_integer(const char* name, std::int64_t minimum) {
  const char* text = std::getenv(name);
  if (text == nullptr || std::string_view(text).find_first_not_of(' ') == std::string_view::npos) {
    return std::nullopt;
  }
  const auto value = parse_integer(text);
  GS_CHECK(value && *value >= minimum, name, ": got '", text,
           "', expected an integer >= ", minimum);
  return value;
}

}  // namespace gradsmith
