/* SPDX-License-Identifier: MIT */
#pragma once
/* desktop-list: the entries of this guest's menu, in the folders that XDG_DATA_HOME and
 * XDG_DATA_DIRS name. */
#include <stddef.h>

#include "guest-proxy/run/desktop-entry.h"
#include "protocol/run.h"

struct desktop_item {
    char id[RUN_ID_MAX + 1]; /* "foot.desktop", "kde-konsole.desktop" */
    char *path;              /* owned */
};

struct desktop_list {
    struct desktop_item *at; /* by their ids */
    size_t n, room;
    size_t left_out; /* there are more than RUN_LIST_MAX */
};

/* Called for each folder where a change may be one of entries; @only: of that name in it, NULL: of
 * any. */
typedef void desktop_watch(void *user, const char *folder, const char *only);

/* Finds them; no file is read yet. @watch may be NULL. 0 or -ENOMEM. */
int desktop_list_read(struct desktop_list *ret, desktop_watch *watch, void *user);
void desktop_list_finish(struct desktop_list *list);
/* Reads one. 0, -ENOENT: it is not there or not to be shown, or -EINVAL. */
int desktop_item_read(const struct desktop_item *item, struct desktop_entry *ret);
/* Finds and reads that one, whether it is to be shown or not. 0, -ENOENT, or -EINVAL. */
int desktop_find(const char *id, struct desktop_entry *ret);
/* The next of the folders with data, the most important first, "" for the first call's @at; NULL:
 * that was the last. @buffer has what is returned. */
const char *desktop_next_data(size_t *at, char *buffer, size_t size);
