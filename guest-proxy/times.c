/* SPDX-License-Identifier: MIT */
/* How far the host's clocks are from ours, each taken at the middle of a PING's way. Only the
 * answer to the last PING counts. The host may say anything: what does not fit stays as it was
 * sent. */
#include "guest-proxy/times.h"

#include <time.h>

#include "common/transport/link.h"
#include "common/base/loop.h"

#define NS 1000000000ll
#define KEEP_MS 30000

void times_ping(struct times *times, uint64_t serial)
{
    times->serial = serial;
    link_clocks(times->sent);
}

void times_pong(struct times *times, const struct link_pong *pong)
{
    int64_t now[_LINK_CLOCK_N], now_ms = loop_now_ms();
    if (pong->serial != times->serial)
        return;
    link_clocks(now);
    int64_t round_trip = now[LINK_CLOCK_MONOTONIC] - times->sent[LINK_CLOCK_MONOTONIC];
    /* The shorter the way, the better the measurement; but a machine that slept shifts its clocks.
     */
    if (times->known && round_trip > times->round_trip && now_ms - times->measured_ms < KEEP_MS)
        return;
    times->known = true;
    times->round_trip = round_trip;
    times->measured_ms = now_ms;
    for (int i = 0; i < _LINK_CLOCK_N; i++) { /* unsigned: the host may say anything */
        int64_t way = (now[i] - times->sent[i]) / 2;
        times->offset[i] =
            (int64_t)((uint64_t)pong->ns[i] - (uint64_t)times->sent[i] - (uint64_t)way);
    }
}

static int clock_index(uint32_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return LINK_CLOCK_REALTIME;
    case CLOCK_MONOTONIC_RAW:
        return LINK_CLOCK_MONOTONIC_RAW;
    case CLOCK_BOOTTIME:
        return LINK_CLOCK_BOOTTIME;
    default:
        return LINK_CLOCK_MONOTONIC;
    }
}

void times_convert(const struct times *times, struct wl_message *m, uint32_t clock,
                   enum times_direction direction)
{
    uint64_t sec = (uint64_t)m->args[0].u << 32 | m->args[1].u;
    uint32_t nsec = m->args[2].u;
    int64_t offset = times->offset[clock_index(clock)];
    if (!times->known || nsec >= NS || sec > INT64_MAX / NS - 1)
        return;
    int64_t t = (int64_t)sec * NS + nsec, converted;
    if (direction == TIMES_TO_HOST ? __builtin_add_overflow(t, offset, &converted)
                                   : __builtin_sub_overflow(t, offset, &converted))
        return;
    if (converted < 0)
        return;
    sec = (uint64_t)(converted / NS);
    wl_message_poke(m, WL_HEADER_SIZE, (uint32_t)(sec >> 32));
    wl_message_poke(m, WL_HEADER_SIZE + 4, (uint32_t)sec);
    wl_message_poke(m, WL_HEADER_SIZE + 8, (uint32_t)(converted % NS));
}
