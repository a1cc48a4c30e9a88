/* SPDX-License-Identifier: MPL-2.0 */
/* What the operator says to the broker itself, without a node: who follows whom. One event, with a
 * producer of its own; one thread, blocking. The broker judges; nothing is kept here. */
#ifndef KAP_OPERATE_H
#define KAP_OPERATE_H

#include "args.h"

/* Is it one of the events of the mesh that the operator says so (member_succeeded,
 * region_succeeded, area_succeeded)? The whole type, or without "kapula." and ".v1". */
bool kap_operate_knows(const char *type);

/* Publishes the event with the fields of the arguments: a list is `a,b`, a map `mikkeli=a,
 * pieksamaki=b`, a day 2026-01-31. Prints where it stands in the log. An exit code after saying
 * why. */
int kap_operate(kap_cli_t *cli, const char *type, const kap_args_t *args);

#endif
