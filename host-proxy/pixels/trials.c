/* SPDX-License-Identifier: MIT */
/* linux-dmabuf is described here by hand, as far as it is used (version 3: the formats are told as
 * events). The compositor says by which of two events it answers; one that ends the connection, or
 * says nothing, is not asked again so soon. */
#include "host-proxy/pixels/trials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wayland-client.h>

#include "common/base/fd.h"
#include "common/base/fourcc.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"

#define VERSION 3
#define TRIALS_MAX 64
#define FORMATS_MAX 8192
#define PATIENCE_MS 1000
#define PAUSE_MS 10000 /* after it failed */
#define LAYOUTS_MAX 64 /* remembered */

static const struct wl_interface *no_types[] = {NULL, NULL, NULL, NULL, NULL, NULL};
static const struct wl_interface *created_types[] = {&wl_buffer_interface};
static const struct wl_message params_requests[] = {
    {"destroy", "", no_types},
    {"add", "huuuuu", no_types},
    {"create", "iiuu", no_types},
};
static const struct wl_message params_events[] = {
    {"created", "n", created_types},
    {"failed", "", no_types},
};
static const struct wl_interface params_interface = {
    "zwp_linux_buffer_params_v1", VERSION, 3, params_requests, 2, params_events};
static const struct wl_interface *params_types[] = {&params_interface};
static const struct wl_message dmabuf_requests[] = {
    {"destroy", "", no_types},
    {"create_params", "n", params_types},
};
static const struct wl_message dmabuf_events[] = {
    {"format", "u", no_types},
    {"modifier", "3uuu", no_types},
};
static const struct wl_interface dmabuf_interface = {"zwp_linux_dmabuf_v1", VERSION, 2,
                                                     dmabuf_requests,       2,       dmabuf_events};

enum { DMABUF_CREATE_PARAMS = 1 };
enum { PARAMS_DESTROY, PARAMS_ADD, PARAMS_CREATE };

struct trial {
    TAILQ_ENTRY(trial) entry; /* trials::asked */
    struct trials *owner;
    struct export_buffer what;
    int fd;                                 /* until it is handed over; owned */
    struct wl_proxy *params;                /* from then on */
    void (*answer)(void *user, bool takes); /* NULL: forgotten */
    void *user;
};

/* What trials_takes() has asked. */
struct layout {
    struct export_buffer what; /* width 0: none */
    bool takes;                /* false while it is being tried */
};

TAILQ_HEAD(trial_list, trial);

struct trials {
    struct loop *loop;
    int (*connect)(void *user, char *error, size_t error_size);
    void *user;
    struct log_subject *subject;
    struct wl_display *display; /* NULL: no connection */
    struct loop_io *io;
    struct loop_timer *timer; /* for the oldest answer */
    struct wl_registry *registry;
    struct wl_proxy *dmabuf; /* NULL: it has none, or has not told yet */
    struct wl_callback *sync;
    bool complete; /* all formats are known */
    struct {
        uint32_t fourcc;
        uint64_t modifier;
    } * formats;
    size_t n_formats, formats_room;
    struct trial_list asked; /* not answered yet */
    unsigned n;
    int64_t pause_until;
    struct layout layouts[LAYOUTS_MAX];
    unsigned next_layout;
};

static bool knows(const struct trials *t, uint32_t fourcc, uint64_t modifier)
{
    for (size_t i = 0; i < t->n_formats; i++)
        if (t->formats[i].fourcc == fourcc && t->formats[i].modifier == modifier)
            return true;
    return false;
}

static bool may_take(const struct trials *t, const struct export_buffer *what)
{
    uint32_t alpha = fourcc_with_alpha(what->fourcc, true),
             opaque = fourcc_with_alpha(what->fourcc, false);
    return t->dmabuf && alpha && knows(t, alpha, what->modifier) &&
           knows(t, opaque, what->modifier);
}

