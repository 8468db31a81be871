/* SPDX-License-Identifier: MIT */
/* The guest's relay against any bytes on its link, with a client that has a pool, a buffer that is
 * shown, and a stream. The first byte says in which pieces they come, and whether ids are
 * translated. */
#include <fcntl.h>

#include "tests/fuzz/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[256];
    if (size < 1)
        return 0;
    fuzz_start(CARRIER_GUEST);
    uint32_t pool = 3;
    for (size_t i = 0; i < FUZZ_GLOBALS_N; i++)
        pool += wl_iface_find(fuzz_globals[i], strlen(fuzz_globals[i])) != NULL;
    fuzz_send(F.local, bytes, wl_build(bytes, 4, 0, "uu", pool, 65536), fd_memfd("pool", 65536));
    size_t n = wl_build(bytes, pool, 0, "uuuuuu", pool + 1, 0, 64, 64, 256, 0);
    n += wl_build(bytes + n, 3, 0, "u", pool + 2);
    n += wl_build(bytes + n, pool + 2, 1, "uuu", pool + 1, 0, 0);
    n += wl_build(bytes + n, pool + 2, 6, "");
    n += wl_build(bytes + n, 6, 0, "u", pool + 3);
    n += wl_build(bytes + n, 5, 1, "u", pool + 4);
    if (wl_iface_find(fuzz_globals[7], strlen(fuzz_globals[7]))) { /* a screen copy under way */
        n += wl_build(bytes + n, 10, 0, "uuu", pool + 5, 0, 7);
        n += wl_build(bytes + n, pool + 5, 0, "u", pool + 1);
    }
    fuzz_send(F.local, bytes, n, -1);
    if (!F.relay)
        abort();
    if (data[0] & 0x80)
        fuzz_make_objects();
    fuzz_send_pieces(F.link, data[0] & 0x7f, data + 1, size - 1);
    fuzz_stop();
    return 0;
}
