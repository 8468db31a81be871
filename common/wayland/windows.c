/* SPDX-License-Identifier: MIT */
/* windows: owns the texts. What the party cannot pay for is not remembered, and nobody is worse
 * off: they are for people who look, not for what is passed on. */
#include "common/wayland/windows.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/budget.h"
#include "common/base/text.h"

#define TEXT_MAX 256 /* characters */

static void window_drop(struct window *w, char **text)
{
    if (*text)
        budget_give(w->budget, BUDGET_MEMORY, strlen(*text) + 1);
    free(*text);
    *text = NULL;
}

static void window_destroy(struct wl_data *data)
{
    struct window *w = (struct window *)data;
    LIST_REMOVE(w, entry);
    window_drop(w, &w->title);
    window_drop(w, &w->app_id);
    budget_give(w->budget, BUDGET_MEMORY, sizeof(*w));
    free(w);
}

static const struct wl_data_type window_type = {.name = "window", .destroy = window_destroy};

enum relay_verdict windows_new(struct relay *r, struct wl_message *m)
{
    struct budget *budget = r->carrier.ends.party->budget;
    if (budget_take(budget, BUDGET_MEMORY, sizeof(struct window)) < 0)
        return RELAY_PASS;
    struct window *w = calloc(1, sizeof(*w));
    if (!w) {
        budget_give(budget, BUDGET_MEMORY, sizeof(*w));
        return RELAY_PASS;
    }
    w->data.type = &window_type;
    w->budget = budget;
    LIST_INSERT_HEAD(&r->windows, w, entry);
    relay_attach(r, m->args[0].u, &w->data);
    return RELAY_PASS;
}

static void window_keep(struct window *w, char **text, const char *said)
{
    char clean[TEXT_MAX * 4 + 1];
    window_drop(w, text);
    size_t n = text_clean(clean, sizeof(clean), said, TEXT_MAX) + 1;
    if (budget_take(w->budget, BUDGET_MEMORY, n) < 0)
        return;
    *text = strdup(clean);
    if (!*text)
        budget_give(w->budget, BUDGET_MEMORY, n);
}

enum relay_verdict windows_text(struct relay *r, struct wl_message *m)
{
    const char *signature = m->info->signature;
    enum wl_text text = m->info->text;
    struct window *w = NULL;
    if ((text == WL_TEXT_TITLE || text == WL_TEXT_APP_ID) && strcmp(signature, "s") == 0)
        w = (struct window *)relay_data(r, m->object, &window_type);
    if (w && m->args[0].s.text)
        window_keep(w, text == WL_TEXT_TITLE ? &w->title : &w->app_id, m->args[0].s.text);
    return RELAY_PASS;
}
