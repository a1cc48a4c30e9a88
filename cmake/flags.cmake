# SPDX-License-Identifier: MPL-2.0
# Compiler and linker flags of every target: warnings always, hardening in
# optimised builds, sanitizers where asked for.
add_compile_definitions(_GNU_SOURCE KAP_VERSION="${PROJECT_VERSION}")
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                    -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef
                    -Wno-missing-field-initializers -fno-common)
if(KAP_SEEDED)
  add_compile_definitions(KAP_SEEDED)
endif()
if(KAP_WERROR)
  add_compile_options(-Werror)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
                      -fstack-clash-protection -fcf-protection=full
                      -ftrivial-auto-var-init=zero)
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

if(KAP_SANITIZE)
  add_compile_options(-fsanitize=${KAP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${KAP_SANITIZE})
endif()
if(KAP_FUZZ)
  add_compile_options(-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
