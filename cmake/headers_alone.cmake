# cmake -P headers_alone.cmake -- <compiler> [<flag>...]: each public header must compile alone.

cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/command_after_dashes.cmake)

set(failed "")
foreach(layer IN ITEMS runtime channels actors)
    cmake_path(SET include NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../${layer}/include)
    file(GLOB headers RELATIVE ${include} ${include}/rondo/*.hpp ${include}/rondo/lowlevel/*.hpp)
    foreach(header IN LISTS headers)
        execute_process(COMMAND ${command} -fsyntax-only -include ${include}/${header} -x c++ /dev/null RESULT_VARIABLE result
                        ERROR_VARIABLE output)
        if(NOT result EQUAL 0)
            list(APPEND failed ${header})
            message("${header} does not compile alone:\n${output}")
        endif()
    endforeach()
endforeach()
if(failed)
    message(FATAL_ERROR "do not compile alone: ${failed}")
endif()
