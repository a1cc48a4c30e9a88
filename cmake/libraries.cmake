# SPDX-License-Identifier: MPL-2.0
# Foreign libraries, each an imported target. What a fresh machine needs installed
# stands in compose/packages, once.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(pair "zmq;libzmq" "czmq;libczmq" "uv;libuv" "lmdb;lmdb" "msgpack;msgpack"
             "sodium;libsodium" "config;libconfig" "jansson;jansson" "ical;libical"
             "zlib;zlib" "expat;expat")
  list(GET pair 0 name)
  list(GET pair 1 module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
  add_library(lib_${name} ALIAS PkgConfig::${name})
endforeach()
find_library(KAP_CSV_LIBRARY csv REQUIRED)
add_library(lib_csv INTERFACE)
target_link_libraries(lib_csv INTERFACE ${KAP_CSV_LIBRARY})
if(KAP_TESTS OR KAP_SEEDED)
  pkg_check_modules(criterion REQUIRED IMPORTED_TARGET criterion)
  add_library(lib_criterion ALIAS PkgConfig::criterion)
endif()
