// How much memory this process has.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>

namespace support {

/// What lies in main memory now. Linux only; 0 elsewhere.
inline std::size_t resident_bytes() {
    std::size_t all = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// The sum of such a line ("Rss:") over all mappings, as the kernel counts it now. Linux 4.14; nothing elsewhere.
inline std::size_t resident_now(const std::string& what) {
    std::ifstream all("/proc/self/smaps_rollup");
    std::size_t kib = 0;
    for (std::string word; all >> word;)
        if (word == what) all >> kib;
    return kib * 1024;
}
inline bool knows_resident(const std::string& what) {
    std::ifstream all("/proc/self/smaps_rollup");
    for (std::string word; all >> word;)
        if (word == what) return true;
    return false;
}

}  // namespace support
