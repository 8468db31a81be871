/* SPDX-License-Identifier: MIT */
/* The guest's relay against any bytes of a client, with descriptors of several kinds. The first
 * byte says in which pieces they come, and whether ids are translated; each piece brings the next
 * kind. */
#include <fcntl.h>

#include "tests/fuzz/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int descriptor(unsigned kind)
{
    int ends[2];
    switch (kind % 5) {
    case 0:
        return fd_memfd("pool", 65536);
    case 1:
    case 2:
        if (pipe2(ends, O_CLOEXEC) < 0)
            abort();
        close(ends[kind % 5 == 1]);
        return ends[kind % 5 != 1];
    case 3:
        return fd_memfd("small", 100);
    default:
        return -1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    fuzz_start(CARRIER_GUEST);
    unsigned kind = data[0] >> 5;
    if (data[0] & 16)
        fuzz_make_objects();
    size_t step = data[0] & 15 ? (data[0] & 15) * 8u : size;
    if (step < size / 32)
        step = size / 32;
    for (size_t at = 1; at < size && F.relay; at += step)
        fuzz_send(F.local, data + at, size - at < step ? size - at : step, descriptor(kind++));
    fuzz_stop();
    return 0;
}
