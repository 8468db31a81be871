/* SPDX-License-Identifier: MIT */
/* The greeting of a hybrid socket: however it is split, the verdict and the bytes taken are the
 * same. The first byte of the input says how it is split. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include "common/transport/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct verdict {
    bool refused, done;
    size_t taken;
};

static struct verdict feed(const uint8_t *data, size_t size, size_t step)
{
    struct address_mux mux = {.n = 0};
    struct verdict v = {0};
    for (size_t at = 0; at < size && !v.refused && !v.done; at += step) {
        size_t n = size - at < step ? size - at : step;
        ssize_t taken = address_mux_feed(&mux, data + at, n, &v.done);
        if (taken < 0)
            v.refused = true;
        else if ((size_t)taken > n || ((size_t)taken < n && !v.done))
            abort();
        else
            v.taken += (size_t)taken;
    }
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct verdict whole = feed(data + 1, size - 1, size);
    struct verdict split = feed(data + 1, size - 1, data[0] % 16 + 1);
    if (whole.refused != split.refused || whole.done != split.done ||
        (!whole.refused && whole.taken != split.taken) || whole.taken > ADDRESS_MUX_LINE_MAX)
        abort();
    return 0;
}
