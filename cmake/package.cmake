# Install rules, the CMake package that find_package(rondo) finds, and rondo.pc for pkg-config.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/rondo)

set(pc_rondo_libs "")
foreach(layer IN ITEMS actors channels runtime)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${layer}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
            FILES_MATCHING PATTERN "*.hpp")
    get_target_property(type rondo_${layer} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
        string(APPEND pc_rondo_libs " -lrondo_${layer}")
    endif()
endforeach()

# Where a debugger's user looks for it: (gdb) source <prefix>/share/rondo/rondo_gdb.py
install(FILES ${PROJECT_SOURCE_DIR}/runtime/gdb/rondo_gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/rondo)

install(TARGETS rondo_runtime rondo_channels rondo_actors rondo EXPORT rondo
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT rondo NAMESPACE rondo:: FILE rondoTargets.cmake DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/rondoConfig.cmake.in
    ${CMAKE_CURRENT_BINARY_DIR}/rondoConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/rondoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rondoConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/rondoConfigVersion.cmake
        DESTINATION ${package_dir})

# A static Rondo needs its own libraries at every link, a shared one brings them along.
list(TRANSFORM rondo_sanitize_definitions PREPEND -D OUTPUT_VARIABLE definitions)
string(JOIN " " pc_sanitize ${rondo_sanitize_flags} ${definitions})
set(pc_own_libs "-lboost_context")
if(TARGET TBB::tbbmalloc)
    string(APPEND pc_own_libs " -ltbbmalloc")
endif()
if(RONDO_HAVE_LIBBACKTRACE)
    string(APPEND pc_own_libs " -lbacktrace")
endif()
if(BUILD_SHARED_LIBS)
    set(pc_libs_public "")
    set(pc_libs_private " ${pc_own_libs}")
else()
    set(pc_libs_public " ${pc_own_libs}")
    set(pc_libs_private "")
endif()
file(RELATIVE_PATH pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
configure_file(${CMAKE_CURRENT_LIST_DIR}/rondo.pc.in ${CMAKE_CURRENT_BINARY_DIR}/rondo.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rondo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
