/* SPDX-License-Identifier: MIT */
/* control-app: owns nothing. */
#include "common/control/control-app.h"

#include <stdio.h>
#include <string.h>

#include "common/base/refused.h"
#include "common/wayland/windows.h"

/* {"title", "app_id"} */
static json_t *app_windows(const struct relay *r)
{
    const struct window *w;
    unsigned n = 0;
    json_t *list = json_array();
    LIST_FOREACH (w, &r->windows, entry) {
        if (n++ == APP_WINDOWS_MAX)
            break;
        json_array_insert_new(
            list, 0,
            json_pack("{so so}", "title", json_words(w->title), "app_id", json_words(w->app_id)));
    }
    return list;
}

json_t *app_bytes(const struct ends *e)
{
    return json_pack("{so so so so so}", "wayland", json_count(e->sent.own + e->got.own), "memory",
                     json_count(e->sent.memory + e->got.memory), "streams",
                     json_count(e->sent.streams + e->got.streams), "copied",
                     json_count(e->sent.copies), "shared", json_count(e->sent.shared));
}

json_t *app_flow(const struct ends_flow *f, enum carrier_side side)
{
    bool host = side == CARRIER_HOST;
    return json_pack("{so so}", "to_host", json_count(host ? f->got : f->sent), "to_guest",
                     json_count(host ? f->sent : f->got));
}

static const char *app_pixels(const struct ends *e)
{
    uint64_t link = e->sent.memory + e->got.memory;
    if (e->sent.shared > link && e->sent.shared >= e->sent.copies)
        return "gpu";
    return e->sent.copies > link ? "copy" : "link";
}

void app_add_relay(json_t *object, const struct relay *r)
{
    const struct ends *e = &r->carrier.ends;
    json_object_set_new(object, "windows", app_windows(r));
    json_object_set_new(object, "bytes", app_bytes(e));
    json_object_set_new(object, "pixels", json_string(app_pixels(e)));
}

json_t *app_refused(const struct refused *r)
{
    json_t *list = json_array();
    for (unsigned i = 0; r && i < r->n; i++) {
        const struct refused_entry *e = &r->at[i];
        json_array_append_new(list,
                              json_pack("{so so so so so}", "when", json_time(e->when), "times",
                                        json_count(e->times), "rule", json_words(e->rule), "who",
                                        json_words(e->who), "text", json_words(e->text)));
    }
    return list;
}

json_t *app_name(const char *label)
{
    char name[80];
    const char *first = strchr(label, '('), *last = strrchr(label, ')');
    if (!first || !last || last < first + 2)
        return json_words(label);
    snprintf(name, sizeof(name), "%.*s", (int)(last - first - 1), first + 1);
    return json_words(name);
}
