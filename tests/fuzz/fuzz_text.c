/* SPDX-License-Identifier: MIT */
/* Text for a person: whatever comes out stays as it is when it is cleaned again, and fits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024], once[512], twice[512];
    if (size < 2 || size > sizeof(text))
        return 0;
    size_t room = 1 + data[0] * 2u, max = data[1];
    memcpy(text, data + 2, size - 2);
    text[size - 2] = 0;
    char *exact = malloc(room);
    if (!exact)
        return 0;
    size_t n = text_clean(exact, room, text, max);
    if (n >= room || exact[n] || strlen(exact) != n)
        abort();
    memcpy(once, exact, n + 1);
    free(exact);
    if (text_clean(twice, sizeof(twice), once, max) != n || strcmp(once, twice) != 0)
        abort();
    return 0;
}
