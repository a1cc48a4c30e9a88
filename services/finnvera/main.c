/* SPDX-License-Identifier: MPL-2.0 */
#include "finnvera.h"

int main(int argc, char **argv)
{
    return kap_node_main(argc, argv, &kap_finnvera);
}
