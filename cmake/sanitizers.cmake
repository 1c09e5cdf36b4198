# RONDO_SANITIZE: "" | address (with undefined) | thread. rondo_sanitize(<target> <scope>) puts the flags on a target;
# rondo_runtime carries them PUBLIC, so whatever links Rondo is built with the same sanitizer.
#
# RONDO_TSAN_PRECISE, with thread: finds what two tasklets do to the same data without order, even if one worker runs them in
# turn. The core of the runtime is not watched then (runtime/src/precise.hpp); what stands on its doors is.
#
# The options that a sanitized program starts with are compiled in (sanitizer_defaults.cpp): a test run by hand, under
# gdb or by ctest behaves the same. ASAN_OPTIONS, TSAN_OPTIONS and so on still come on top.

set(RONDO_SANITIZE "" CACHE STRING "Sanitizer: empty, address (with undefined) or thread")
set_property(CACHE RONDO_SANITIZE PROPERTY STRINGS "" address thread)

if(RONDO_SANITIZE STREQUAL "address")
    set(rondo_sanitize_flags -fsanitize=address,undefined -fno-sanitize-recover=undefined)
elseif(RONDO_SANITIZE STREQUAL "thread")
    set(rondo_sanitize_flags -fsanitize=thread)
elseif(NOT RONDO_SANITIZE STREQUAL "")
    message(FATAL_ERROR "RONDO_SANITIZE is '${RONDO_SANITIZE}': it must be empty, address or thread")
endif()

option(RONDO_TSAN_PRECISE "With RONDO_SANITIZE=thread: find races between tasklets whoever runs them" OFF)
set(rondo_sanitize_definitions "")
if(RONDO_TSAN_PRECISE)
    if(NOT RONDO_SANITIZE STREQUAL "thread")
        message(FATAL_ERROR "RONDO_TSAN_PRECISE is for RONDO_SANITIZE=thread")
    elseif(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "RONDO_TSAN_PRECISE needs clang (19 is tested): with g++ a tasklet takes a millisecond to begin, and "
                            "8,128 are the most")
    endif()
    set(rondo_sanitize_definitions RONDO_TSAN_PRECISE=1)
endif()

# rondo_unwatched(<target> BUT <name>...): its sources, but for these, are not watched in the precise mode. They are optimized in
# any build, so that small functions are inlined of which others have watched copies.
function(rondo_unwatched target)
    cmake_parse_arguments(PARSE_ARGV 1 these "" "" "BUT")
    if(NOT RONDO_TSAN_PRECISE)
        return()
    endif()
    get_target_property(sources ${target} SOURCES)
    foreach(source IN LISTS sources)
        cmake_path(GET source STEM name)
        if(NOT name IN_LIST these_BUT)
            set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-fno-sanitize=thread;-O2")
        endif()
    endforeach()
endfunction()

function(rondo_sanitize target scope)
    target_compile_definitions(${target} ${scope} ${rondo_sanitize_definitions})
    target_compile_options(${target} ${scope} ${rondo_sanitize_flags})
    target_link_options(${target} ${scope} ${rondo_sanitize_flags})
endfunction()

if(RONDO_SANITIZE)
    add_library(rondo_sanitizer_defaults OBJECT ${CMAKE_CURRENT_LIST_DIR}/sanitizer_defaults.cpp)
    target_compile_features(rondo_sanitizer_defaults PRIVATE cxx_std_20)
    target_compile_definitions(rondo_sanitizer_defaults PRIVATE
        RONDO_SUPPRESSIONS="${CMAKE_CURRENT_LIST_DIR}/tsan.supp")

    # Reports need a symbolizer. Debian names it llvm-symbolizer-19, and the run-time library does not look for that.
    find_program(RONDO_SYMBOLIZER NAMES llvm-symbolizer-19 llvm-symbolizer)
    mark_as_advanced(RONDO_SYMBOLIZER)
    if(RONDO_SYMBOLIZER)
        target_compile_definitions(rondo_sanitizer_defaults PRIVATE RONDO_SYMBOLIZER="${RONDO_SYMBOLIZER}")
    endif()
endif()
