/* SPDX-License-Identifier: MPL-2.0 */
#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *kap_err_name(int code)
{
    switch (code) {
    case KAP_OK:
        return "OK";
#define KAP_ERR(name, number, text)                                                                \
    case KAP_E_##name:                                                                             \
        return #name;
#include "err.def"
#undef KAP_ERR
    default:
        return "UNKNOWN";
    }
}

const char *kap_err_text(int code)
{
    switch (code) {
    case KAP_OK:
        return "done";
#define KAP_ERR(name, number, text)                                                                \
    case KAP_E_##name:                                                                             \
        return text;
#include "err.def"
#undef KAP_ERR
    default:
        return "an unknown error";
    }
}

int kap_err_of_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return KAP_OK;
    case ENOMEM:
        return KAP_E_NOMEM;
    case ENOSPC:
    case EDQUOT:
        return KAP_E_DISK;
    case ENOENT:
    case ENOTDIR:
        return KAP_E_NOTFOUND;
    case EEXIST:
        return KAP_E_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return KAP_E_DENIED;
    case EAGAIN:
    case EINTR:
        return KAP_E_AGAIN;
    case ETIMEDOUT:
        return KAP_E_TIMEOUT;
    default:
        return KAP_E_IO;
    }
}

void kap_check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "kapula: broken check at %s:%d: %s\n", file, line, condition);
    abort();
}
