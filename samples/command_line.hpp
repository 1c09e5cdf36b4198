// What the samples that take arguments share: these are checked before anything begins, and what is wrong with them is said
// in one line, with exit code 2.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include <rondo/error.hpp>

namespace samples {

/// What the user asked for cannot be done. what() is one line that says why.
class bad_argument : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

inline bool is_terminal(const std::string& file) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    const bool result = descriptor >= 0 && ::isatty(descriptor);
    if (descriptor >= 0) ::close(descriptor);
    return result;
}

/// Writes about as much as there will be to write at the end of `file`, which only a device that is full refuses.
inline bool takes_more(const std::string& file) {
    std::ofstream to(file, std::ios::app | std::ios::binary);
    constexpr std::size_t most_pages = 16, page = 4096;
    const std::size_t bytes = std::filesystem::is_regular_file(file) ? most_pages * page : 1;
    return static_cast<bool>((to << std::string(bytes, '\n')).flush());
}

}  // namespace detail

/// Finds out now, not after the work, that a file cannot be written. Leaves what is in it. A pipe or a terminal takes
/// whatever it gets, and would show the trial. Throws: bad_argument.
inline void check_writable(const std::string& file) {
    std::error_code ignored;
    const auto before = std::filesystem::status(file, ignored);
    const bool is_new = !std::filesystem::exists(before);
    const bool is_regular = std::filesystem::is_regular_file(before);
    const auto bytes = is_regular ? std::filesystem::file_size(file, ignored) : 0;
    const bool is_to_be_tried = is_new || is_regular || std::filesystem::is_character_file(before);
    int error = 0;
    errno = 0;
    if (!std::ofstream(file, std::ios::app)) error = errno ? errno : EIO;
    else if (is_to_be_tried && !detail::is_terminal(file) && !detail::takes_more(file)) error = errno ? errno : EIO;
    if (is_new) std::filesystem::remove(file, ignored);
    else if (is_regular) std::filesystem::resize_file(file, bytes, ignored);
    if (error) throw bad_argument(fmt::format("cannot write {}: {}", file, std::generic_category().message(error)));
}

/// The arguments of a program that has no options, but takes a few words and numbers in a fixed order.
class arguments {
public:
    /// usage: "[ACCOUNTS [TRANSFERS [SEED]]]". Throws: bad_argument if there are more, or an option that is none.
    arguments(int argc, char** argv, std::string_view usage, std::size_t most)
        : given_(argv, static_cast<std::size_t>(argc)), usage_(usage) {
        for (std::size_t i = 1; i < given_.size(); ++i)
            if (i > most || (given_[i][0] == '-' && !is_digit(given_[i][1])))
                throw bad_argument(fmt::format("what is \"{}\"? {}", given_[i], hint()));
    }
    [[nodiscard]] bool has(std::size_t i) const { return i < given_.size(); }
    [[nodiscard]] std::string text(std::size_t i) const { return given_[i]; }
    /// The i-th, or `usual` where it is missing. Throws: bad_argument.
    [[nodiscard]] std::uint64_t number(std::size_t i, std::string_view name, std::uint64_t usual, std::uint64_t least,
                                       std::uint64_t most) const {
        if (!has(i)) return usual;
        const std::string_view said = given_[i];
        std::uint64_t n = 0;
        const auto [end, error] = std::from_chars(said.data(), said.data() + said.size(), n);
        if (error != std::errc() || end != said.data() + said.size() || n < least || n > most)
            throw bad_argument(fmt::format("{} must be a whole number from {} to {}, not \"{}\"; {}", name, least, most,
                                           said, hint()));
        return n;
    }

private:
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    [[nodiscard]] std::string hint() const {
        return fmt::format("usage: {} {}", std::filesystem::path(given_[0]).filename().string(), usage_);
    }

    std::span<char*> given_;
    std::string_view usage_;
};

/// The whole of main(): f() gives the exit code, which is 2 for a bad argument (RONDO_WORKERS, too) and if nobody can read what
/// the program says, 1 for other errors.
template <class F>
int run_main(const char* program, F&& f) {
    try {
        // Whatever is opened next would take its place.
        if (::fcntl(STDOUT_FILENO, F_GETFD) < 0) throw bad_argument("standard output is closed; >/dev/null keeps it quiet");
        const int code = f();
        if (std::fflush(stdout) != 0 || std::ferror(stdout))
            throw bad_argument(fmt::format("cannot write to standard output: {}", std::generic_category().message(errno)));
        return code;
    } catch (const bad_argument& e) {
        fmt::print(stderr, "{}: {}\n", program, e.what());
        return 2;
    } catch (const rondo::usage_error& e) {
        fmt::print(stderr, "{}: {}\n", program, e.what());
        return 2;
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}: {}\n", program, e.what());
        return 1;
    }
}

}  // namespace samples
