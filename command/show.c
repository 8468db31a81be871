/* SPDX-License-Identifier: MIT */
/* show: owns nothing. Columns are as wide as what is in them; the windows come last, and are cut.
 */
#include "command/show.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/words.h"

#define COLUMNS_MAX 8
#define NAME_MAX_COLUMNS 24
#define TEXT_SIZE 1100
#define REFUSED_SHOWN 8 /* the last ones */

/* What a list is shown as. */
struct table {
    int n, rate; /* columns; the one that is there where rates are known */
    const char *heads[COLUMNS_MAX];
    bool to_the_right[COLUMNS_MAX];
};

static const struct table clients_table = {
    8,
    6,
    {"APP", "NAME", "AGE", "MEMORY", "FDS", "LINK", "PER S", "VIA"},
    {true, false, true, true, true, true, true, false}};
static const struct table services_table = {
    5, 4, {"SERVICE", "OPEN", "TO HOST", "TO GUEST", "PER S"}, {false, true, true, true, true}};

struct row {
    char cells[COLUMNS_MAX][128];
};

uint64_t show_bytes(const json_t *one)
{
    static const char *const kinds[] = {"wayland", "memory", "streams", "to_host", "to_guest"};
    const json_t *bytes = json_object_get(one, "bytes");
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        n += json_count_of(bytes, kinds[i]);
    return n;
}

static void cell_count(char cell[128], const json_t *object, const char *name)
{
    snprintf(cell, 128, "%llu", (unsigned long long)json_count_of(object, name));
}

static void cell_bytes(char cell[128], uint64_t n)
{
    char text[WORDS_SIZE];
    snprintf(cell, 128, "%s", words_bytes(n, text));
}

static void cell_rate(char cell[128], const json_t *one)
{
    if (json_object_get(one, "rate"))
        cell_bytes(cell, json_count_of(one, "rate"));
}

static void client_fill(struct row *r, const json_t *client, int64_t now)
{
    char text[WORDS_SIZE];
    cell_count(r->cells[0], client, "id");
    words_cut(json_text_of(client, "name"), NAME_MAX_COLUMNS, r->cells[1], sizeof(r->cells[1]));
    snprintf(r->cells[2], sizeof(r->cells[2]), "%s",
             words_age(json_text_of(client, "since"), now, text));
    cell_bytes(r->cells[3], json_count_of(client, "memory"));
    cell_count(r->cells[4], client, "fds");
    cell_bytes(r->cells[5], show_bytes(client));
    cell_rate(r->cells[6], client);
    words_cut(json_true_of(client, "waiting") ? "waits" : json_text_of(client, "pixels"), 8,
              r->cells[7], sizeof(r->cells[7]));
}

static void service_fill(struct row *r, const json_t *service, int64_t now)
{
    const json_t *bytes = json_object_get(service, "bytes");
    (void)now;
    words_cut(json_text_of(service, "name"), NAME_MAX_COLUMNS, r->cells[0], sizeof(r->cells[0]));
    cell_count(r->cells[1], service, "connections");
    cell_bytes(r->cells[2], json_count_of(bytes, "to_host"));
    cell_bytes(r->cells[3], json_count_of(bytes, "to_guest"));
    cell_rate(r->cells[4], service);
}

/* The rows of @list, or NULL: there are none. free() them. */
static struct row *rows_make(const struct table *t, const json_t *list, int64_t now,
                             void (*fill)(struct row *row, const json_t *one, int64_t now),
                             size_t widths[COLUMNS_MAX])
{
    size_t n = json_array_size(list), i;
    struct row *rows = n ? calloc(n, sizeof(*rows)) : NULL;
    const json_t *one;
    if (!rows)
        return NULL;
    bool rates = json_object_get(json_array_get(list, 0), "rate");
    for (int c = 0; c < t->n; c++)
        widths[c] = c != t->rate || rates ? strlen(t->heads[c]) : 0;
    json_array_foreach(list, i, one)
    {
        fill(&rows[i], one, now);
        for (int c = 0; c < t->n; c++)
            if (widths[c] && words_columns(rows[i].cells[c]) > widths[c])
                widths[c] = words_columns(rows[i].cells[c]);
    }
    return rows;
}

