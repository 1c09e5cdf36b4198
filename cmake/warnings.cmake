# rondo_warnings(<target>): the warnings for our own code, never for those who use it.

function(rondo_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        # g++'s -Wconversion leaves signs alone in C++; both compilers shall say the same.
        target_compile_options(${target} PRIVATE -Wno-sign-conversion)
    else()
        if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
            # "..." + std::string: its inlined memcpy seems to overlap with itself (GCC bug 105651, mended in 13).
            target_compile_options(${target} PRIVATE -Wno-restrict)
        endif()
        if(RONDO_SANITIZE)
            # g++ 12 takes the sanitizers' own shadow variables for uninitialized ones.
            target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
        endif()
    endif()
    if(RONDO_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()