/* @trial's place in the list is the caller's affair. */
static void trials_end(struct trial *trial, bool takes)
{
    struct trials *t = trial->owner;
    const struct export_buffer *what = &trial->what;
    log_debug(t->subject, "a dmabuf of %ux%u, format %#x, modifier %#llx: the compositor %s it",
              what->width, what->height, what->fourcc, (unsigned long long)what->modifier,
              takes ? "takes" : "does not take");
    if (trial->params)
        wl_proxy_marshal_flags(trial->params, PARAMS_DESTROY, NULL, VERSION,
                               WL_MARSHAL_FLAG_DESTROY);
    fd_close(trial->fd);
    void (*answer)(void *, bool) = trial->answer;
    void *user = trial->user;
    free(trial);
    if (answer)
        answer(user, takes);
}

static void take_out(struct trial *trial)
{
    struct trials *t = trial->owner;
    TAILQ_REMOVE(&t->asked, trial, entry);
    t->n--;
    if (t->n)
        loop_timer_arm(t->timer, PATIENCE_MS);
    else
        loop_timer_disarm(t->timer);
}

static void trials_answered(struct trial *trial, bool takes)
{
    take_out(trial);
    trials_end(trial, takes);
}

/* Not from within one of its callbacks. */
static void trials_disconnect(struct trials *t)
{
    struct trial *trial;
    TAILQ_FOREACH (trial, &t->asked, entry) {
        if (trial->params)
            wl_proxy_destroy(trial->params);
        trial->params = NULL;
    }
    loop_io_destroy(t->io);
    if (t->sync)
        wl_callback_destroy(t->sync);
    if (t->dmabuf)
        wl_proxy_destroy(t->dmabuf);
    if (t->registry)
        wl_registry_destroy(t->registry);
    if (t->display)
        wl_display_disconnect(t->display);
    free(t->formats);
    t->io = NULL;
    t->sync = NULL;
    t->dmabuf = NULL;
    t->registry = NULL;
    t->display = NULL;
    t->formats = NULL;
    t->n_formats = t->formats_room = 0;
    t->complete = false;
    for (unsigned i = 0; i < LAYOUTS_MAX; i++) {
        trials_forget(t, &t->layouts[i]);
        t->layouts[i] = (struct layout){0};
    }
}

static void trials_give_up(struct trials *t, const char *why)
{
    log_info(t->subject, "dmabufs are not tried on the compositor for %d s: %s", PAUSE_MS / 1000,
             why);
    t->pause_until = loop_now_ms() + PAUSE_MS;
    trials_disconnect(t);
    for (struct trial *trial; (trial = TAILQ_FIRST(&t->asked));)
        trials_answered(trial, false);
}

static void trials_expired(void *user)
{
    trials_give_up(user, "it does not answer");
}

static void created(void *user, struct wl_proxy *params, struct wl_buffer *buffer)
{
    (void)params;
    wl_buffer_destroy(buffer);
    trials_answered(user, true);
}

static void trials_failed(void *user, struct wl_proxy *params)
{
    (void)params;
    trials_answered(user, false);
}

static void submit(struct trials *t, struct trial *trial)
{
    static const struct {
        void (*created)(void *, struct wl_proxy *, struct wl_buffer *);
        void (*failed)(void *, struct wl_proxy *);
    } listener = {created, trials_failed};
    const struct export_buffer *what = &trial->what;
    trial->params = wl_proxy_marshal_flags(t->dmabuf, DMABUF_CREATE_PARAMS, &params_interface,
                                           VERSION, 0, NULL);
    if (!trial->params)
        return; /* it is out of memory: our patience ends */
    wl_proxy_add_listener(trial->params, (void (**)(void)) & listener, trial);
    wl_proxy_marshal_flags(trial->params, PARAMS_ADD, NULL, VERSION, 0, trial->fd, 0u,
                           what->offset[0], what->stride[0], (uint32_t)(what->modifier >> 32),
                           (uint32_t)what->modifier);
    trial->fd = fd_close(trial->fd);
    wl_proxy_marshal_flags(trial->params, PARAMS_CREATE, NULL, VERSION, 0, (int32_t)what->width,
                           (int32_t)what->height, what->fourcc, 0u);
}

