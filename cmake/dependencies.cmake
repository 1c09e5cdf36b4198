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
set(backtrace_test "
    #include <backtrace.h>
    int main() { return backtrace_create_state(nullptr, 1, nullptr, nullptr) == nullptr; }")
set(CMAKE_REQUIRED_LIBRARIES backtrace)
check_cxx_source_compiles("${backtrace_test}" RONDO_HAVE_OWN_LIBBACKTRACE)
set(RONDO_HAVE_LIBBACKTRACE ${RONDO_HAVE_OWN_LIBBACKTRACE})
set(RONDO_BACKTRACE_DIR "")
if(NOT RONDO_HAVE_OWN_LIBBACKTRACE)
    file(GLOB gcc_headers /usr/lib/gcc/*/*/include/backtrace.h)
    if(gcc_headers)
        list(SORT gcc_headers COMPARE NATURAL ORDER DESCENDING)
        list(GET gcc_headers 0 gcc_header)
        cmake_path(GET gcc_header PARENT_PATH gcc_dir)
        set(RONDO_BACKTRACE_DIR ${CMAKE_CURRENT_BINARY_DIR}/backtrace)
        file(COPY ${gcc_header} ${gcc_dir}/backtrace-supported.h DESTINATION ${RONDO_BACKTRACE_DIR})
        set(CMAKE_REQUIRED_INCLUDES ${RONDO_BACKTRACE_DIR})
        check_cxx_source_compiles("${backtrace_test}" RONDO_HAVE_GCC_LIBBACKTRACE)
        set(RONDO_HAVE_LIBBACKTRACE ${RONDO_HAVE_GCC_LIBBACKTRACE})
        unset(CMAKE_REQUIRED_INCLUDES)
    endif()
endif()
unset(CMAKE_REQUIRED_LIBRARIES)
