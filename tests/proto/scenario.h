/* SPDX-License-Identifier: MPL-2.0 */
/* Scenarios: files of events and expectations on a virtual clock, run through the machines of
 * proto alone (no store, no socket). The language: tests/scenarios/README.md. One thread. */
#ifndef KAP_TEST_SCENARIO_H
#define KAP_TEST_SCENARIO_H

#include "buf.h"

/* Runs one file. True when every expectation held; else "file:line: what" in *failure. */
bool kap_scenario_run(const char *path, kap_buf_t *failure);

#endif
