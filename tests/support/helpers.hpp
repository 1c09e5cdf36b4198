// What test files share.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/error.hpp>
#include <rondo/run.hpp>
#include <rondo/scope.hpp>
#include <rondo/testing.hpp>

namespace support {

inline constexpr unsigned one_worker = 1;
using lines = std::vector<std::string>;

inline bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// Set as long as it lives.
class environment_variable {
public:
    environment_variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        ::setenv(name, value, 1);
    }
    ~environment_variable() {
        if (before_) ::setenv(name_, before_->c_str(), 1);
        else ::unsetenv(name_);
    }

private:
    const char* name_;
    std::optional<std::string> before_;
};

/// What calling f comes to: "returned", the name of Rondo's exception, or the message of another one.
template <class F>
std::string end_of(F&& f) {
    try {
        f();
        return "returned";
    } catch (const rondo::closed&) {
        return "closed";
    } catch (const rondo::deadlock&) {
        return "deadlock";
    } catch (const rondo::deadline_exceeded&) {
        return "deadline_exceeded";
    } catch (const rondo::usage_error&) {
        return "usage_error";
    } catch (const rondo::out_of_memory&) {
        return "out_of_memory";
    } catch (const rondo::testing::leaked&) {
        return "leaked";
    } catch (const rondo::stopped&) {
        return "stopped";
    } catch (const std::exception& e) {
        return e.what();
    }
}

/// Tasklets in real time that can be looked at once nothing moves any more, sleepers included.
struct stage {
    rondo::runtime rt;
    explicit stage(unsigned workers) : rt({.workers = workers}) {}
    std::size_t settle() {                        // how many tasklets wait
        const auto report = rt.run_until_idle();
        for (auto& e : report.errors) std::rethrow_exception(e);
        return report.parked.size();
    }
};

// Out of line: g++ keeps the address of errno over a call that may come back on another thread.
[[gnu::noinline]] inline int get_errno() {
    asm volatile("");
    return errno;
}
[[gnu::noinline]] inline void set_errno(int n) {
    asm volatile("");
    errno = n;
}

}  // namespace support
