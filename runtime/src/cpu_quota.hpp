// How much of the machine's time this process may use, by its cgroups (version 1 or 2): containers and services are held down
// by these, and not by their number of cores.
#pragma once

#include <string>

namespace rondo::detail {

/// In cores: the tightest quota of this process's cgroups and all their ancestors; infinity: none. What cannot be read, or
/// makes no sense, is none. Tests give other files.
double cpu_quota(const std::string& own_cgroups = "/proc/self/cgroup", const std::string& root = "/sys/fs/cgroup");

/// As many workers as can use it up: rounded up, at least 1.
double workers_for(double quota) noexcept;

}  // namespace rondo::detail
