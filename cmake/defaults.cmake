# What holds when Rondo itself is built, and would be none of our business inside another project.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(RONDO_CCACHE ccache)
    mark_as_advanced(RONDO_CCACHE)
    if(RONDO_CCACHE)
        set(CMAKE_CXX_COMPILER_LAUNCHER ${RONDO_CCACHE})
    endif()
endif()

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
