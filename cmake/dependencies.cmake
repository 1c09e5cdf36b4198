# What Rondo stands on. rondoConfig.cmake.in asks for the same packages.

find_package(Boost 1.74 CONFIG REQUIRED COMPONENTS context)
if(Boost_VERSION VERSION_LESS 1.81)
    message(STATUS "Boost ${Boost_VERSION} is older than the 1.81 that Rondo is tested with")
endif()
find_package(TBB CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

include(CheckCXXSourceCompiles)
include(CheckIncludeFileCXX)

check_include_file_cxx(valgrind/valgrind.h RONDO_HAVE_VALGRIND)

# libbacktrace comes with g++, in its private directories: clang finds the library there but not the header. The
# directory holds g++'s intrinsics too and must not be on clang's path, so the two headers are copied out.
find_path(RONDO_BACKTRACE_DIR backtrace.h)
if(NOT RONDO_BACKTRACE_DIR)
    file(GLOB rondo_gcc_headers /usr/lib/gcc/*/*/include/backtrace.h)
    list(SORT rondo_gcc_headers COMPARE NATURAL ORDER DESCENDING)
    if(rondo_gcc_headers)
        list(GET rondo_gcc_headers 0 rondo_backtrace_header)
        cmake_path(GET rondo_backtrace_header PARENT_PATH rondo_gcc_dir)
        file(COPY ${rondo_backtrace_header} ${rondo_gcc_dir}/backtrace-supported.h
             DESTINATION ${CMAKE_CURRENT_BINARY_DIR}/backtrace)
        set(RONDO_BACKTRACE_DIR ${CMAKE_CURRENT_BINARY_DIR}/backtrace CACHE PATH "Where backtrace.h is" FORCE)
    endif()
endif()
mark_as_advanced(RONDO_BACKTRACE_DIR)
if(RONDO_BACKTRACE_DIR)
    set(CMAKE_REQUIRED_INCLUDES ${RONDO_BACKTRACE_DIR})
    set(CMAKE_REQUIRED_LIBRARIES backtrace)
    check_cxx_source_compiles("
        #include <backtrace.h>
        int main() { return backtrace_create_state(nullptr, 1, nullptr, nullptr) == nullptr; }"
        RONDO_HAVE_LIBBACKTRACE)
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LIBRARIES)
endif()
