/* SPDX-License-Identifier: MIT */
/* menu: the whole list is told each time: packages come and go seldom, and many files of one at a
 * time, so that it waits until there has been nothing new for a moment. */
#include "guest-proxy/run/menu.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/transport/run-socket.h"
#include "guest-proxy/run/desktop-list.h"
#include "guest-proxy/run/menu-icon.h"

#define SETTLE_MS 500

#define PARTLY_MAX 64

struct watches {
    int fd; /* inotify, owned */
    struct {
        int watch;
        const char *only; /* what else changes there is nothing to us */
    } partly[PARTLY_MAX];
    size_t n;
};

static void watch_folder(void *user, const char *folder, const char *only)
{
    struct watches *w = user;
    if (only && w->n == PARTLY_MAX)
        return;
    /* One that cannot be watched is told of with the next change of another. */
    int watch = inotify_add_watch(w->fd, folder,
                                  IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                      IN_MOVED_TO | IN_ONLYDIR);
    if (watch < 0 || !only)
        return;
    w->partly[w->n].watch = watch;
    w->partly[w->n++].only = only;
}

static bool watches_care(const struct watches *w, const struct inotify_event *event)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->partly[i].watch == event->wd)
            return event->len && strcmp(event->name, w->partly[i].only) == 0;
    return true;
}

/* Whether anything of what has happened matters. */
static bool watches_read(const struct watches *w)
{
    char bytes[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(w->fd, bytes, sizeof(bytes));
    bool any = false;
    for (const char *at = bytes; at < bytes + n;) {
        const struct inotify_event *event = (const struct inotify_event *)at;
        any |= watches_care(w, event);
        at += sizeof(*event) + event->len;
    }
    return any;
}

/* Appends @text and its zero, cut between characters; @end: there is no room beyond. */
static uint8_t *put(uint8_t *at, const uint8_t *end, const char *text)
{
    size_t n = strnlen(text, RUN_NAME_MAX - 1);
    while (n && ((uint8_t)text[n] & 0xc0) == 0x80)
        n--;
    if (n + 1 > (size_t)(end - at))
        n = 0;
    memcpy(at, text, n);
    at[n] = 0;
    return at + n + 1;
}

/* The id of its windows: what the entry says, or what most programs do. */
static void app_id_of(const struct desktop_entry *e, const char *id, char app_id[RUN_NAME_MAX])
{
    size_t n = strlen(id) - strlen(".desktop");
    if (*e->wm_class) {
        snprintf(app_id, RUN_NAME_MAX, "%.*s", (int)RUN_NAME_MAX - 1, e->wm_class);
        return;
    }
    memcpy(app_id, id, n);
    app_id[n] = 0;
}

static int tell_item(const struct run_socket *s, const struct desktop_item *item,
                     const struct desktop_entry *e)
{
    static struct menu_icon icon;
    uint8_t texts[RUN_ENTRY_TEXTS_MAX], *end = texts + sizeof(texts), *at = texts;
    char app_id[RUN_NAME_MAX];
    union run_message m = {.item = {.flags = e->terminal ? RUN_ITEM_TERMINAL : 0}};
    app_id_of(e, item->id, app_id);
    /* Each has at most RUN_NAME_MAX bytes, so that all of them fit. */
    const char *const all[_RUN_ITEM_TEXT_N] = {[RUN_ITEM_ID] = item->id,
                                               [RUN_ITEM_NAME] = e->name,
                                               [RUN_ITEM_GENERIC_NAME] = e->generic_name,
                                               [RUN_ITEM_COMMENT] = e->comment,
                                               [RUN_ITEM_CATEGORIES] = e->categories,
                                               [RUN_ITEM_KEYWORDS] = e->keywords,
                                               [RUN_ITEM_APP_ID] = app_id};
    for (int i = 0; i < _RUN_ITEM_TEXT_N; i++)
        at = put(at, end, all[i]);
    int r = run_socket_send(s, RUN_ITEM, &m, texts, (uint32_t)(at - texts), NULL, 0);
    if (r < 0 || menu_icon_read(e->icon, &icon) < 0)
        return r;
    m = (union run_message){.icon = icon.size};
    return run_socket_send(s, RUN_ICON, &m, icon.pixels,
                           (uint32_t)icon.size.width * icon.size.height * 4, NULL, 0);
}

static int tell(const struct run_socket *s, struct log_subject *subject, struct watches *watches)
{
    static struct desktop_entry entry;
    struct desktop_list list;
    size_t n = 0;
    int r = desktop_list_read(&list, watch_folder, watches);
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        if (desktop_item_read(&list.at[i], &entry) < 0)
            continue;
        r = tell_item(s, &list.at[i], &entry);
        n++;
    }
    if (r == 0) {
        log_info(subject, "the host was told of %zu entries of the menu", n);
        if (list.left_out)
            log_warn(subject, "%zu entries of the menu were left out, %u are told", list.left_out,
                     RUN_LIST_MAX);
        r = run_socket_send(s, RUN_LISTED, NULL, NULL, 0, NULL, 0);
    }
    desktop_list_finish(&list);
    return r;
}

/* 1: something has changed, 0: the connection is over. */
static int wait_for_change(const struct run_socket *s, const struct watches *watches)
{
    int timeout = -1;
    for (;;) {
        struct pollfd polls[] = {{.fd = s->fd, .events = POLLIN},
                                 {.fd = watches->fd, .events = POLLIN}};
        int n = poll(polls, 2, timeout);
        if (n < 0 && errno != EINTR)
            return 0;
        if (n == 0)
            return 1;
        if (polls[0].revents) /* there is nothing more to be said */
            return 0;
        if (polls[1].revents && watches_read(watches))
            timeout = SETTLE_MS;
    }
}

void menu_serve(struct run_socket *s, struct log_subject *subject)
{
    for (;;) {
        /* Anew each time: folders come and go as well. */
        struct watches watches = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
        bool goes_on =
            watches.fd >= 0 && tell(s, subject, &watches) == 0 && wait_for_change(s, &watches);
        fd_close(watches.fd);
        if (!goes_on)
            return;
    }
}
