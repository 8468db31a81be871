/* SPDX-License-Identifier: MIT */
/* PipeWire's helper between two speakers: pieces of the input are said by either of them (a byte
 * says who, two how much; the first byte whether recording is allowed). However they are split, the
 * same passes; and what passes from the client has no descriptors, creates streams and nothing
 * else, and has no port that records unless it may. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/services/helper-pipewire.h"
#include "common/services/pipewire-messages.h"
#include "common/services/pod.h"
#include "tests/support/helper_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct feed *feed, const struct service_settings *settings, const uint8_t *data,
                size_t size, size_t step)
{
    feed_init(feed, &helper_pipewire, settings);
    while (size > 3) {
        size_t n = data[1] | (size_t)data[2] << 8;
        if (n > size - 3)
            n = size - 3;
        feed_say(feed, data[0] & 1, data + 3, n, step);
        data += 3 + n;
        size -= 3 + n;
    }
}

/* What the server gets. */
static void judge(const struct feed_side *said)
{
    const uint8_t *at = said->bytes;
    struct pipewire_head head;
    for (size_t left = said->n; left >= PIPEWIRE_HEAD; left -= PIPEWIRE_HEAD + head.size) {
        struct pod_reader all, in;
        const char *factory;
        pipewire_head_read(at, &head);
        if (head.fds || left < PIPEWIRE_HEAD + head.size)
            abort();
        all = (struct pod_reader){at + PIPEWIRE_HEAD, at + PIPEWIRE_HEAD + head.size};
        if (head.id == 0 && head.opcode == CORE_CREATE_OBJECT)
            if (!pod_read_struct(&all, &in) || !pod_read_string(&in, &factory) ||
                (strcmp(factory, "client-node") != 0 && strcmp(factory, "refused-by-host") != 0))
                abort();
        if (head.id == 1 && head.opcode == CLIENT_UPDATE_PERMISSIONS)
            abort();
        at += PIPEWIRE_HEAD + head.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed whole, split;
    if (!size)
        return 0;
    struct service_settings settings = {.record = data[0] & 1,
                                        .prefix = data[0] & 2 ? "[vm] " : NULL};
    run(&whole, &settings, data + 1, size - 1, 0);
    run(&split, &settings, data + 1, size - 1, 7);
    if (whole.failed != split.failed || whole.roles_n != split.roles_n)
        abort();
    for (int way = 0; way < _SERVICE_WAY_N && !whole.failed; way++)
        if (whole.said[way].n != split.said[way].n ||
            (whole.said[way].n &&
             memcmp(whole.said[way].bytes, split.said[way].bytes, whole.said[way].n) != 0))
            abort();
    judge(&whole.said[SERVICE_FROM_CLIENT]);
    feed_finish(&whole);
    feed_finish(&split);
    return 0;
}
