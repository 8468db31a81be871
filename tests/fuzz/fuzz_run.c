/* SPDX-License-Identifier: MIT */
/* Messages about a program that is started: what is understood is written back as the same bytes,
 * and its texts are as many as it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t back[RUN_HEADER_SIZE + RUN_PAYLOAD_MAX];
    while (size >= RUN_HEADER_SIZE) {
        unsigned type;
        uint32_t n, data_n;
        union run_message m;
        const uint8_t *texts;
        if (run_decode_header(data, &type, &n) != RUN_E_OK || n > size - RUN_HEADER_SIZE)
            return 0;
        if (run_decode(type, data + RUN_HEADER_SIZE, n, &m, &texts, &data_n) == RUN_E_OK) {
            if (run_encode(back, type, &m, texts, data_n) != RUN_HEADER_SIZE + n ||
                memcmp(back, data, RUN_HEADER_SIZE + n) != 0)
                abort();
            uint32_t count = 0;
            const uint8_t *at = texts, *end = texts + data_n;
            while ((type == RUN_COMMAND || type == RUN_ENTRY) && run_text_next(&at, end))
                count++;
            if (count && count != m.command.words + m.command.variables)
                abort();
        }
        data += RUN_HEADER_SIZE + n;
        size -= RUN_HEADER_SIZE + n;
    }
    return 0;
}
