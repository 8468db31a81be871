/* SPDX-License-Identifier: MIT */
#pragma once
/* times: the difference between the host's clocks and ours, and the messages whose times name a
 * clock. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/wl-message.h"
#include "protocol/frames.h"

/* host − guest, in nanoseconds, per enum link_clock; known after the first measurement. */
struct times {
    bool known;
    int64_t offset[_LINK_CLOCK_N];
    int64_t round_trip; /* of the measurement that the offsets are from */
    int64_t measured_ms;
    uint64_t serial; /* of the ping under way */
    int64_t sent[_LINK_CLOCK_N];
};

/* A ping with this serial goes out now; its pong came. The pong with the least delay of the last 30
 * s counts. */
void times_ping(struct times *times, uint64_t serial);
void times_pong(struct times *times, const struct link_pong *pong);

/* Converts the time in a message that begins with tv_sec_hi, tv_sec_lo, tv_nsec, in place. @clock:
 * a CLOCK_ constant that wp_presentation announced. */
enum times_direction { TIMES_TO_GUEST, TIMES_TO_HOST };
void times_convert(const struct times *times, struct wl_message *message, uint32_t clock,
                   enum times_direction direction);
