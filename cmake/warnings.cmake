# rondo_warnings(<target>): the warnings for our own code, never for those who use it.

function(rondo_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        # g++'s -Wconversion leaves signs alone in C++; both compilers shall say the same.
        target_compile_options(${target} PRIVATE -Wno-sign-conversion)
    elseif(RONDO_SANITIZE)
        # g++ 12 takes the sanitizers' own shadow variables for uninitialized ones.
        target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
    if(RONDO_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()
