# cmake -D SOURCE=<file> -P expect_compile_error.cmake -- <compiler> [<flag>...]
#
# The compiler must refuse the file, with a message that matches the file's first line, `// expect: <regex>` (CMake's
# regular expressions: no \b, no {n}).

cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/command_after_dashes.cmake)

file(READ "${SOURCE}" text LIMIT 1000)
string(FIND "${text}" "\n" end)
string(SUBSTRING "${text}" 0 ${end} first_line)
string(FIND "${first_line}" "// expect: " start)
if(NOT start EQUAL 0)
    message(FATAL_ERROR "${SOURCE}: the first line must be `// expect: <regex>`")
endif()
string(SUBSTRING "${first_line}" 11 -1 regex)

execute_process(COMMAND ${command} "${SOURCE}" RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(result EQUAL 0)
    message(FATAL_ERROR "${SOURCE} compiles, and should not")
endif()
if(NOT output MATCHES "${regex}")
    message(FATAL_ERROR "${SOURCE} does not compile, but nothing in the message matches\n  ${regex}\n${output}")
endif()
