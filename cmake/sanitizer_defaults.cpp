// The options that every sanitized program of ours starts with. The sanitizers call these functions before main; what
// ASAN_OPTIONS, TSAN_OPTIONS, UBSAN_OPTIONS say comes on top.

#ifdef RONDO_SYMBOLIZER
#define RONDO_SYMBOLS ":external_symbolizer_path=" RONDO_SYMBOLIZER
#else
#define RONDO_SYMBOLS ":allow_addr2line=1"
#endif

extern "C" {

const char* __asan_default_options();
const char* __ubsan_default_options();
const char* __tsan_default_options();

// Use after return is off: its fake stacks die with their tasklet, and a million of them cost more than they find.
const char* __asan_default_options() {
    return "detect_stack_use_after_return=0:strict_string_checks=1" RONDO_SYMBOLS;
}

const char* __ubsan_default_options() { return "print_stacktrace=1:halt_on_error=1" RONDO_SYMBOLS; }

// All races of a run are reported, then it ends with 66. At once: by default it sleeps for a second at the end of each program
// that still has threads, for what they might do; our tests join theirs.
const char* __tsan_default_options() {
    return "halt_on_error=0:exitcode=66:atexit_sleep_ms=0:second_deadlock_stack=1:history_size=4:suppressions=" RONDO_SUPPRESSIONS
           RONDO_SYMBOLS;
}

}
