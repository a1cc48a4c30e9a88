/* SPDX-License-Identifier: MPL-2.0 */
#include "municipality.h"

int main(int argc, char **argv)
{
    return kap_node_main(argc, argv, &kap_municipality);
}
