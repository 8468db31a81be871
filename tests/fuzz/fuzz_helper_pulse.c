/* SPDX-License-Identifier: MIT */
/* PulseAudio's helper between two speakers: pieces of the input are said by either of them (a byte
 * says who, two how much; the first byte whether recording is allowed). However they are split, the
 * same passes; and what passes is whole frames, of commands that may pass, without shared memory,
 * with our cookie. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/services/helper-pulse.h"
#include "common/services/pulse-commands.h"
#include "common/services/pulse-cookie.h"
#include "common/services/pulse-values.h"
#include "tests/support/helper_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t cookie[PULSE_COOKIE_SIZE];

static void run(struct feed *feed, const struct service_settings *settings, const uint8_t *data,
                size_t size, size_t step)
{
    feed_init(feed, &helper_pulse, settings);
    while (size > 3) {
        size_t n = data[1] | (size_t)data[2] << 8;
        if (n > size - 3)
            n = size - 3;
        feed_say(feed, data[0] & 1, data + 3, n, step);
        data += 3 + n;
        size -= 3 + n;
    }
}

/* What the server gets, read by other code. */
static void judge(const struct feed_side *said, bool record)
{
    const uint8_t *at = said->bytes;
    for (size_t left = said->n; left >= 20;) {
        uint64_t n = 20 + (uint64_t)pulse_get_be32(at);
        uint32_t command = left >= 25 ? pulse_get_be32(at + 21) : 0;
        bool plain = pulse_get_be32(at + 4) != UINT32_MAX;
        if (pulse_get_be32(at + 16) >> 24)
            abort();
        if (!plain && (left < n || n < 30 || at[20] != 'L' || at[25] != 'L'))
            abort();
        if (!plain && (!pulse_command_get(command) || !pulse_command_get(command)->client))
            abort();
        if (!plain && !record && (pulse_command_get(command)->client & PULSE_RULE_RECORD))
            abort();
        if (!plain && command == PULSE_AUTH &&
            (pulse_get_be32(at + 31) >> 16 || memcmp(at + 40, cookie, sizeof(cookie)) != 0))
            abort();
        if (left < n)
            return;
        at += n;
        left -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed whole, split;
    if (!size)
        return 0;
    memset(cookie, 0xaa, sizeof(cookie));
    struct service_settings settings = {
        .record = data[0] & 1, .prefix = data[0] & 2 ? "[vm] " : NULL, .cookie = cookie};
    run(&whole, &settings, data + 1, size - 1, 0);
    run(&split, &settings, data + 1, size - 1, 7);
    if (whole.failed != split.failed)
        abort();
    for (int way = 0; way < _SERVICE_WAY_N && !whole.failed; way++)
        if (whole.said[way].n != split.said[way].n ||
            (whole.said[way].n &&
             memcmp(whole.said[way].bytes, split.said[way].bytes, whole.said[way].n) != 0))
            abort();
    judge(&whole.said[SERVICE_FROM_CLIENT], settings.record);
    judge(&split.said[SERVICE_FROM_CLIENT], settings.record);
    feed_finish(&whole);
    feed_finish(&split);
    return 0;
}
