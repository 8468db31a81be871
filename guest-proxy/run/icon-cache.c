/* SPDX-License-Identifier: MIT */
/* icon-cache: of one process, for as long as that lives; as many pictures as a menu may have
 * entries, so 16 MiB at most. */
#include "guest-proxy/run/icon-cache.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/list.h"

struct kept {
    char *path;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    struct run_icon icon;
    uint8_t *pixels; /* NULL: nothing became of it */
};

static struct kept *kept;
static size_t kept_n, room;

static bool is_of(const struct kept *k, const struct stat *st)
{
    return k->device == st->st_dev && k->inode == st->st_ino && k->size == st->st_size &&
           k->changed.tv_sec == st->st_mtim.tv_sec && k->changed.tv_nsec == st->st_mtim.tv_nsec;
}

static struct kept *find(const char *path)
{
    for (size_t i = 0; i < kept_n; i++)
        if (strcmp(kept[i].path, path) == 0)
            return &kept[i];
    return NULL;
}

static size_t size_of(const struct run_icon *icon)
{
    return (size_t)icon->width * icon->height * 4;
}

bool icon_cache_get(const char *path, const struct stat *st, struct run_icon *ret,
                    uint8_t pixels[RUN_ICON_MAX])
{
    const struct kept *k = find(path);
    if (!k || !is_of(k, st))
        return false;
    *ret = k->icon;
    if (k->pixels)
        memcpy(pixels, k->pixels, size_of(&k->icon));
    return true;
}

void icon_cache_put(const char *path, const struct stat *st, const struct run_icon *icon,
                    const uint8_t *pixels)
{
    struct kept *k = find(path);
    size_t size = size_of(icon);
    if (!k && array_room(&kept, &room, kept_n + 1, RUN_LIST_MAX) < 0)
        return;
    uint8_t *copy = size ? malloc(size) : NULL;
    char *name = k ? k->path : strdup(path);
    if (!name || (size && !copy)) {
        free(copy);
        if (!k)
            free(name);
        return;
    }
    if (k)
        free(k->pixels);
    else
        k = &kept[kept_n++];
    if (size)
        memcpy(copy, pixels, size);
    *k = (struct kept){.path = name,
                       .device = st->st_dev,
                       .inode = st->st_ino,
                       .size = st->st_size,
                       .changed = st->st_mtim,
                       .icon = *icon,
                       .pixels = copy};
}
