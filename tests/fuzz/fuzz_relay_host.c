/* SPDX-License-Identifier: MIT */
/* The host's relay against any bytes on its link. The first byte says in which pieces they come. */
#include <fcntl.h>

#include "tests/fuzz/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[256];
    int ends[2];
    if (size < 1)
        return 0;
    fuzz_start(CARRIER_HOST);
    /* A stream of the host's own: the compositor asks for the selection. */
    uint32_t source = 3;
    for (size_t i = 0; i < FUZZ_GLOBALS_N; i++)
        source += wl_iface_find(fuzz_globals[i], strlen(fuzz_globals[i])) != NULL;
    fuzz_send_link(bytes, wl_build(bytes, 6, 0, "u", source));
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        abort();
    fuzz_send(F.local, bytes, wl_build(bytes, source, 1, "s", "a/b"), ends[1]);
    fuzz_send_pieces(F.link, data[0], data + 1, size - 1);
    close(ends[0]);
    fuzz_stop();
    return 0;
}
