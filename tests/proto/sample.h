/* SPDX-License-Identifier: MPL-2.0 */
/* Sample events for tests: one of each type, with every field of the table set. */
#ifndef KAP_TEST_SAMPLE_H
#define KAP_TEST_SAMPLE_H

#include "event.h"

#define SAMPLE_ID     "0193a5f2-7c1e-7abc-8def-0123456789ab"
#define SAMPLE_SOURCE "municipality/0123456789abcdef"
#define SAMPLE_TIME   INT64_C(1763755000123)

/* A builder with id, source, sequence 7 and time set. */
void sample_begin(kap_event_builder_t *b, kap_event_type_t type);

/* Sets a value that fits the field. */
void sample_set(kap_event_builder_t *b, kap_field_t field);

/* Sets every field of the open and ends parts, or the required ones only. */
void sample_fill(kap_event_builder_t *b, bool required_only);

/* Finishes with a fixed salt; aborts the test on an error. */
void sample_finish(kap_event_builder_t *b, kap_span_t sealed, kap_buf_t *open, kap_buf_t *ends);

#endif
