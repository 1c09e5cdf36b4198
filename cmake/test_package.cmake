# Builds and runs tests/support/consumer against Rondo as a user gets it. WAY: find_package, pkg_config (both from an
# install of BINARY_DIR into a fresh prefix) or add_subdirectory (from SOURCE_DIR).

cmake_minimum_required(VERSION 3.25)

function(step)
    execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        string(JOIN " " line ${ARGV})
        message(FATAL_ERROR "${line}\nended with ${result}:\n${output}")
    endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
set(prefix "${WORK_DIR}/prefix")
if(NOT WAY STREQUAL "add_subdirectory")
    step(${CMAKE_COMMAND} --install "${BINARY_DIR}" --prefix "${prefix}")
    if(NOT EXISTS "${prefix}/share/rondo/rondo_gdb.py")
        message(FATAL_ERROR "the script for gdb has not been installed")
    endif()
endif()

# Not optimized: it builds faster.
step(${CMAKE_COMMAND} -S "${SOURCE_DIR}/tests/support/consumer" -B "${WORK_DIR}/build" -G "${GENERATOR}"
     -D "RONDO_FROM=${WAY}" -D "RONDO_SOURCE_DIR=${SOURCE_DIR}" -D "CMAKE_PREFIX_PATH=${prefix}"
     -D "CMAKE_CXX_COMPILER=${COMPILER}" -D "CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
step(${CMAKE_COMMAND} --build "${WORK_DIR}/build")
step("${WORK_DIR}/build/consumer")
file(REMOVE_RECURSE "${WORK_DIR}")
