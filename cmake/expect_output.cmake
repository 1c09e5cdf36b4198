# cmake -D EXPECTED=<file> -P expect_output.cmake -- <program> [<argument>...]
#
# Runs the program; it must end with 0 and print the file's text on stdout. What it says on stderr passes through.

cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/command_after_dashes.cmake)

execute_process(COMMAND ${command} OUTPUT_VARIABLE actual RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message("${actual}")
    message(FATAL_ERROR "the program ended with: ${result}")
endif()

file(READ "${EXPECTED}" expected)
if(NOT actual STREQUAL expected)
    string(RANDOM LENGTH 12 unique)
    set(actual_file "${CMAKE_CURRENT_BINARY_DIR}/actual-${unique}.txt")
    file(WRITE "${actual_file}" "${actual}")
    execute_process(COMMAND diff -u --label expected --label actual "${EXPECTED}" "${actual_file}")
    file(REMOVE "${actual_file}")
    message(FATAL_ERROR "the output differs from ${EXPECTED}")
endif()
message("${actual}")
