/* SPDX-License-Identifier: MPL-2.0 */
typedef int kap_limits_placeholder_t;
