// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace hackysack {

/// 1234567 -> "1,234,567"
[[nodiscard]] inline std::string grouped(std::uint64_t n) {
    const std::string digits = std::to_string(n);
    std::string out;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
        out += digits[i];
    }
    return out;
}

/// 12345678.9 -> "12.3 M"
[[nodiscard]] inline std::string rounded(double n) {
    if (n >= 1e9) return fmt::format("{:.2f} G", n / 1e9);
    if (n >= 1e6) return fmt::format("{:.1f} M", n / 1e6);
    if (n >= 1e3) return fmt::format("{:.0f} k", n / 1e3);
    return fmt::format("{:.0f}", n);
}

/// 0.0123 -> "12.3 ms"
[[nodiscard]] inline std::string duration(double seconds) {
    if (seconds >= 10) return fmt::format("{:.1f} s", seconds);
    if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
    if (seconds >= 0.1) return fmt::format("{:.0f} ms", seconds * 1e3);
    if (seconds >= 0.01) return fmt::format("{:.1f} ms", seconds * 1e3);
    return fmt::format("{:.2f} ms", seconds * 1e3);
}

/// 4567.8 -> "4.5 KiB"
[[nodiscard]] inline std::string memory(double bytes) {
    if (bytes >= 1024 * 1024) return fmt::format("{:.1f} MiB", bytes / (1024 * 1024));
    if (bytes >= 1024) return fmt::format("{:.1f} KiB", bytes / 1024);
    return fmt::format("{:.0f} B", bytes);
}

[[nodiscard]] inline std::string plural(std::uint64_t n, std::string_view thing) {
    return fmt::format("{} {}{}", grouped(n), thing, n == 1 ? "" : "s");
}

}  // namespace hackysack
