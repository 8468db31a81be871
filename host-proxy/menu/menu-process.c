/* SPDX-License-Identifier: MIT */
/* menu-process: an entry is written when what follows it shows that its icon came, or that it has
 * none; what was not among a whole list is removed at its end. */
#include "host-proxy/menu/menu-process.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"
#include "common/transport/run-socket.h"
#include "host-proxy/menu/menu-folder.h"
#include "host-proxy/menu/menu-png.h"

#define REST_S 1 /* between two lists: a VM does not keep the disk busy */

struct menu {
    const struct menu_style *style;
    struct run_socket socket;
    struct log_subject *subject;
    char folder[MENU_PATH_MAX];
    char (*names)[MENU_NAME_SIZE]; /* of this list */
    size_t n;
    bool pending; /* an ITEM, whose icon may follow */
    struct run_item item;
    uint8_t texts[RUN_ENTRY_TEXTS_MAX];
    uint32_t texts_n;
    unsigned odd; /* entries with an id that is none */
};

/* Files are made, and take the place of others. */
static const struct filter_rule rename_calls[] = {
    FILTER_CALL("rename"),
    FILTER_CALL("renameat"),
    FILTER_CALL("renameat2"),
    FILTER_END,
};

static int menu_limit(const struct menu *m)
{
    static const struct filter_rule *const tables[] = {filter_rules_base, filter_rules_no_code,
                                                       rename_calls, NULL};
    struct landlock paths;
    int r = landlock_begin(&paths, sandbox_wishes());
    if (r == 0)
        r = landlock_allow(&paths, m->folder,
                           LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_LIST | LANDLOCK_REMOVE_FILE |
                               LANDLOCK_MAKE_FILE);
    if (r < 0) {
        landlock_drop(&paths);
        return r;
    }
    r = sandbox_enter(&paths);
    return r < 0 ? r : sandbox_filter(tables, 0);
}

/* 0, or negative: it makes no sense to go on. */
static int menu_write(struct menu *m, const struct run_icon *icon, const uint8_t *pixels)
{
    static uint8_t png[MENU_PNG_MAX];
    char text[MENU_TEXT_MAX], file[MENU_NAME_SIZE + 16], path[MENU_PATH_MAX + MENU_NAME_SIZE + 16];
    char *name = m->names[m->n];
    int r = 0;
    if (!m->pending)
        return 0;
    m->pending = false;
    menu_text_name((const char *)m->texts, name);
    if (icon) {
        snprintf(file, sizeof(file), "%s.png", name);
        snprintf(path, sizeof(path), "%s/%s", m->folder, file);
        r = menu_folder_put(m->folder, file, png,
                            menu_png_write(pixels, icon->width, icon->height, png));
    }
    int n = menu_text_write(m->style, &m->item, m->texts, m->texts_n, icon && r == 0 ? path : NULL,
                            text);
    if (n < 0) {
        m->odd++;
        return 0;
    }
    snprintf(file, sizeof(file), "%s.desktop", name);
    r = menu_folder_put(m->folder, file, text, (size_t)n);
    if (r < 0)
        log_warn(m->subject, "menu: cannot write %s/%s: %s", m->folder, file, strerror(-r));
    else
        m->n++;
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int menu_keep(void *user, const char *name)
{
    const struct menu *m = user;
    return m->n && strlen(name) < MENU_NAME_SIZE &&
           bsearch(name, m->names, m->n, sizeof(*m->names), by_name);
}

static void menu_listed(struct menu *m)
{
    if (m->n)
        qsort(m->names, m->n, sizeof(*m->names), by_name);
    menu_folder_clear(m->folder, menu_keep, m);
    log_info(m->subject, "menu: %zu entries", m->n);
    if (m->odd)
        log_warn(m->subject, "menu: %u entries have no proper id, and are left out", m->odd);
    m->n = m->odd = 0;
    nanosleep(&(struct timespec){.tv_sec = REST_S}, NULL);
}

/* 0, MENU_* when it is over, or negative: what came makes no sense. */
static int menu_take(struct menu *m, unsigned type, const union run_message *got,
                     const uint8_t *data, uint32_t size)
{
    if (type == RUN_FAILED) {
        log_info(m->subject, "menu: %s", (const char *)data);
        return MENU_REFUSED;
    }
    int r = type == RUN_ICON ? menu_write(m, &got->icon, data) : menu_write(m, NULL, NULL);
    if (r < 0)
        return MENU_FAILED;
    if (type == RUN_ITEM) {
        if (m->n + m->odd >= RUN_LIST_MAX) {
            log_warn(m->subject, "menu: it has more than %u entries", RUN_LIST_MAX);
            return MENU_FAILED;
        }
        m->pending = true;
        m->item = got->item;
        m->texts_n = size;
        memcpy(m->texts, data, size);
    } else if (type == RUN_LISTED) {
        menu_listed(m);
    } else if (type != RUN_ICON) {
        return -EPROTO;
    }
    return 0;
}

static int menu_serve(struct menu *m)
{
    union run_message got;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    int r = 0;
    bool any = false;
    /* Who refuses may have done so already: that is there to be read all the same. */
    run_socket_send(&m->socket, RUN_MENU, NULL, NULL, 0, NULL, 0);
    while (r == 0) {
        r = run_socket_wait(&m->socket, -1, &type, &got, &data, &size);
        if (r <= 0)
            break;
        any |= type != RUN_FAILED;
        r = menu_take(m, type, &got, data, size);
        if (r > 0)
            return r;
    }
    if (r == -EPROTO)
        log_warn(m->subject, "menu: the guest said what makes no sense");
    return r == -EPROTO ? MENU_FAILED : any ? MENU_SERVED : MENU_REFUSED;
}

int menu_process_run(const struct menu_style *style, int channel, struct log_subject *subject)
{
    struct menu m = {.style = style, .subject = subject};
    prctl(PR_SET_NAME, "wayvsock-menu");
    /* One more than can be, so that the last one is told from the one that is too many. */
    m.names = calloc(RUN_LIST_MAX + 1, sizeof(*m.names));
    int r = run_socket_init(&m.socket, channel);
    if (r == 0)
        r = m.names ? menu_folder_path(style->vm, m.folder) : -ENOMEM;
    if (r == 0)
        r = menu_folder_make(m.folder);
    if (r < 0)
        log_error(subject, "menu: no folder for its entries: %s", strerror(-r));
    else
        r = menu_limit(&m);
    int status = r < 0 ? MENU_FAILED : menu_serve(&m);
    run_socket_finish(&m.socket);
    free(m.names);
    return status;
}