static void submit_all(struct trials *t)
{
    t->complete = true;
    struct trial *trial;
    TAILQ_FOREACH (trial, &t->asked, entry)
        if (may_take(t, &trial->what))
            submit(t, trial);
    trial = TAILQ_FIRST(&t->asked);
    while (trial) {
        if (may_take(t, &trial->what)) {
            trial = TAILQ_NEXT(trial, entry);
            continue;
        }
        trials_answered(trial, false);
        trial = TAILQ_FIRST(&t->asked); /* whoever got the answer may have asked again */
    }
}

static void format(void *user, struct wl_proxy *dmabuf, uint32_t fourcc)
{
    (void)user; /* without a modifier it means nothing from version 3 on */
    (void)dmabuf;
    (void)fourcc;
}

static void modifier(void *user, struct wl_proxy *dmabuf, uint32_t fourcc, uint32_t high,
                     uint32_t low)
{
    struct trials *t = user;
    (void)dmabuf;
    if (array_room(&t->formats, &t->formats_room, t->n_formats + 1, FORMATS_MAX) < 0)
        return;
    t->formats[t->n_formats].fourcc = fourcc;
    t->formats[t->n_formats++].modifier = (uint64_t)high << 32 | low;
}

static void trials_global(void *user, struct wl_registry *registry, uint32_t name,
                          const char *interface, uint32_t version)
{
    static const struct {
        void (*format)(void *, struct wl_proxy *, uint32_t);
        void (*modifier)(void *, struct wl_proxy *, uint32_t, uint32_t, uint32_t);
    } listener = {format, modifier};
    struct trials *t = user;
    if (strcmp(interface, dmabuf_interface.name) != 0 || version < VERSION || t->dmabuf)
        return;
    t->dmabuf = wl_registry_bind(registry, name, &dmabuf_interface, VERSION);
    if (t->dmabuf)
        wl_proxy_add_listener(t->dmabuf, (void (**)(void)) & listener, t);
}

static void global_remove(void *user, struct wl_registry *registry, uint32_t name)
{
    (void)user;
    (void)registry;
    (void)name;
}

static void synced(void *user, struct wl_callback *callback, uint32_t serial);
static const struct wl_callback_listener sync_listener = {synced};

static void ask_sync(struct trials *t)
{
    t->sync = wl_display_sync(t->display);
    if (t->sync)
        wl_callback_add_listener(t->sync, &sync_listener, t);
}

/* All globals are known, and then all formats. */
static void synced(void *user, struct wl_callback *callback, uint32_t serial)
{
    struct trials *t = user;
    (void)serial;
    bool globals = t->registry != NULL;
    wl_callback_destroy(callback);
    t->sync = NULL;
    if (globals && t->dmabuf) {
        wl_registry_destroy(t->registry);
        t->registry = NULL;
        ask_sync(t);
    } else {
        submit_all(t);
    }
}

static void trials_flush(struct trials *t)
{
    bool rest = wl_display_flush(t->display) < 0 && errno == EAGAIN;
    loop_io_set(t->io, LOOP_READ | (rest ? LOOP_WRITE : 0));
}

static void trials_ready(void *user, unsigned events)
{
    struct trials *t = user;
    int r = 0;
    if (events & LOOP_READ) {
        while (r >= 0 && wl_display_prepare_read(t->display) < 0)
            r = wl_display_dispatch_pending(t->display);
        if (r >= 0)
            r = wl_display_read_events(t->display);
    }
    if (r >= 0 && wl_display_dispatch_pending(t->display) >= 0)
        trials_flush(t);
    else if (t->n)
        trials_give_up(t, "it ended the connection");
    else
        trials_disconnect(t); /* nobody has asked: it has ended, and the next may answer */
}

