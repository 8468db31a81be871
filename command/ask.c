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

int ask_begin(struct ask *a, const char *path, json_t *request)
{
    size_t n;
    char *line = json_line(request, &n);
    json_decref(request);
    *a = (struct ask){.fd = line ? address_connect_path(path, ASK_MS) : -ENOMEM};
    if (a->fd >= 0 && send(a->fd, line, n, MSG_NOSIGNAL) != (ssize_t)n) {
        fd_close(a->fd);
        a->fd = -ECONNRESET;
    }
    free(line);
    int r = a->fd < 0 ? a->fd : 0;
    a->fd = r < 0 ? -1 : a->fd;
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
    a->fd = fd_close(a->fd);
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

void asks_wait(struct ask *asks, size_t n, json_t **answers)
{
    struct pollfd *polled = calloc(n ? n : 1, sizeof(*polled));
    int64_t deadline = loop_now_ms() + ASK_MS, left = ASK_MS;
    size_t open = 0;
    for (size_t i = 0; i < n; i++) {
        answers[i] = NULL;
        open += asks[i].fd >= 0;
    }
    while (polled && open && (left = deadline - loop_now_ms()) > 0) {
        for (size_t i = 0; i < n; i++)
            polled[i] = (struct pollfd){.fd = asks[i].fd, .events = POLLIN};
        if (poll(polled, n, (int)left) <= 0)
            continue;
        for (size_t i = 0; i < n; i++) {
            if (polled[i].revents && ask_look(&asks[i], &answers[i])) {
                ask_end(&asks[i]);
                open--;
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        ask_end(&asks[i]);
    free(polled);
}
