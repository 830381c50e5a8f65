# What `cmake --install` copies: both libraries, the headers, find_package(skua CONFIG) and skua.pc.
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/skua)

install(TARGETS skua EXPORT skua-targets)
install(EXPORT skua-targets NAMESPACE skua:: DESTINATION ${config_dir})
# In a file of its own: only users of skua::skua-static need hwloc and libdw.
install(TARGETS skua-static EXPORT skua-static-targets)
install(EXPORT skua-static-targets NAMESPACE skua:: DESTINATION ${config_dir})

configure_package_config_file(cmake/skua-config.cmake.in skua-config.cmake
  INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(skua-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/skua-config.cmake
  ${PROJECT_BINARY_DIR}/skua-config-version.cmake
  DESTINATION ${config_dir})

# skua.pc finds its prefix from where it lies, as skua-config.cmake does, so both can be moved.
set(SKUA_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  set(SKUA_PC_PREFIX \${pcfiledir}/${up})
endif()
foreach(dir IN ITEMS LIBDIR INCLUDEDIR)
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_${dir} BASE_DIRECTORY "\${prefix}"
    OUTPUT_VARIABLE SKUA_PC_${dir})
endforeach()
# Libs.private and not Requires.private: pkg-config would ask users of the shared library for hwloc.pc
# and libdw.pc too, and users of the archive for what these link in their turn.
set(SKUA_PC_PRIVATE ${SKUA_HWLOC_LDFLAGS})
if(SKUA_USES_LIBDW)
  list(APPEND SKUA_PC_PRIVATE ${SKUA_DW_LDFLAGS})
endif()
list(REMOVE_DUPLICATES SKUA_PC_PRIVATE)
list(JOIN SKUA_PC_PRIVATE " " SKUA_PC_PRIVATE)
configure_file(cmake/skua.pc.in skua.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/skua.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/skua DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
