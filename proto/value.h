/* SPDX-License-Identifier: MPL-2.0 */
/* Values of fields: reading one node by the field's type and bounds, and writing one back
 * (types.def). Used by the decoder and the builder of events only. Pure; any thread. */
#ifndef KAP_VALUE_H
#define KAP_VALUE_H

#include "event.h"

/* Reads the node into *value (field, kind and content; not part). 0, or the number of
 * refusals.def that says what is wrong. A basis is made in the arena: *nomem is set when
 * that fails. */
uint16_t kap_value_read(kap_field_t field, const kap_mp_t *node, kap_arena_t *arena,
                        kap_value_t *value, bool *nomem);

/* Would the value be read back? False: not of the field's type or out of its bounds. */
bool kap_value_ok(const kap_value_t *value);

/* Appends the value as it travels. It must be ok. */
void kap_value_write(kap_buf_t *buf, const kap_value_t *value);

#endif
