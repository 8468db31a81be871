/* SPDX-License-Identifier: MIT */
/* desktop-list: of entries with the same id, the first one counts, as the specification has it.
 * Links to files are followed, as what they lead to is read as a user's program could; those to
 * folders are not, so nothing goes in circles. */
#include "guest-proxy/run/desktop-list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/list.h"
#include "guest-proxy/run/desktop-locale.h"

#define DEPTH_MAX 4
#define LOOKED_AT_MAX 65536 /* names in all folders together */

struct walk {
    struct desktop_list *list;
    desktop_watch *watch;
    void *user;
    size_t looked_at;
    size_t before; /* the list's, of folders that are done: these are in order */
};

const char *desktop_next_data(size_t *at, char *buffer, size_t size)
{
    const char *home = getenv("HOME"), *own = getenv("XDG_DATA_HOME"),
               *dirs = getenv("XDG_DATA_DIRS");
    int n;
    if (*at == 0) {
        *at = 1;
        n = own && *own == '/' ? snprintf(buffer, size, "%s", own)
                               : snprintf(buffer, size, "%s/.local/share", home ? home : "");
        return n > 0 && (size_t)n < size ? buffer : desktop_next_data(at, buffer, size);
    }
    if (!dirs || !*dirs)
        dirs = "/usr/local/share:/usr/share";
    while (*at - 1 < strlen(dirs)) {
        const char *from = dirs + *at - 1;
        size_t length = strcspn(from, ":");
        *at += length + 1;
        if (*from != '/' || length >= size)
            continue;
        memcpy(buffer, from, length);
        buffer[length] = 0;
        return buffer;
    }
    return NULL;
}

static int by_id(const void *a, const void *b)
{
    const struct desktop_item *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static int add(struct walk *w, const char *id, const char *path)
{
    struct desktop_list *l = w->list;
    struct desktop_item key;
    snprintf(key.id, sizeof(key.id), "%s", id);
    if (w->before && bsearch(&key, l->at, w->before, sizeof(*l->at), by_id))
        return 0;
    if (l->n == RUN_LIST_MAX) {
        l->left_out++;
        return 0;
    }
    if (array_room(&l->at, &l->room, l->n + 1, RUN_LIST_MAX) < 0 || !(key.path = strdup(path)))
        return -ENOMEM;
    l->at[l->n++] = key;
    return 0;
}

static int walk(struct walk *w, const char *folder, const char *prefix, unsigned depth)
{
    DIR *dir = opendir(folder);
    const struct dirent *d;
    int r = 0;
    if (!dir)
        return 0;
    if (w->watch)
        w->watch(w->user, folder, NULL);
    while (r == 0 && w->looked_at++ < LOOKED_AT_MAX && (d = readdir(dir))) {
        char path[PATH_MAX], id[RUN_ID_MAX + 2];
        struct stat st;
        if (*d->d_name == '.' ||
            (size_t)snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= sizeof(path) ||
            (size_t)snprintf(id, sizeof(id), "%s%s", prefix, d->d_name) >= sizeof(id) - 1)
            continue;
        if (run_id_is_valid(id)) {
            r = add(w, id, path);
        } else if (depth < DEPTH_MAX && lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            strcat(id, "-");
            r = walk(w, path, id, depth + 1);
        }
    }
    closedir(dir);
    return r;
}

int desktop_list_read(struct desktop_list *ret, desktop_watch *watch, void *user)
{
    struct walk w = {.list = ret, .watch = watch, .user = user};
    char data[PATH_MAX], folder[PATH_MAX + 16];
    size_t at = 0;
    int r = 0;
    *ret = (struct desktop_list){.at = NULL};
    while (r == 0 && desktop_next_data(&at, data, sizeof(data))) {
        if (watch) /* the folder goes with its last entry, and comes with the first one */
            watch(user, data, "applications");
        snprintf(folder, sizeof(folder), "%s/applications", data);
        r = walk(&w, folder, "", 0);
        if (ret->n)
            qsort(ret->at, ret->n, sizeof(*ret->at), by_id);
        w.before = ret->n;
    }
    if (r < 0)
        desktop_list_finish(ret);
    return r;
}

void desktop_list_finish(struct desktop_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->at[i].path);
    free(list->at);
    *list = (struct desktop_list){.at = NULL};
}

static int item_parse(const struct desktop_item *item, struct desktop_entry *ret)
{
    static char text[DESKTOP_FILE_MAX];
    struct desktop_locale locale;
    struct stat st;
    _cleanup_(fd_closep) int fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -ENOENT;
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)sizeof(text))
        return -EINVAL;
    ssize_t n = read(fd, text, sizeof(text));
    desktop_locale_session(&locale);
    return n < 0 ? -EINVAL : desktop_entry_parse(text, (size_t)n, &locale, ret);
}

/* Whether what TryExec names can be run. */
static bool can_be_tried(const char *program)
{
    const char *path = getenv("PATH");
    char candidate[PATH_MAX];
    if (!*program)
        return true;
    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t n = strcspn(at, ":");
        int wrote = snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)n, at, program);
        if (wrote > 0 && (size_t)wrote < sizeof(candidate) && access(candidate, X_OK) == 0)
            return true;
        at += n + (at[n] != 0);
    }
    return false;
}

int desktop_item_read(const struct desktop_item *item, struct desktop_entry *ret)
{
    int r = item_parse(item, ret);
    return r < 0 ? r : ret->hidden || !can_be_tried(ret->try_exec) ? -ENOENT : 0;
}

int desktop_find(const char *id, struct desktop_entry *ret)
{
    struct desktop_list list;
    struct desktop_item key;
    if (!run_id_is_valid(id))
        return -ENOENT;
    snprintf(key.id, sizeof(key.id), "%s", id);
    int r = desktop_list_read(&list, NULL, NULL);
    if (r < 0)
        return r;
    const struct desktop_item *found =
        list.n ? bsearch(&key, list.at, list.n, sizeof(key), by_id) : NULL;
    r = found ? item_parse(found, ret) : -ENOENT;
    desktop_list_finish(&list);
    return r;
}
