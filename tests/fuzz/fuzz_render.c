/* SPDX-License-Identifier: MIT */
/* What a device says to its renderer, and a renderer to its device: {u8 whose, u16 size, packet}. A
 * renderer that keeps the books serves the one; the other asks for something of each kind first and
 * hears what it is told. Neither believes anything, and nothing is left at the end. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/gpu/render-channel.h"
#include "host-proxy/gpu/renderer/render-server.h"
#include "tests/support/renderer_fake.h"
#include "tests/support/send_fds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static unsigned ended, answers;

static void server_ended(void *user, int reason)
{
    (void)user;
    (void)reason;
    ended++;
}

static bool channel_ready(void *user, const struct renderer_capset *capsets, unsigned n)
{
    (void)user;
    for (unsigned i = 0; i < n; i++)
        if (capsets[i].size == 0 || capsets[i].size > RENDER_CAPSET_SIZE_MAX)
            abort();
    return true;
}

static void channel_finished(void *user, uint32_t number)
{
    (void)user;
    if (number != 1)
        abort();
}

static void channel_transferred(void *user, const struct renderer_transfer *transfer, int result)
{
    (void)user;
    (void)result;
    if (!transfer->stage.bytes)
        abort();
    answers++;
}

static void channel_exported(void *user, uint64_t ticket, int fd,
                             const struct render_layout *layout)
{
    (void)user;
    (void)layout;
    if (ticket != 9 || fd >= 0)
        abort();
    answers++;
}

static void channel_answered(void *user)
{
    (void)user;
}

static void channel_ended(void *user, const char *text)
{
    (void)user;
    if (text && strlen(text) >= RENDER_TEXT_SIZE)
        abort();
    ended++;
}

static void stop(void *user)
{
    (void)user;
    loop_stop(loop);
}

static void turn(struct loop_timer *timer)
{
    loop_timer_arm(timer, 0);
    loop_run(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct render_channel_ops ops = {channel_ready,       channel_finished,
                                                  channel_transferred, channel_exported,
                                                  channel_answered,    channel_ended};
    int to_server[2], to_channel[2];
    log_init("fuzz", LOG_LEVEL_ERROR);
    loop = loop_create();
    struct loop_timer *timer = loop ? loop_timer_create(loop, stop, NULL) : NULL;
    if (!timer || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, to_server) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, to_channel) < 0)
        abort();
    ended = answers = 0;
    struct render_server *server =
        render_server_create(loop, to_server[0], fake_engine(), server_ended, NULL);
    struct render_channel *channel = render_channel_create(loop, to_channel[0], 0, &ops, NULL);
    struct renderer_transfer t = {.what = {.resource = 5, .box = {0, 0, 0, 1, 1, 1}}};
    const uint32_t words[2] = {0};
    if (!server || !channel || render_channel_stage(channel, 64, &t.stage) < 0)
        abort();
    t.what.range = t.stage.range;
    render_channel_transfer(channel, &t);
    render_channel_submit(channel, 1, words, 2);
    render_channel_export(channel, 5, 9);
    render_channel_fence(channel, 1, 1);
    while (size >= 3) {
        bool to_device = data[0] & 1, with_fd = data[0] & 2;
        size_t n = (size_t)data[1] | (size_t)data[2] << 8;
        data += 3;
        size -= 3;
        n = n < size ? n : size;
        int fd = with_fd ? fd_memfd("fuzz", 4096) : -1;
        if (fd >= 0 && data[-3] & 4)
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
        send_fds(to_device ? to_channel[1] : to_server[1], data, n, &fd, fd >= 0);
        fd_close(fd);
        data += n;
        size -= n;
        turn(timer);
    }
    turn(timer);
    render_channel_destroy(channel);
    render_server_destroy(server);
    if (answers != 2 || ended > 2 || fake.n_contexts > 0 || fake.n_resources > 0)
        abort();
    close(to_server[1]);
    close(to_channel[1]);
    loop_timer_destroy(timer);
    loop_destroy(loop);
    return 0;
}
