/* SPDX-License-Identifier: MPL-2.0 */
/* `kapula import`: an event log into an archive region of the broker.
 *
 * Owner: the command; one thread. It reads the whole log, asks what the archive's name holds,
 * publishes what the broker does not have yet, and reports. It stops before the first event is
 * published when anything is wrong with the file, the options or the name; afterwards an
 * interruption costs nothing: run it again. Needs the operator's key and the broker itself. */
#ifndef KAP_IMPORT_H
#define KAP_IMPORT_H

#include "importargs.h"

/* kap_cmd_import is declared by cli.h (commands.def). What it does with a connection, for tests:
 * an exit code after saying why on standard error, the report on `out`. */
int kap_import_run(kap_client_t *client, kap_loop_t *loop, const char *member, int64_t timeout_ms,
                   kap_format_t format, const kap_importargs_t *args, FILE *out);

#endif
