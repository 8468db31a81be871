/* SPDX-License-Identifier: MIT */
/* What is accepted must read back as the same address. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/transport/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address address, again;
    char error[64], formatted[192];
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (address_parse(text, &address, error, sizeof(error)) == 0) {
        address_format(&address, formatted, sizeof(formatted));
        if (address_parse(formatted, &again, error, sizeof(error)) != 0 ||
            memcmp(&address, &again, sizeof(address)) != 0)
            abort();
    } else if (strlen(error) == 0) {
        abort();
    }
    free(text);
    return 0;
}
