// What the samples that take several arguments share: these are checked before anything begins, and what is wrong with
// them is said in one line, with exit code 2.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
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

/// The user asked for the usage, which what() is.
class help_wanted : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

// These return 0 or an errno.

/// Is there room for about as much as there will be to write? Neither the file's size nor its bytes change, whoever
/// else writes to it meanwhile. From its start, because there the results will begin, in place of what it holds now.
/// What this sets aside is not given back: that takes a truncation, which could cut off what somebody has just appended.
inline int has_room(int descriptor) {
    constexpr ::off_t bytes = 64 * 1024;
    ::rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes) return EFBIG;
    if (::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0) return 0;
    const bool is_refused = errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO;
    return is_refused ? errno : 0;    // else the file system cannot tell
}

/// One byte, which only a device that is full refuses. A terminal would show it.
inline int takes_a_byte(int descriptor) {
    if (::isatty(descriptor)) return 0;
    return ::write(descriptor, "\n", 1) == 1 || errno == EAGAIN ? 0 : errno;
}

/// What `descriptor` has been opened for as `file`, and nobody has used, goes away again.
inline void remove_unused(const std::string& file, int descriptor) {
    struct stat made{}, named{};
    if (::fstat(descriptor, &made) == 0 && ::lstat(file.c_str(), &named) == 0 && made.st_dev == named.st_dev &&
        made.st_ino == named.st_ino && named.st_size == 0)
        ::unlink(file.c_str());
}

inline int try_new(const std::string& file) {
    constexpr int flags = O_WRONLY | O_CREAT | O_NOCTTY | O_CLOEXEC;
    constexpr ::mode_t mode = 0666;
    int descriptor = ::open(file.c_str(), flags | O_EXCL, mode);
    const bool is_ours = descriptor >= 0;
    if (!is_ours && errno == EEXIST) descriptor = ::open(file.c_str(), flags, mode);    // a link to what is not there
    if (descriptor < 0) return errno;
    const int error = has_room(descriptor);
    if (is_ours) remove_unused(file, descriptor);
    ::close(descriptor);
    return error;
}

inline int try_existing(const std::string& file, ::mode_t kind) {
    if (S_ISSOCK(kind)) return ENXIO;    // what open() says, always
    if (S_ISFIFO(kind)) return ::faccessat(AT_FDCWD, file.c_str(), W_OK, AT_EACCESS) == 0 ? 0 : errno;
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC | (S_ISCHR(kind) ? O_NONBLOCK : 0));
    if (descriptor < 0) return errno;
    const int error = S_ISREG(kind) ? has_room(descriptor) : S_ISCHR(kind) ? takes_a_byte(descriptor) : 0;
    ::close(descriptor);
    return error;
}

}  // namespace detail

/// Finds out now, not after the work, that a file cannot be written. Throws: bad_argument.
///
/// A regular file keeps its size and all that is in it; one that is not there is made, and removed again. Where a link
/// points to what is not there, that is made and stays, empty. A terminal is opened, but nothing is written; another
/// character device gets one newline. A FIFO or a socket is not opened: the reader would take our closing for the end.
/// So whoever writes to a FIFO later waits in open() for its reader. From now on a file that grows beyond `ulimit -f` is
/// an error like any other, not a signal.
inline void check_writable(const std::string& file) {
    std::signal(SIGXFSZ, SIG_IGN);
    struct stat there{};
    const int error = ::stat(file.c_str(), &there) == 0 ? detail::try_existing(file, there.st_mode)
                      : errno == ENOENT                 ? detail::try_new(file)
                                                        : errno;
    if (error) throw bad_argument(fmt::format("cannot write {}: {}", file, std::generic_category().message(error)));
}

/// The arguments of a program that has no options, but takes a few words and numbers in a fixed order.
class arguments {
public:
    /// usage: "[ACCOUNTS [TRANSFERS [SEED]]]". Throws: help_wanted if that is all that was asked for; bad_argument if there are
    /// more, or an option that is none.
    arguments(int argc, char** argv, std::string_view usage, std::size_t most)
        : given_(argv, static_cast<std::size_t>(argc)), usage_(usage) {
        if (argc == 2 && (text(1) == "--help" || text(1) == "-h")) throw help_wanted(hint());
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

namespace detail {

template <class F>
int code_of(F&& f) {
    try {
        return f();
    } catch (const help_wanted& help) {
        fmt::print("{}\n", help.what());
        return 0;
    }
}

}  // namespace detail

/// The whole of main(): f() gives the exit code, which is 0 if only help was wanted, 2 for a bad argument (RONDO_WORKERS, too)
/// and if nobody can read what the program says, 1 for other errors.
template <class F>
int run_main(const char* program, F&& f) {
    try {
        // Whatever is opened next would take its place.
        if (::fcntl(STDOUT_FILENO, F_GETFD) < 0) throw bad_argument("standard output is closed; >/dev/null keeps it quiet");
        const int code = detail::code_of(f);
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
