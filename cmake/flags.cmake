# Compiler and linker flags:
#   SKUA_WARNINGS        for the library and the tests
#   SKUA_HARDENING       for the library's sources
#   SKUA_LINK_HARDENING  for the shared library
# and, with SKUA_SANITIZE, the sanitizers for every target.
include(CheckCCompilerFlag)

set(SKUA_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef
  -Wpointer-arith -Wwrite-strings -Wvla)
if(SKUA_WERROR)
  list(APPEND SKUA_WARNINGS -Werror)
endif()

set(SKUA_HARDENING -fstack-protector-strong)
foreach(flag IN ITEMS -fstack-clash-protection -fno-semantic-interposition)
  string(MAKE_C_IDENTIFIER "SKUA_HAS${flag}" has)
  check_c_compiler_flag("-Werror ${flag}" ${has})
  if(${has})
    list(APPEND SKUA_HARDENING ${flag})
  endif()
endforeach()
set(SKUA_LINK_HARDENING LINKER:-z,relro LINKER:-z,now)

if(SKUA_SANITIZE)
  add_compile_options(-fsanitize=${SKUA_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${SKUA_SANITIZE})
else()
  # glibc's checks need an optimiser, and sanitizers their own view of the same functions.
  list(APPEND SKUA_HARDENING
    "$<$<NOT:$<CONFIG:Debug>>:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>")
  # Not with sanitizers: clang links their run-time into programs only.
  list(APPEND SKUA_LINK_HARDENING LINKER:-z,defs)
endif()
