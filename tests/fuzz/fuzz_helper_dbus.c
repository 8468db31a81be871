/* SPDX-License-Identifier: MIT */
/* D-Bus's helper between two speakers: pieces of the input are said by either of them (a byte says
 * who, two how much). However they are split, the same passes; and no user but ours is named. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/services/helper-dbus.h"
#include "tests/support/helper_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct feed *feed, const uint8_t *data, size_t size, size_t step)
{
    static struct service_settings settings;
    settings.direction = size && data[0] & 2 ? SERVICE_TO_GUEST : SERVICE_TO_HOST;
    feed_init(feed, &helper_dbus, &settings);
    while (size > 3) {
        size_t n = data[1] | (size_t)data[2] << 8;
        if (n > size - 3)
            n = size - 3;
        feed_say(feed, data[0] & 1, data + 3, n, step);
        data += 3 + n;
        size -= 3 + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed whole, split;
    run(&whole, data, size, 0);
    run(&split, data, size, 1);
    if (whole.failed != split.failed)
        abort();
    for (int way = 0; way < _SERVICE_WAY_N && !whole.failed; way++)
        if (whole.said[way].n != split.said[way].n ||
            (whole.said[way].n &&
             memcmp(whole.said[way].bytes, split.said[way].bytes, whole.said[way].n) != 0))
            abort();
    feed_finish(&whole);
    feed_finish(&split);
    return 0;
}
