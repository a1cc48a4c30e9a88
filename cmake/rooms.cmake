# SPDX-License-Identifier: MPL-2.0
# A room is a folder with one static library, its headers beside its sources. The
# include path of a room reaches only those that name the room: a wrong include
# does not compile.

# kap_room(NAME [SOURCES file...] USES target... DOORS target...)
#   USES   rooms whose headers this room's own headers may show
#   DOORS  foreign libraries, visible inside the room only
function(kap_room name)
  cmake_parse_arguments(ARG "" "" "USES;DOORS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  if(NOT sources)
    message(FATAL_ERROR "the room ${name} is empty")
  endif()
  add_library(kap_${name} STATIC ${sources})
  target_include_directories(kap_${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(kap_${name} PUBLIC ${ARG_USES} PRIVATE ${ARG_DOORS})
endfunction()

# kap_program(PROGRAM USES target...): a thin main.c over rooms.
function(kap_program name)
  cmake_parse_arguments(ARG "" "" "USES;DOORS" ${ARGN})
  add_executable(${name} main.c)
  target_link_libraries(${name} PRIVATE ${ARG_USES} ${ARG_DOORS})
endfunction()