static int open_connection(struct trials *t)
{
    static const struct wl_registry_listener listener = {trials_global, global_remove};
    char error[256];
    int fd = t->connect(t->user, error, sizeof(error));
    if (fd < 0) {
        trials_give_up(t, error);
        return fd;
    }
    t->display = wl_display_connect_to_fd(fd);
    t->registry = t->display ? wl_display_get_registry(t->display) : NULL;
    t->io = t->registry ? loop_io_create(t->loop, fd, LOOP_READ, trials_ready, t) : NULL;
    if (!t->io) {
        trials_give_up(t, "out of memory");
        return -ENOMEM;
    }
    wl_registry_add_listener(t->registry, &listener, t);
    ask_sync(t);
    return 0;
}

/* What the library says of a compositor's error; trials_give_up() says the rest. */
__attribute__((format(printf, 1, 0))) static void library_says(const char *text, va_list arguments)
{
    char line[256];
    vsnprintf(line, sizeof(line), text, arguments);
    log_debug(NULL, "libwayland: %s", line);
}

struct trials *trials_create(struct loop *loop,
                             int (*connect)(void *user, char *error, size_t error_size), void *user,
                             struct log_subject *subject)
{
    struct trials *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->loop = loop;
    t->connect = connect;
    t->user = user;
    t->subject = subject;
    TAILQ_INIT(&t->asked);
    wl_log_set_handler_client(library_says);
    t->timer = loop_timer_create(loop, trials_expired, t);
    if (!t->timer) {
        free(t);
        return NULL;
    }
    return t;
}

void trials_destroy(struct trials *t)
{
    if (!t)
        return;
    trials_disconnect(t);
    for (struct trial *trial; (trial = TAILQ_FIRST(&t->asked));) {
        trial->answer = NULL;
        trials_answered(trial, false);
    }
    loop_timer_destroy(t->timer);
    free(t);
}

int trials_ask(struct trials *t, const struct export_buffer *picture, int fd,
               void (*answer)(void *user, bool takes), void *user)
{
    if (t->n >= TRIALS_MAX || loop_now_ms() < t->pause_until)
        return -EAGAIN;
    if (t->complete && !may_take(t, picture))
        return -ENOTSUP;
    int e = t->display ? 0 : open_connection(t);
    if (e < 0)
        return e;
    struct trial *trial = calloc(1, sizeof(*trial));
    int own = trial ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (own < 0) {
        free(trial);
        return -ENOMEM;
    }
    *trial =
        (struct trial){.owner = t, .what = *picture, .fd = own, .answer = answer, .user = user};
    TAILQ_INSERT_TAIL(&t->asked, trial, entry);
    if (t->n++ == 0)
        loop_timer_arm(t->timer, PATIENCE_MS);
    if (t->complete)
        submit(t, trial);
    trials_flush(t);
    return 0;
}

static void trials_remember(void *user, bool takes)
{
    struct layout *layout = user;
    layout->takes = takes;
}

bool trials_takes(struct trials *t, const struct export_buffer *what, int fd)
{
    for (unsigned i = 0; i < LAYOUTS_MAX; i++) {
        const struct export_buffer *known = &t->layouts[i].what;
        if (known->width == what->width && known->height == what->height &&
            known->fourcc == what->fourcc && known->modifier == what->modifier &&
            known->offset[0] == what->offset[0] && known->stride[0] == what->stride[0])
            return t->layouts[i].takes;
    }
    struct layout *oldest = &t->layouts[t->next_layout];
    trials_forget(t, oldest);
    *oldest = (struct layout){0};
    if (trials_ask(t, what, fd, trials_remember, oldest) == 0) {
        oldest->what = *what;
        t->next_layout = (t->next_layout + 1) % LAYOUTS_MAX;
    }
    return false;
}

void trials_forget(struct trials *t, const void *user)
{
    struct trial *trial;
    TAILQ_FOREACH (trial, &t->asked, entry)
        if (trial->user == user)
            trial->answer = NULL;
}
