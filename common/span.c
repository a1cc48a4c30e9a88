/* SPDX-License-Identifier: MPL-2.0 */
/* Byte spans. */
#include <stddef.h>
typedef int kap_span_placeholder_t;
