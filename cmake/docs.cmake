# The target `docs`: the reference manual, from include/skua, into docs/html of the build.
find_program(DOXYGEN doxygen)
mark_as_advanced(DOXYGEN)
configure_file(docs/Doxyfile.in docs/Doxyfile @ONLY)
if(DOXYGEN)
  add_custom_target(docs
    COMMAND ${DOXYGEN} ${PROJECT_BINARY_DIR}/docs/Doxyfile
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "Writing docs/html"
    VERBATIM)
endif()