/* The width of a row so far. @row NULL: the heads. */
static size_t row_print(FILE *out, const struct table *t, const struct row *row,
                        const size_t *widths)
{
    size_t used = 0;
    for (int i = 0; i < t->n; i++) {
        const char *cell = row ? row->cells[i] : t->heads[i];
        if (!widths[i])
            continue;
        int pad = (int)(widths[i] - words_columns(cell));
        fprintf(out, "  %*s%s%*s", t->to_the_right[i] ? pad : 0, "", cell,
                t->to_the_right[i] ? 0 : pad, "");
        used += widths[i] + 2;
    }
    return used;
}

static void windows_print(FILE *out, const json_t *client, size_t room)
{
    const json_t *windows = json_object_get(client, "windows"), *window;
    char all[TEXT_SIZE] = "", text[TEXT_SIZE];
    size_t i, n = 0;
    json_array_foreach(windows, i, window)
    {
        const char *title = json_text_of(window, "title");
        if (!*title)
            title = json_text_of(window, "app_id");
        int more = snprintf(all + n, sizeof(all) - n, "%s%s", i ? ", " : "",
                            *title ? title : "(no title)");
        if (more < 0 || (size_t)more >= sizeof(all) - n)
            break;
        n += (size_t)more;
    }
    fprintf(out, "%s\n", words_cut(all, room, text, sizeof(text)));
}

static void clients_print(FILE *out, const json_t *clients, int64_t now, size_t columns)
{
    size_t widths[COLUMNS_MAX], i;
    struct row *rows = rows_make(&clients_table, clients, now, client_fill, widths);
    const json_t *client;
    if (!rows)
        return;
    row_print(out, &clients_table, NULL, widths);
    fputs("  WINDOWS\n", out);
    json_array_foreach(clients, i, client)
    {
        size_t used = row_print(out, &clients_table, &rows[i], widths) + 2;
        fputs("  ", out);
        windows_print(out, client, !columns ? TEXT_SIZE : columns > used ? columns - used : 1);
    }
    free(rows);
}

static void services_print(FILE *out, const json_t *services, int64_t now)
{
    size_t widths[COLUMNS_MAX];
    struct row *rows = rows_make(&services_table, services, now, service_fill, widths);
    if (!rows)
        return;
    row_print(out, &services_table, NULL, widths);
    for (size_t i = 0; i < json_array_size(services); i++) {
        fputc('\n', out);
        row_print(out, &services_table, &rows[i], widths);
    }
    fputc('\n', out);
    free(rows);
}

static void vm_head(FILE *out, const json_t *vm)
{
    const json_t *daemons = json_object_get(vm, "daemons"), *daemon;
    char state[WORDS_SIZE];
    char text[TEXT_SIZE], memory[WORDS_SIZE];
    size_t clients = json_array_size(json_object_get(vm, "clients")), i;
    words_cut(json_text_of(vm, "state"), 16, state, sizeof(state));
    fprintf(out, "%s: %s", words_cut(json_text_of(vm, "name"), 64, text, sizeof(text)), state);
    json_array_foreach(daemons, i, daemon)
    {
        const char *display = json_text_of(daemon, "display");
        fprintf(out, ", %s", words_cut(json_text_of(daemon, "host_name"), 64, text, sizeof(text)));
        if (*display && json_array_size(daemons) > 1) /* which of them */
            fprintf(out, " %s", words_cut(display, 108, text, sizeof(text)));
    }
    if (daemons)
        fprintf(out, ", %zu application%s, %s, %llu descriptors", clients, clients == 1 ? "" : "s",
                words_bytes(json_count_of(vm, "memory"), memory),
                (unsigned long long)json_count_of(vm, "fds"));
    fputc('\n', out);
}

