/* SPDX-License-Identifier: MIT */
/* helper_feed: aborts when the helper breaks the rules of its interface. */
#include "tests/support/helper_feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

#define GROWTH 4096 /* what a message may grow by */

static void side_add(struct feed_side *side, const void *bytes, size_t n)
{
    if (side->n + n > side->room) {
        side->room = (side->n + n) * 2;
        side->bytes = realloc(side->bytes, side->room);
        if (!side->bytes)
            abort();
    }
    if (n)
        memcpy(side->bytes + side->n, bytes, n);
    side->n += n;
}

static void side_take(struct feed_side *side, size_t n)
{
    memmove(side->bytes, side->bytes + n, side->n - n);
    side->n -= n;
}

static int feed_answer(void *user, enum service_way way, const void *bytes, size_t size)
{
    struct feed *feed = user;
    side_add(&feed->said[way], bytes, size);
    feed->answered++;
    return 0;
}

static int feed_fail(void *user, const char *text)
{
    struct feed *feed = user;
    feed->failed = true;
    snprintf(feed->text, sizeof(feed->text), "%s", text);
    return -EPROTO;
}

static int feed_role(void *user, const struct service_role *role)
{
    struct feed *feed = user;
    feed->roles[feed->roles_n++ % (sizeof(feed->roles) / sizeof(*feed->roles))] = *role;
    return 0;
}

/* Its descriptors go, and then the message itself. */
static bool feed_pass(struct feed *feed, enum service_way way, unsigned fds)
{
    if (fds > 253)
        abort();
    for (unsigned i = 0; i < fds && feed->ops->sent; i++) {
        struct service_descriptor known = {0};
        feed->ops->descriptor(feed->helper, way, i, &known);
        feed->ops->sent(feed->helper, way, i, ++feed->vfd);
    }
    return !feed->ops->passing || feed->ops->passing(feed->helper, way) == 0;
}

void feed_init(struct feed *feed, const struct service_helper_ops *ops,
               const struct service_settings *settings)
{
    log_init("feed", LOG_LEVEL_ERROR); /* what is refused is counted, not read */
    memset(feed, 0, sizeof(*feed));
    feed->ops = ops;
    feed->sink = (struct service_sink){
        .say = feed_answer, .fail = feed_fail, .role = feed_role, .user = feed};
    feed->helper = ops->create(settings, &feed->sink, NULL);
    if (!feed->helper)
        abort();
}

void feed_clear(struct feed *feed)
{
    feed->said[SERVICE_FROM_CLIENT].n = feed->said[SERVICE_FROM_SERVER].n = 0;
    feed->dropped = feed->answered = feed->roles_n = 0;
}

void feed_finish(struct feed *feed)
{
    feed->ops->destroy(feed->helper);
    for (int way = 0; way < _SERVICE_WAY_N; way++) {
        free(feed->waiting[way].bytes);
        free(feed->said[way].bytes);
    }
}

/* The frame that begins at what waits; false: more is needed, or it is over. */
static bool feed_frame(struct feed *feed, enum service_way way)
{
    struct feed_side *in = &feed->waiting[way];
    struct service_frame frame = {0};
    /* In memory of exactly its size, so that a read beyond it is seen. */
    uint8_t *exact = malloc(in->n ? in->n : 1);
    if (!exact)
        abort();
    if (in->n)
        memcpy(exact, in->bytes, in->n);
    int result = feed->ops->frame(feed->helper, way, exact, in->n, &frame);
    free(exact);
    if (result < 0)
        feed->failed = true;
    if (result <= 0) {
        if (!result && in->n >= SERVICE_HEAD_MAX)
            abort();
        return false;
    }
    if (!frame.size || frame.look > frame.size || frame.look > SERVICE_LOOK_MAX)
        abort();
    if (in->n < frame.look)
        return false;
    feed->dropping[way] = false;
    if (frame.look) {
        size_t size = frame.look, room = frame.look + GROWTH;
        uint8_t *message = malloc(room);
        if (!message)
            abort();
        memcpy(message, in->bytes, size);
        result = feed->ops->message(feed->helper, way, message, &size, room);
        if (result < 0)
            feed->failed = true;
        else if (size > room || (size != frame.look && frame.look != frame.size))
            abort();
        else if (result == SERVICE_PASS && !feed_pass(feed, way, frame.fds))
            feed->failed = true;
        else if (result == SERVICE_PASS)
            side_add(&feed->said[way], message, size);
        free(message);
        if (result < 0)
            return false;
        if (result == SERVICE_DROP) {
            feed->dropped++;
            feed->dropping[way] = true;
        }
        side_take(in, frame.look);
    }
    feed->passing[way] = frame.size - frame.look;
    return true;
}

static void feed_run(struct feed *feed, enum service_way way)
{
    struct feed_side *in = &feed->waiting[way];
    while (!feed->failed && in->n) {
        if (feed->passing[way]) {
            size_t n = in->n < feed->passing[way] ? in->n : (size_t)feed->passing[way];
            if (!feed->dropping[way])
                side_add(&feed->said[way], in->bytes, n);
            side_take(in, n);
            feed->passing[way] -= n;
        } else if (!feed_frame(feed, way)) {
            return;
        }
    }
}

void feed_say(struct feed *feed, enum service_way way, const void *bytes, size_t n, size_t step)
{
    for (size_t at = 0; at < n && !feed->failed;) {
        size_t piece = step && step < n - at ? step : n - at;
        side_add(&feed->waiting[way], (const uint8_t *)bytes + at, piece);
        feed_run(feed, way);
        at += piece;
    }
}
