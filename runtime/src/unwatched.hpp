// For looks at what its owner may be changing, or at memory that a sanitizer forbids: the value may be stale, and the caller
// checks what depends on it.
#pragma once

#if defined(__clang__)
#define RONDO_UNWATCHED [[gnu::noinline, clang::no_sanitize("address", "thread", "undefined")]]
#else
#define RONDO_UNWATCHED \
    [[gnu::noinline, gnu::no_sanitize_address, gnu::no_sanitize_thread, gnu::no_sanitize_undefined]]
#endif