/* The clock's time where that was today, else the day. */
static const char *moment(const char *when, int64_t now, char buffer[WORDS_SIZE])
{
    int64_t ms = words_time(when);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (ms < 0 || !localtime_r(&seconds, &tm))
        return "?";
    strftime(buffer, WORDS_SIZE, now - ms < 86400000 ? "%H:%M:%S" : "%Y-%m-%d", &tm);
    return buffer;
}

static void refused_print(FILE *out, const json_t *refused, int64_t now, size_t columns)
{
    const json_t *e;
    size_t i, n = json_array_size(refused);
    char when[WORDS_SIZE], rule[32], who[96], text[TEXT_SIZE], line[TEXT_SIZE + 256];
    if (n)
        fprintf(out, "  refused lately:\n");
    json_array_foreach(refused, i, e)
    {
        unsigned long long times = json_count_of(e, "times");
        if (i + REFUSED_SHOWN < n)
            continue;
        words_cut(json_text_of(e, "rule"), 16, rule, sizeof(rule));
        words_cut(json_text_of(e, "who"), 40, who, sizeof(who));
        who[strcspn(who, "\"")] = 0; /* the number is enough */
        if (*who && who[strlen(who) - 1] == ' ')
            who[strlen(who) - 1] = 0;
        words_clean(json_text_of(e, "text"), text, sizeof(text));
        snprintf(line, sizeof(line), "%s%s%s", who, *who ? ": " : "", text);
        fprintf(out, "    %s  %-11s ", moment(json_text_of(e, "when"), now, when), rule);
        if (times > 1)
            fprintf(out, "%llu times: ", times);
        fprintf(out, "%s\n",
                words_cut(line, columns > 50 ? columns - 38 : TEXT_SIZE, text, sizeof(text)));
    }
}

static void guest_head(FILE *out, const json_t *guest)
{
    char display[TEXT_SIZE], host[TEXT_SIZE], name[TEXT_SIZE];
    const char *path = json_text_of(guest, "display"), *vm = json_text_of(guest, "vm");
    bool connected = strcmp(json_text_of(guest, "state"), "connected") == 0;
    if (strcmp(json_text_of(guest, "state"), "busy") == 0) {
        words_cut(json_text_of(guest, "socket"), 108, display, sizeof(display));
        fprintf(out, "%s: busy\n", display);
        return;
    }
    words_cut(*path ? path : "no display", 80, display, sizeof(display));
    words_cut(json_text_of(guest, "host"), 80, host, sizeof(host));
    if (connected)
        fprintf(out, "%s: connected to %s, which calls this VM %s\n", display, host,
                words_cut(vm, 64, name, sizeof(name)));
    else
        fprintf(out, "%s: waits for %s\n", display, host);
}

void show_status(FILE *out, const json_t *status, size_t columns)
{
    const json_t *vm, *vms = json_object_get(status, "vms");
    int64_t now = words_time(json_text_of(status, "when"));
    size_t i;
    json_array_foreach(vms, i, vm)
    {
        vm_head(out, vm);
        clients_print(out, json_object_get(vm, "clients"), now, columns);
        services_print(out, json_object_get(vm, "services"), now);
        refused_print(out, json_object_get(vm, "refused"), now, columns);
    }
    json_array_foreach(json_object_get(status, "guest"), i, vm)
    {
        guest_head(out, vm);
        clients_print(out, json_object_get(vm, "clients"), now, columns);
        services_print(out, json_object_get(vm, "services"), now);
        refused_print(out, json_object_get(vm, "refused"), now, columns);
    }
    if (json_array_size(json_object_get(status, "refused")))
        fprintf(out, "no VM:\n");
    refused_print(out, json_object_get(status, "refused"), now, columns);
}
