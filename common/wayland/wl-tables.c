/* SPDX-License-Identifier: MIT */
/* wl-tables: looks the generated tables up, which are sorted by name. */
#include "common/wayland/wl-tables.h"

#include <stdlib.h>
#include <string.h>

struct key {
    const char *name;
    size_t len;
};

static int compare(const void *key_pointer, const void *element)
{
    const struct key *key = key_pointer;
    const struct wl_iface *iface = *(const struct wl_iface *const *)element;
    const size_t len = strlen(iface->name);
    const size_t common = key->len < len ? key->len : len;
    const int order = memcmp(key->name, iface->name, common);

    if (order != 0)
        return order;
    return (key->len > len) - (key->len < len);
}

const struct wl_iface *wl_iface_find(const char *name, size_t len)
{
    const struct key key = {name, len};
    const struct wl_iface *const *found;

    if (len == 0)
        return NULL; /* name may be NULL */
    found = bsearch(&key, wl_ifaces, wl_ifaces_n, sizeof(wl_ifaces[0]), compare);
    return found ? *found : NULL;
}
