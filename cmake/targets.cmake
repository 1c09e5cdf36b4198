# rondo_layer(<name> [LINKS <target>...]) makes rondo_<name>, known as rondo::<name>, of the calling folder: include/ is
# its public face, src/*.cpp its body. It links nothing but what is named, so an include of a higher layer does not
# compile. A layer without a .cpp is INTERFACE. Sets <name>_scope to PUBLIC or INTERFACE for what the caller adds.
#
# rondo_program(<target>) gives an executable of ours what all of them have.

function(rondo_layer name)
    cmake_parse_arguments(PARSE_ARGV 1 layer "" "" "LINKS")
    set(target rondo_${name})
    set(folder ${CMAKE_CURRENT_SOURCE_DIR})
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/src/*.cpp)
    if(sources)
        set(scope PUBLIC)
        add_library(${target} ${sources})
        rondo_warnings(${target})
        set_target_properties(${target} PROPERTIES
            POSITION_INDEPENDENT_CODE ON
            CXX_EXTENSIONS OFF
            VERSION ${PROJECT_VERSION}
            SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
        # Whatever a parent project has for its own targets: a shared library must show its symbols.
        set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
        target_compile_options(${target} PRIVATE -fno-semantic-interposition)
    else()
        set(scope INTERFACE)
        add_library(${target} INTERFACE)
    endif()
    add_library(rondo::${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
    target_compile_features(${target} ${scope} cxx_std_20)
    target_include_directories(${target} ${scope}
        $<BUILD_INTERFACE:${folder}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${target} ${scope} ${layer_LINKS})
    set(${name}_scope ${scope} PARENT_SCOPE)
endfunction()

function(rondo_program target)
    rondo_warnings(${target})
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
    # All symbols are bound before main: the dynamic linker's lazy binding runs on the stack of whoever calls first,
    # and a tasklet's is small.
    target_link_options(${target} PRIVATE -Wl,-z,now -Wl,--as-needed)
    if(RONDO_SANITIZE)
        target_link_libraries(${target} PRIVATE rondo_sanitizer_defaults)
    endif()
endfunction()
