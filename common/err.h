/* SPDX-License-Identifier: MPL-2.0 */
/* Errors: one table of codes for every room, and the check that is always on.
 *
 * A fallible function returns KAP_OK (0) or a negative code of err.def; its outputs
 * are untouched on failure. Three kinds of wrong: our bug (KAP_CHECK, abort), the world
 * (a code), the peer (counted and answered, never an abort). Any thread.
 * Foreign codes (errno, MDB_*, zmq) are translated at the one door of their library. */
#ifndef KAP_ERR_H
#define KAP_ERR_H

enum {
    KAP_OK = 0,
#define KAP_ERR(name, number, text) KAP_E_##name = (number),
#include "err.def"
#undef KAP_ERR
};

/* "NOTFOUND"; "OK" for 0, "UNKNOWN" for a number that is no code. Static storage. */
const char *kap_err_name(int code);

/* A sentence for people, lower case, no full stop: "not found". Static storage. */
const char *kap_err_text(int code);

/* errno -> code: ENOMEM, ENOSPC/EDQUOT (DISK), ENOENT (NOTFOUND), EEXIST, EACCES/EPERM/EROFS
 * (DENIED), EAGAIN/EINTR, ETIMEDOUT, else IO. */
int kap_err_of_errno(int errno_value);

/* Prints the place and the broken condition to stderr and aborts. Used by KAP_CHECK. */
_Noreturn void kap_check_failed(const char *condition, const char *file, int line);

/* Always on, in release builds too: for our own bugs only, never for input. */
#define KAP_CHECK(condition)                                                                       \
    ((condition) ? (void)0 : kap_check_failed(#condition, __FILE__, __LINE__))

#endif
