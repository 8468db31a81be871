/* SPDX-License-Identifier: MIT */
/* ask: all connections are waited for at once, so that whoever hangs costs the others nothing. */
#include "command/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/transport/address.h"

#define LINE_MAX_BYTES                                                                             \
    (64u << 20) /* of one answer: more than a VM may have, with all its titles                     \
                 */
#define READ_AT_ONCE (64u << 10)
#define AGAIN_MS 50 /* nothing tells when somebody's queue has room again */

/* 0; -EAGAIN: its queue is full; or negative: there is nobody. */
static int ask_try(struct ask *a)
{
    int r = address_connect_path(a->path, 0);
    if (r == -EAGAIN)
        return r;
    a->fd = r < 0 ? -1 : r;
    if (r >= 0 && send(a->fd, a->line, a->line_size, MSG_NOSIGNAL) != (ssize_t)a->line_size) {
        a->fd = fd_close(a->fd);
        r = -ECONNRESET;
    }
    free(a->line);
    a->line = NULL;
    return r < 0 ? r : 0;
}

int ask_prepare(struct ask *a, const char *path, json_t *request)
{
    *a = (struct ask){.fd = -1, .path = path};
    a->line = json_line(request, &a->line_size);
    json_decref(request);
    return a->line ? ask_try(a) : -ENOMEM;
}

int ask_begin(struct ask *a, const char *path, json_t *request)
{
    int64_t deadline = loop_now_ms() + ASK_MS;
    int r = ask_prepare(a, path, request);
    while (r == -EAGAIN && loop_now_ms() < deadline) {
        poll(NULL, 0, AGAIN_MS);
        r = ask_try(a);
    }
    if (r < 0)
        ask_end(a);
    return r;
}

int ask_read(struct ask *a)
{
    if (a->begin) {
        memmove(a->bytes, a->bytes + a->begin, a->n - a->begin);
        a->n -= a->begin;
        a->begin = 0;
    }
    int r = array_room(&a->bytes, &a->room, a->n + READ_AT_ONCE, LINE_MAX_BYTES);
    if (r < 0)
        return r;
    ssize_t n = recv(a->fd, a->bytes + a->n, READ_AT_ONCE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return n == 0 ? -ECONNRESET : -errno;
    a->n += (size_t)n;
    return memchr(a->bytes + a->n - n, '\n', (size_t)n) != NULL;
}

json_t *ask_line(struct ask *a)
{
    json_t *value = NULL;
    while (!value && a->n > a->begin) {
        const char *at = a->bytes + a->begin, *end = memchr(at, '\n', a->n - a->begin);
        if (!end)
            break;
        value = json_read(at, (size_t)(end - at)); /* what is none is passed over */
        a->begin += (size_t)(end - at) + 1;
    }
    return value;
}

void ask_end(struct ask *a)
{
    fd_close(a->fd);
    free(a->line);
    free(a->bytes);
    *a = (struct ask){.fd = -1};
}

static bool ask_look(struct ask *a, json_t **ret)
{
    int r = ask_read(a);
    if (r != 0)
        *ret = ask_line(a);
    return *ret || r < 0;
}

static bool ask_is_open(const struct ask *a)
{
    return a->fd >= 0 || a->line;
}

/* True: one of them is not connected yet. */
static bool asks_retry(struct ask *asks, size_t n)
{
    bool again = false;
    for (size_t i = 0; i < n; i++)
        again |= asks[i].line && ask_try(&asks[i]) == -EAGAIN;
    return again;
}

static size_t asks_open(const struct ask *asks, size_t n)
{
    size_t open = 0;
    for (size_t i = 0; i < n; i++)
        open += ask_is_open(&asks[i]);
    return open;
}

void asks_wait(struct ask *asks, size_t n, json_t **answers)
{
    struct pollfd *polled = calloc(n ? n : 1, sizeof(*polled));
    int64_t deadline = loop_now_ms() + ASK_MS, left = ASK_MS;
    for (size_t i = 0; i < n; i++)
        answers[i] = NULL;
    while (polled && asks_open(asks, n) && (left = deadline - loop_now_ms()) > 0) {
        bool again = asks_retry(asks, n);
        for (size_t i = 0; i < n; i++)
            polled[i] = (struct pollfd){.fd = asks[i].fd, .events = POLLIN};
        if (poll(polled, n, again && left > AGAIN_MS ? AGAIN_MS : (int)left) <= 0)
            continue;
        for (size_t i = 0; i < n; i++)
            if (polled[i].revents && ask_look(&asks[i], &answers[i]))
                ask_end(&asks[i]);
    }
    for (size_t i = 0; i < n; i++) {
        bool late = ask_is_open(&asks[i]);
        ask_end(&asks[i]);
        asks[i].late = late;
    }
    free(polled);
}
