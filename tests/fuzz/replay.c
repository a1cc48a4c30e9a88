/* SPDX-License-Identifier: MPL-2.0 */
/* Runs a fuzz target over the files given: the corpus as a plain test. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES = 4 * 1024 * 1024 };

static int run(const char *path, uint8_t *room)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        return 1;
    }
    size_t size = fread(room, 1, INPUT_BYTES, file);
    fclose(file);
    /* An exact copy, so that a read beyond the end is seen. */
    uint8_t *input = malloc(size ? size : 1);
    if (!input)
        return 1;
    for (size_t i = 0; i < size; i++)
        input[i] = room[i];
    LLVMFuzzerTestOneInput(input, size);
    free(input);
    return 0;
}

int main(int argc, char **argv)
{
    uint8_t *room = malloc(INPUT_BYTES);
    int failed = room ? 0 : 1;

    for (int i = 1; i < argc && room; i++)
        failed |= run(argv[i], room);
    free(room);
    if (argc < 2) {
        fputs("no corpus\n", stderr);
        failed = 1;
    }
    printf("%d inputs\n", argc - 1);
    return failed;
}
