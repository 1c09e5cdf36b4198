// Tests of how a process ends.
#pragma once

#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <utility>

namespace support {

struct process_end {
    std::string said;                                     // on stderr
    int status = 0;                                       // as waitpid gives it
};

/// Runs f in a process of its own, which may leave a core of so many bytes. Not while this process has other threads.
template <class F>
process_end end_of_process(F&& f, rlim_t core_bytes = 0) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const rlimit core{core_bytes, core_bytes};
        ::setrlimit(RLIMIT_CORE, &core);
        ::dup2(ends[1], STDERR_FILENO);
        f();
        ::_exit(0);
    }
    ::close(ends[1]);
    process_end end;
    char part[512];
    for (ssize_t n; (n = ::read(ends[0], part, sizeof part)) > 0;) end.said.append(part, static_cast<std::size_t>(n));
    ::close(ends[0]);
    ::waitpid(child, &end.status, 0);
    return end;
}

/// What f said, in a process of its own, before a signal ended it; nothing if none did.
template <class F>
std::string last_words(F&& f) {
    const auto end = end_of_process(std::forward<F>(f));
    return WIFSIGNALED(end.status) ? end.said : std::string();
}

}  // namespace support
