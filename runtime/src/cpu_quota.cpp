#include "cpu_quota.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace rondo::detail {
namespace {

constexpr double none = INFINITY;

double ratio(double quota, double period) { return quota > 0 && period > 0 ? quota / period : none; }

// Of one cgroup's folder.
double quota_at(const std::string& folder) {
    double quota = 0, period = 0;                         // they stay so where there is no number: -1, "max"
    if (std::ifstream v2(folder + "/cpu.max"); v2) {
        v2 >> quota >> period;
        return ratio(quota, period);
    }
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
    return ratio(quota, period);
}

}  // namespace

double cpu_quota(const std::string& own_cgroups, const std::string& root) {
    double tightest = none;
    std::ifstream mine(own_cgroups);
    for (std::string line; std::getline(mine, line);) {   // "number:controllers:path", version 2 without controllers
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const auto controllers = line.substr(first + 1, second - first - 1);
        if (!controllers.empty() && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
        const auto tree = controllers.empty() ? root : root + "/cpu";
        auto path = line.substr(second + 1);
        for (;;) {
            tightest = std::min(tightest, quota_at(tree + (path == "/" ? "" : path)));
            const auto slash = path.rfind('/');
            if (path.empty() || path == "/" || slash == std::string::npos) break;
            path = slash == 0 ? "/" : path.substr(0, slash);
        }
    }
    return tightest;
}

double workers_for(double quota) noexcept { return std::max(1.0, std::ceil(quota)); }

}  // namespace rondo::detail
